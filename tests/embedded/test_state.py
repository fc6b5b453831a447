"""The state folder: its lock, keys, password and ports."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_ext.embedded.state import StateFolder, check_password, hash_password, unusable
from hub_ext.errors import Conflict, StorageFull, Unavailable


def test_a_second_platform_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    first = StateFolder(tmp_path / "state")
    with pytest.raises(Conflict, match=rf"is used by a running platform \(process {os.getpid()}\)"):
        StateFolder(tmp_path / "state")
    first.release()
    StateFolder(tmp_path / "state").release()


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "import sys, pathlib; from hub_ext.embedded.state import StateFolder; StateFolder(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    StateFolder(tmp_path).release()


def test_a_path_that_is_a_file_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        StateFolder(tmp_path / "file")
    with pytest.raises(Unavailable, match="cannot be written"):
        StateFolder(tmp_path / "file" / "below")


def test_a_folder_that_may_not_be_made_is_one_clear_sentence() -> None:
    with pytest.raises(Unavailable, match="cannot be written") as caught:
        StateFolder(Path("/proc/hub-ext"))
    assert "HUB_EXT_STATE" in caught.value.hint


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    error = unusable(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
    assert isinstance(error, StorageFull)
    assert "no space left" in error.detail


def test_a_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    first = state.secret("one")
    assert first == state.secret("one")
    assert first != state.secret("two")
    assert (state.keys / "one").stat().st_mode & 0o777 == 0o600
    assert state.keys.stat().st_mode & 0o777 == 0o700
    state.release()


def test_a_password_is_made_and_told_at_the_first_start_alone(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    hashed, made = state.password(None)
    assert made is not None
    assert check_password(made, hashed)
    assert made not in (state.keys / "password").read_text()
    assert state.password(None) == (hashed, None)
    state.release()


def test_a_given_password_holds_for_this_start_and_leaves_the_folders_own(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    own, made = state.password(None)
    given_hash, told = state.password("another")
    assert told is None
    assert check_password("another", given_hash)
    assert not check_password(str(made), given_hash)
    assert state.password(None) == (own, None)
    state.release()


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_only_the_very_same_password_opens(password: str, other: str) -> None:
    hashed = hash_password(password)
    assert check_password(password, hashed)
    assert check_password(other, hashed) == (password == other)


def test_ports_stay_the_same_while_they_are_free(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    first = state.ports(("hub", "proxy"))
    assert len(set(first.values())) == 2
    assert state.ports(("hub", "proxy")) == first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first["hub"]))
        taken.listen()
        second = state.ports(("hub", "proxy"))
    assert second["hub"] != first["hub"]
    assert second["proxy"] == first["proxy"]
    state.release()
