"""`hub-ext images`: an enclave's lock is made, signed by two, changed and shown by command line alone."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hub_ext.kubernetes.yaml_text import to_yaml

Run = Callable[..., tuple[int, str, str]]
ONE, TWO = (f"registry.low/notebooks/standard@sha256:{digit * 64}" for digit in "12")


@pytest.fixture
def keys(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Path, str]]:
    """Two private keys, locked, and their public ones."""
    monkeypatch.setenv("HUB_EXT_KEY_PASSWORD", "open sesame")
    found = {}
    for name in ("ann", "bob", "eve"):
        path = tmp_path / f"{name}.key"
        code, public, _ = run("images", "key", path)
        assert code == 0
        found[name] = (path, public)
    return found


@pytest.fixture
def low(folder: Path, keys: dict[str, tuple[Path, str]], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Arguments for an enclave that two must sign the lock of."""
    monkeypatch.setenv("HUB_EXT_PROFILES_DIR", str(folder))
    enclave = {
        "apiVersion": "hub-ext/v1",
        "kind": "Enclave",
        "metadata": {"name": "low", "title": "Low side", "owner": "platform-team"},
        "spec": {
            "domain": "open",
            "registries": ["registry.low"],
            "largest": {"cpu": 4, "memory": "8Gi"},
            "signers": {name: keys[name][1] for name in ("ann", "bob")},
            "signatures": 2,
        },
    }
    (folder / "_enclaves").mkdir()
    (folder / "_enclaves" / "low.yaml").write_text(to_yaml([enclave]))
    return ["--enclave", "low"]


def test_a_lock_is_made_signed_by_two_and_changed(
    run: Run, folder: Path, low: list[object], keys: dict[str, tuple[Path, str]]
) -> None:
    file = folder / "_enclaves" / "low.images.lock"
    code, printed, _ = run("images", "lock", "notebooks/standard", ONE, "--key", keys["ann"][0], *low)
    assert code == 0
    assert "2 must sign, and it is signed by ann" in printed
    assert run("images", "list", *low)[0] == 1  # a platform would not take it yet
    assert run("images", "sign", "--key", keys["bob"][0], *low)[0] == 0
    code, printed, _ = run("images", "list", "--json", *low)
    found = json.loads(printed)
    assert (code, found["serial"], found["signed_by"], found["problems"]) == (0, 1, ["ann", "bob"], [])
    assert found["images"] == {"notebooks/standard": ONE}
    assert "notebooks/standard" in run("images", "list", *low)[1]
    before = file.read_text()
    assert run("images", "lock", "notebooks/standard", ONE, *low)[0] == 0
    assert file.read_text() == before  # nothing changed, so nobody has to sign again
    assert run("images", "lock", "notebooks/standard", TWO, *low)[0] == 0
    after = yaml.safe_load(file.read_text())
    assert (after["metadata"]["serial"], after["signatures"]) == (2, [])
    assert run("images", "lock", "notebooks/standard", "--remove", *low)[0] == 0
    assert yaml.safe_load(file.read_text())["images"] == {}


def test_what_cannot_be_is_told_and_changes_nothing(
    run: Run, folder: Path, low: list[object], keys: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    file = folder / "_enclaves" / "low.images.lock"
    ours, eves = keys["ann"][0], keys["eve"][0]
    for arguments, code, words in (
        (["lock", "a", "registry.low/a"], 2, "registry/name@sha256:"),
        (["lock", "a", "registry.invalid/a:latest"], 4, "registry.invalid does not answer"),
        (["lock", "A B", ONE], 2, "name: must be words"),
        (["lock", "a"], 2, "Give a REFERENCE"),
        (["lock", "a", "--remove"], 3, "has no image a"),
        (["lock", "a", ONE, "--key", eves], 2, "none of the signers that low names"),
        (["sign", "--key", ours], 2, "nothing to sign"),
    ):
        found = run("images", *arguments, *low)
        assert (found[0], words in found[2]) == (code, True), found
        assert not file.exists()
    assert run("images", "lock", "a", ONE, "--enclave", "local")[0] == 2
    assert "have no images" in run("images", "list", "--enclave", "local")[2]
    file.write_text("{")
    assert "cannot be read" in run("images", "lock", "a", ONE, *low)[2]
    assert file.read_text() == "{"


def test_a_wrong_password_is_told_without_a_trace(
    run: Run, low: list[object], keys: dict[str, tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_EXT_KEY_PASSWORD", "sesame, open")
    code, _, told = run("images", "lock", "a", ONE, "--key", keys["ann"][0], *low)
    assert (code, "cannot be read with this password" in told, "sesame" in told) == (2, True, False)


def test_a_key_is_for_its_owner_alone_and_never_overwritten(run: Run, keys: dict[str, tuple[Path, str]]) -> None:
    path, public = keys["ann"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "ENCRYPTED" in path.read_text()
    assert public.startswith("-----BEGIN PUBLIC KEY-----")
    before = path.read_bytes()
    code, _, told = run("images", "key", path)
    assert (code, "is there already" in told, path.read_bytes() == before) == (2, True, True)
    assert run("images", "key", path / "below")[0] == 2
