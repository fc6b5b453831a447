"""What of a cluster is pure: addresses, keys, what an image depends on, refusals."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.loading import PolicyFiles
from tests.cluster import addresses, certificates, configuration, debian, enclave, environment, machine, registry
from tests.cluster.__main__ import main
from tests.cluster.addresses import Addresses
from tests.cluster.builds import COREDNS, NODE_PROGRAMS, PAUSE
from tests.cluster.errors import PartFailed, Refused, last_words
from tests.cluster.images import Image, prune
from tests.cluster.layout import PROJECT, Layout
from tests.cluster.locking import among_users


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A cluster's folder with addresses, and nothing else."""
    Addresses.choose(tmp_path / "addresses.json", "0")
    return Layout(tmp_path)


def test_two_folders_never_share_a_name_on_the_machine(tmp_path: Path) -> None:
    one, other = Layout(tmp_path / "one"), Layout(tmp_path / "other")
    assert one.id != other.id
    assert one.cgroup != other.cgroup
    assert len(one.link) <= 15  # longer names of network devices are refused by the kernel


def test_addresses_are_chosen_once_and_around_what_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = [ipaddress.IPv4Network("10.64.0.0/15"), ipaddress.IPv4Network("10.66.128.0/17")]
    monkeypatch.setattr(addresses, "routes", lambda: used)
    path = tmp_path / "addresses.json"
    chosen = Addresses.choose(path, "0")
    assert chosen.block == 67
    monkeypatch.setattr(addresses, "routes", lambda: [ipaddress.IPv4Network("10.0.0.0/8")])
    assert Addresses.choose(path, "ff") == chosen
    with pytest.raises(Refused, match=r"10\.64\.0\.0 to 10\.127\.0\.0"):
        Addresses.choose(tmp_path / "another.json", "0")


@given(block=st.integers(64, 127))
def test_networks_of_a_cluster_are_apart(block: int) -> None:
    made = Addresses(block)
    networks = [ipaddress.ip_network(one) for one in (made.services, made.pods)]
    assert not networks[0].overlaps(networks[1])
    assert ipaddress.ip_address(made.dns) in networks[0]
    assert ipaddress.ip_address(made.kubernetes) in networks[0]
    assert not any(ipaddress.ip_address(one) in net for one in (made.host, made.node) for net in networks)


def test_certificates_are_signed_by_the_cluster_and_readable_by_their_owner_alone(layout: Layout) -> None:
    certificates.make(layout)
    before = {one: one.read_bytes() for one in layout.keys.iterdir()}
    (layout.keys / "proxy.crt").unlink()  # as when it was killed then
    certificates.make(layout)
    assert {one.name for one, text in before.items() if one.read_bytes() != text} <= {
        "proxy.crt",
        "proxy.key",
        "ca.srl",
    }
    for identity in certificates.identities(layout):
        file = layout.keys / f"{identity.name}.crt"
        command = ["openssl", "verify", "-CAfile", str(layout.keys / "ca.crt"), str(file)]
        assert subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().endswith("OK")
    assert all(one.stat().st_mode & 0o077 == 0 for one in layout.keys.glob("*.key"))
    assert {one.suffix for one in layout.keys.iterdir()} <= {".key", ".crt", ".pub", ".srl"}


def test_a_kubeconfig_holds_keys_or_names_them(layout: Layout) -> None:
    certificates.make(layout)
    whole = json.loads(configuration.kubeconfig(layout, "admin"))
    named = json.loads(configuration.kubeconfig(layout, "admin", Path("/keys")))
    assert set(whole["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
    assert named["users"][0]["user"] == {"client-certificate": "/keys/admin.crt", "client-key": "/keys/admin.key"}


@given(
    values=st.dictionaries(
        st.from_regex(r"[A-Z_]{1,10}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])),
    )
)
def test_what_is_told_to_a_shell_is_read_back(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("environment") / "environment"
    path.write_text(environment.render(values))
    assert environment.read(path) == values


def test_an_image_depends_on_the_content_of_its_files_and_their_names(tmp_path: Path) -> None:
    def key(content: str, name: str = "file") -> str:
        folder = tmp_path / f"{content}-{name}"
        folder.mkdir()
        (folder / name).write_text(content)
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "x.pyc").write_text(content + "compiled on another day")
        return Image("name", "FROM scratch", {"files": folder}).key

    first = key("a")
    assert key("a", "other") != first
    assert key("b") != first
    (tmp_path / "a-file" / "__pycache__" / "x.pyc").write_text("changed")
    assert Image("name", "FROM scratch", {"files": tmp_path / "a-file"}).key == first
    assert Image("name", "FROM scratch", {"files": tmp_path / "a-file"}, debian.Base()).key != first


def test_of_an_image_the_latest_are_kept_and_nothing_of_builds_that_were_killed(tmp_path: Path) -> None:
    for number, name in enumerate(("base-0", "pause-0", "base-1", "base-2", "base-3", ".partial-x", "base-extra-0")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (number, number))
    (tmp_path / "base-new").mkdir()
    prune(tmp_path / "base-new", keep=3)
    assert {one.name for one in tmp_path.iterdir()} == {"pause-0", "base-2", "base-3", "base-extra-0", "base-new"}


def test_programs_are_named_by_what_they_are_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NODE_PROGRAMS.programs[0] == "kube-apiserver"
    assert PAUSE.programs == ("pause",)
    before = COREDNS.key
    monkeypatch.setattr("tests.cluster.builds.compiler", lambda: "go9.9")
    assert COREDNS.key != before


def test_machine_settings_reach_a_build_without_folders_of_the_machine() -> None:
    environ = {
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_CERT": "/etc/machine.pem",
        "PIP_FIND_LINKS": "/opt/wheels",
        "HTTPS_PROXY": "http://user:it's@proxy.example",
        "SECRET_TOKEN": "never",
    }
    text = debian.build_environment(environ, "/run/secrets/authorities")
    shell = subprocess.run(
        ["sh", "-c", f"{text}\nenv"], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    seen = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    assert seen["PIP_INDEX_URL"] == environ["PIP_INDEX_URL"]
    assert seen["HTTPS_PROXY"] == environ["HTTPS_PROXY"]
    assert seen["PIP_CERT"] == seen["SSL_CERT_FILE"] == "/run/secrets/authorities"
    assert not {"PIP_FIND_LINKS", "SECRET_TOKEN"} & set(seen)


def test_the_enclave_of_a_cluster_is_one_that_hub_ext_takes(tmp_path: Path) -> None:
    first, second = (f"10.64.0.2:5000/notebooks/standard@sha256:{digit * 64}" for digit in "ab")
    catalog, key = tmp_path / "catalog", tmp_path / "images.key"
    held = PolicyFiles(catalog, enclave.NAME)
    for image in (first, first, second):
        enclave.write(catalog, key, {"notebooks/standard": image}, {"storage_class": "local-path"})
        found = held.read()
        assert found.problems == ()
        assert found.lock is not None
        assert found.lock.images == {"notebooks/standard": image}
    assert json.loads((catalog / "_enclaves" / "cluster.images.lock").read_text())["metadata"]["serial"] == 2
    assert key.stat().st_mode & 0o077 == 0


def test_files_of_a_registry_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "registry"
    (kept / "blobs").mkdir(parents=True)
    (kept / "blobs" / "data").write_text("blob")
    (kept / "link").write_text("sha256:new")
    folder.mkdir()
    (folder / "link").write_text("sha256:old")
    (folder / "other").write_text("stays")
    for _ in range(2):
        registry.install(kept, folder)
    assert (folder / "link").read_text() == "sha256:new"
    assert (folder / "other").read_text() == "stays"
    assert (folder / "blobs" / "data").stat().st_ino == (kept / "blobs" / "data").stat().st_ino
    assert (folder / "link").stat().st_ino != (kept / "link").stat().st_ino
    assert sorted(one.name for one in folder.rglob("*") if one.is_file()) == ["data", "link", "other"]


def test_a_failure_tells_the_last_words_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("\n".join(f"line {number}" for number in range(5000)))
    said = str(PartFailed("etcd ended.", log))
    assert said.startswith("etcd ended.")
    assert "line 4999" in said
    assert "line 4900" not in said
    assert last_words(tmp_path / "none").strip() == "(No such file or directory)"


@pytest.mark.parametrize(("platform", "user", "why"), [("darwin", 0, "needs Linux"), ("linux", 1000, "needs root")])
def test_it_refuses_where_it_cannot_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    platform: str,
    user: int,
    why: str,
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setenv("HUB_EXT_CLUSTER", str(tmp_path / "cluster"))
    for action in ("check", "up", "prepare"):
        assert main([action]) == 1
        said = capsys.readouterr().err
        assert why in said
        assert "KUBECONFIG" in said
    assert list(tmp_path.iterdir()) == []


def test_it_refuses_without_the_packages_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Refused, match=r"apt-get install .*containerd"):
        machine.require_packages()


def test_what_several_use_begins_with_each_and_ends_with_the_last(tmp_path: Path) -> None:
    told: list[str] = []

    def use() -> AbstractContextManager[None]:
        return among_users(tmp_path / "it", lambda: told.append("begin"), lambda: told.append("end"))

    with use():
        with use():
            assert told == ["begin", "begin"]
        assert told == ["begin", "begin"], "there is one more"
    assert told == ["begin", "begin", "end"]
    with pytest.raises(KeyError), use():
        raise KeyError
    assert told[3:] == ["begin", "end"]


def test_who_was_killed_uses_nothing_any_more(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time; from tests.cluster.locking import among_users\n"
        "with among_users(pathlib.Path(sys.argv[1]), lambda: print(flush=True), lambda: None): time.sleep(600)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "it")]
    told: list[str] = []
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with among_users(tmp_path / "it", lambda: None, lambda: told.append("end")):
            pass
        assert told == []
        other.kill()
        other.wait()
        with among_users(tmp_path / "it", lambda: None, lambda: told.append("end")):
            pass
    assert told == ["end"]
