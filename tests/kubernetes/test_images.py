"""Images that real cosign signed, in a real registry and in folders that it saved: verified, refused, decided on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub_ext import cli
from hub_ext.catalog.decide import Decision, Request
from hub_ext.catalog.locks import ImagesLock
from hub_ext.db.session import Database
from hub_ext.decisions import DecisionPoint
from hub_ext.governance.store import CatalogStore
from hub_ext.images.watch import ImageWatch
from hub_ext.kubernetes.yaml_text import to_yaml
from hub_ext.settings import HubExt, shipped
from tests.cluster.builds import COSIGN
from tests.cluster.registry import push, serving

pytestmark = pytest.mark.timeout(1500)  # where cosign was not built before, it is now

NAME = "notebooks/standard"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CYCLONEDX = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}
SPDX = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "x", "packages": []}


@dataclass
class Shop:
    """Where images are made: a registry, and cosign with two keys.

    Attributes:
        address: Host and port of the registry.
        folder: Files of cosign.
        program: cosign.
        stop: Ends the registry.
        made: How many images were made.
    """

    address: str
    folder: Path
    program: Path
    stop: Callable[[], None]
    made: int = field(default=0)

    def cosign(self, *arguments: str) -> None:
        """Run cosign, which asks nobody else."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "COSIGN_PASSWORD": "open sesame"}
        command = [str(self.program), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def image(self) -> str:
        """Make an image; return registry, name and digest."""
        self.made += 1
        parts = self.folder / f"image-{self.made}"
        parts.mkdir()

        def part(content: bytes, media: str) -> dict[str, Any]:
            digest = hashlib.sha256(content).hexdigest()
            (parts / digest).write_bytes(content)
            return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

        about = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
        config = part(json.dumps(about).encode(), "application/vnd.oci.image.config.v1+json")
        layer = part(b"files %d" % self.made, "application/vnd.oci.image.layer.v1.tar")
        content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        (parts / "manifest.json").write_text(json.dumps(content))
        return f"{self.address}/{NAME}@{push(self.address, NAME, parts, f'v{self.made}')}"

    def sign(self, image: str, key: str = "builds", *more: str) -> None:
        """Sign an image with a key and nothing else: no log, no certificate."""
        self.cosign("sign", "--key", f"{key}.key", "--tlog-upload=false", "--yes", *more, image)

    def attest(self, image: str, kind: str, content: Any, *more: str, key: str = "builds") -> None:
        """Attest a list of parts."""
        (self.folder / "list.json").write_text(json.dumps(content))
        arguments = ("--type", kind, "--predicate", "list.json", "--tlog-upload=false", "--yes", *more)
        self.cosign("attest", "--key", f"{key}.key", *arguments, image)

    def http(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Ask the registry."""
        asked = urllib.request.Request(f"http://{self.address}/v2/{NAME}/{path}", body, method=method)
        asked.add_header("Accept", MANIFEST)
        asked.add_header("Content-Type", MANIFEST)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A registry, and cosign."""
    folder = tmp_path_factory.mktemp("images")
    with ExitStack() as stack:
        address = stack.enter_context(serving(folder / "registry", folder / "registry.log"))
        made = Shop(address, folder, COSIGN.make(print) / "cosign", stack.close)
        for key in ("builds", "eve"):
            made.cosign("generate-key-pair", "--output-key-prefix", key)
        yield made


@pytest.fixture
def low(shop: Shop, tmp_path: Path) -> Callable[..., Path]:
    """Make a profiles folder whose enclave verifies images; `low(image, serial=…, **spec)`."""

    def low(image: str, serial: int = 1, **spec: Any) -> Path:
        folder = tmp_path / "profiles"
        shutil.copytree(shipped("profiles") / "standard", folder / "standard", dirs_exist_ok=True)
        (folder / "_enclaves").mkdir(exist_ok=True)
        content = {
            "domain": "open",
            "registries": [shop.address],
            "without_tls": [shop.address],
            "largest": {"cpu": 16, "memory": "64Gi"},
            "signatures": 0,
            "verify": "required",
            "image_keys": {"builds": (shop.folder / "builds.pub").read_text()},
        }
        about = {"name": "low", "title": "Low side", "owner": "platform-team"}
        enclave = {"apiVersion": "hub-ext/v1", "kind": "Enclave", "metadata": about, "spec": content | spec}
        (folder / "_enclaves" / "low.yaml").write_text(to_yaml([enclave]))
        lock = ImagesLock.of("low", serial, {NAME: image})
        made = folder / "_enclaves" / ".new"
        made.write_text(to_yaml([lock.model_dump(mode="json", by_alias=True)]))
        made.replace(folder / "_enclaves" / "low.images.lock")
        return folder

    return low


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["hub-ext", *(str(one) for one in arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def verify(run: Callable[..., tuple[int, str, str]], low: Callable[..., Path]) -> Any:
    """Run `hub-ext images verify` on an image; return the exit code and what was found."""

    def verify(image: str, *arguments: object, **spec: Any) -> tuple[int, dict[str, Any]]:
        folder = low(image, **spec)
        code, printed, _ = run("images", "verify", "--folder", folder, "--enclave", "low", "--json", *arguments)
        return code, json.loads(printed)[0]

    return verify


# --- what cosign signed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--new-bundle-format",)], ids=["simple", "bundle"])
def test_what_cosign_signed_with_our_key_verifies(shop: Shop, verify: Any, more: tuple[str, ...]) -> None:
    image = shop.image()
    shop.sign(image, "builds", *more)
    code, found = verify(image)
    assert (code, found["outcome"], list(found["keys"]), found["problems"]) == (0, "verified", ["builds"], [])


def test_what_nobody_signed_does_not(shop: Shop, verify: Any) -> None:
    code, found = verify(shop.image())
    assert (code, found["outcome"], found["problems"]) == (1, "refused", ["no signature was found"])


@pytest.mark.parametrize("more", [(), ("--new-bundle-format",)], ids=["simple", "bundle"])
def test_another_key_does_not(shop: Shop, verify: Any, more: tuple[str, ...]) -> None:
    image = shop.image()
    shop.sign(image, "eve", *more)
    code, found = verify(image)
    assert (code, found["outcome"]) == (1, "refused")
    assert "none of the enclave's keys" in found["problems"][0]


def test_the_signature_of_another_image_that_is_hung_onto_this_one_does_not(shop: Shop, verify: Any) -> None:
    good, bad = shop.image(), shop.image()
    shop.sign(good)
    tags = [f"sha256-{image.rpartition(':')[2]}.sig" for image in (good, bad)]
    shop.http("PUT", f"manifests/{tags[1]}", shop.http("GET", f"manifests/{tags[0]}"))
    code, found = verify(bad)
    assert (code, found["problems"]) == (1, ["builds signed another image"])
    assert verify(good, serial=2)[0] == 0


def test_a_payload_that_was_changed_does_not(shop: Shop, verify: Any) -> None:
    image = shop.image()
    shop.sign(image)
    tag = f"sha256-{image.rpartition(':')[2]}.sig"
    manifest = json.loads(shop.http("GET", f"manifests/{tag}"))
    layer = manifest["layers"][0]
    payload = json.loads(shop.http("GET", f"blobs/{layer['digest']}"))
    payload["optional"] = {"approved": "true"}
    parts = shop.folder / f"changed-{shop.made}"
    parts.mkdir()
    for part in (manifest["config"], layer):
        (parts / part["digest"].removeprefix("sha256:")).write_bytes(shop.http("GET", f"blobs/{part['digest']}"))
    changed = json.dumps(payload).encode()
    layer["digest"], layer["size"] = f"sha256:{hashlib.sha256(changed).hexdigest()}", len(changed)
    (parts / layer["digest"].removeprefix("sha256:")).write_bytes(changed)
    (parts / "manifest.json").write_text(json.dumps(manifest))
    push(shop.address, NAME, parts, tag)
    code, found = verify(image)
    assert (code, found["outcome"]) == (1, "refused")
    assert "what it signs was changed" in found["problems"][0]


def test_a_digest_that_is_not_there_does_not(shop: Shop, verify: Any) -> None:
    code, found = verify(f"{shop.address}/{NAME}@sha256:{'a' * 64}")
    assert (code, found["outcome"]) == (1, "refused")
    assert "is not in" in found["problems"][0]


# --- lists of parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--new-bundle-format",)], ids=["simple", "bundle"])
@pytest.mark.parametrize(("kind", "content"), [("cyclonedx", CYCLONEDX), ("spdxjson", SPDX)])
def test_a_list_that_cosign_attested(shop: Shop, verify: Any, kind: str, content: Any, more: tuple[str, ...]) -> None:
    image = shop.image()
    shop.sign(image, "builds", *more)
    assert verify(image, sbom="required")[0] == 1
    shop.attest(image, kind, content, *more)
    code, found = verify(image, serial=2, sbom="required")
    assert (code, found["sbom"], found["sbom_signed_by"]) == (0, kind.removesuffix("json"), "builds")


def test_a_list_that_somebody_else_attested_does_not_count(shop: Shop, verify: Any) -> None:
    image = shop.image()
    shop.sign(image)
    shop.attest(image, "cyclonedx", CYCLONEDX, key="eve")
    code, found = verify(image, sbom="required")
    assert (code, found["outcome"], found["sbom"]) == (1, "verified", None)


def test_a_list_that_cosign_attached_counts_and_is_not_signed(shop: Shop, verify: Any) -> None:
    image = shop.image()
    shop.sign(image)
    (shop.folder / "list.json").write_text(json.dumps(CYCLONEDX))
    shop.cosign("attach", "sbom", "--sbom", "list.json", "--type", "cyclonedx", image)
    code, found = verify(image, sbom="required")
    assert (code, found["sbom"], found["sbom_signed_by"]) == (0, "cyclonedx", None)


# --- carried over ----------------------------------------------------------------------------------------------------


def test_what_cosign_saved_verifies_where_no_registry_answers(shop: Shop, verify: Any, tmp_path: Path) -> None:
    good, bad = shop.image(), shop.image()
    shop.sign(good)
    shop.attest(good, "cyclonedx", CYCLONEDX)
    carried = tmp_path / "carried"
    shop.cosign("save", "--dir", str(carried / "good"), good)
    shop.cosign("save", "--dir", str(carried / "bad"), bad)
    elsewhere = [image.replace(shop.address, "registry.invalid") for image in (good, bad)]
    code, found = verify(elsewhere[0], "--layout", carried, sbom="required")
    assert (code, found["outcome"], found["sbom"], found["source"]) == (
        0,
        "verified",
        "cyclonedx",
        "the folder carried",
    )
    code, found = verify(elsewhere[1], "--layout", carried, serial=2)
    assert (code, found["outcome"]) == (1, "refused")
    code, found = verify(elsewhere[0], serial=3)
    assert (code, found["outcome"]) == (4, "unreachable")


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_tag_becomes_the_digest_that_it_means_now(
    shop: Shop, low: Callable[..., Path], run: Callable[..., tuple[int, str, str]]
) -> None:
    image = shop.image()
    folder = low(image)
    new = shop.image()
    where = ("--folder", folder, "--enclave", "low")
    assert run("images", "lock", NAME, f"{shop.address}/{NAME}:v{shop.made}", *where)[0] == 0
    assert json.loads(run("images", "list", "--json", *where)[1])["images"] == {NAME: new}
    code, _, told = run("images", "lock", NAME, f"{shop.address}/{NAME}:none", *where)
    assert (code, "is not in" in told) == (2, True)
    code, printed, _ = run("images", "verify", *where)
    assert (code, f"{NAME}: refused; list of parts: none" in printed) == (1, True)
    assert run("images", "verify", "other", *where)[0] == 3


# --- the service -----------------------------------------------------------------------------------------------------


def ask(point: DecisionPoint) -> Decision:
    with point.database.write() as session:
        return point.decide(session, Request("amy", "run", "standard"), ["analysts"], "x")[0]


async def until(point: DecisionPoint, wanted: Callable[[Decision], bool]) -> Decision:
    deadline = asyncio.get_running_loop().time() + 30
    while not wanted(found := await asyncio.to_thread(ask, point)):
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.1)
    return found


async def test_the_service_verifies_what_the_lock_names_and_decisions_follow(
    shop: Shop, low: Callable[..., Path], settings: HubExt, database: Database
) -> None:
    first, second = shop.image(), shop.image()
    shop.sign(first)
    settings.profiles_dir, settings.enclave = str(low(first)), "low"
    point = DecisionPoint(database, CatalogStore(settings, database), settings)
    assert "has not been verified yet" in (await asyncio.to_thread(ask, point)).sentence()
    watch = ImageWatch(database, CatalogStore(settings, database), settings)
    task = asyncio.create_task(watch.run())
    try:
        assert (await until(point, lambda found: found.allowed)).image == first
        low(second, serial=2)
        denied = await until(point, lambda found: "no signature was found" in found.sentence())
        assert not denied.allowed
        shop.sign(second)
        low(second, serial=3)  # signed now, and locked anew
        assert (await until(point, lambda found: found.allowed)).image == second
    finally:
        await watch.stop()
        await task


async def test_it_looks_again_and_takes_back_what_is_no_more(
    shop: Shop, low: Callable[..., Path], settings: HubExt, database: Database
) -> None:
    image = shop.image()
    shop.sign(image)
    settings.profiles_dir, settings.enclave = str(low(image)), "low"
    point = DecisionPoint(database, CatalogStore(settings, database), settings)
    watch = ImageWatch(database, CatalogStore(settings, database), settings)
    task = asyncio.create_task(watch.run())
    try:
        await until(point, lambda found: found.allowed)
        shop.sign(image, "eve")
        tag = f"sha256-{image.rpartition(':')[2]}.sig"
        manifest = json.loads(shop.http("GET", f"manifests/{tag}"))
        manifest["layers"] = manifest["layers"][1:]  # ours is taken away, somebody else's stays
        shop.http("PUT", f"manifests/{tag}", json.dumps(manifest).encode())
        watch._next = 0.0  # as if six hours had passed
        denied = await until(point, lambda found: not found.allowed)
        assert "none of the enclave's keys" in denied.sentence()
    finally:
        await watch.stop()
        await task


# --- at the end, since it takes the registry away --------------------------------------------------------------------


def test_a_registry_that_is_away_is_told_apart_from_an_image_that_is_refused(shop: Shop, verify: Any) -> None:
    image = shop.image()
    shop.sign(image)
    assert verify(image)[0] == 0
    shop.stop()
    code, found = verify(image, serial=2)
    assert (code, found["outcome"]) == (4, "unreachable")
