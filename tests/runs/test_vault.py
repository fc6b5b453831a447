"""Secrets until their run has ended."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from hub_ext.errors import Unavailable
from hub_ext.runs.vault import Vault


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_values_come_back_and_lie_encrypted_with_a_key_that_only_we_read(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.put("r-1", {"key": "hunter2", "other": "ü"})
    assert Vault(tmp_path).get("r-1") == {"key": "hunter2", "other": "ü"}
    assert b"hunter2" not in (tmp_path / "secrets" / "r-1").read_bytes()
    assert mode(tmp_path / "keys" / "secrets.key") == mode(tmp_path / "secrets" / "r-1") == 0o600
    assert mode(tmp_path / "secrets") == mode(tmp_path / "keys") == 0o700
    vault.delete("r-1")
    assert vault.get("r-1") == {}
    vault.delete("r-1")


def test_values_of_another_key_are_not_guessed_at(tmp_path: Path) -> None:
    Vault(tmp_path).put("r-1", {"key": "hunter2"})
    (tmp_path / "keys" / "secrets.key").unlink()
    with pytest.raises(Unavailable):
        Vault(tmp_path).get("r-1")


def test_two_that_make_a_key_at_once_agree(tmp_path: Path) -> None:
    vaults = [Vault(tmp_path) for _ in range(8)]
    start = threading.Barrier(8)

    def put(number: int) -> None:
        start.wait()
        vaults[number].put(f"r-{number}", {"n": str(number)})

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Vault(tmp_path).get(f"r-{number}") for number in range(8)] == [{"n": str(number)} for number in range(8)]
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["secrets.key"]


def test_what_no_run_needs_is_swept_but_not_what_may_be_about_to_be_needed(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert vault.sweep([]) == 0
    for name in ("r-old", "r-needed", "r-young"):
        vault.put(name, {"a": "b"})
    for name in ("r-old", "r-needed"):
        os.utime(tmp_path / "secrets" / name, (0, 0))
    assert vault.sweep(["r-needed"]) == 1
    assert {path.name for path in (tmp_path / "secrets").iterdir()} == {"r-needed", "r-young"}


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="state folder"):
        Vault(tmp_path).put("r-1", {"a": "b"})
