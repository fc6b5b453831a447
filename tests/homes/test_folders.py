"""Homes as folders: what is ours to remove, all at once, and never what is behind a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub_ext.homes.folders import Folders, size_of
from hub_ext.homes.places import Hindered
from tests.homes.conftest import held


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "homes").mkdir()
    return Folders(tmp_path / "homes")


def home(folders: Folders, name: str = "lea") -> Path:
    path = folders.path(name)
    (path / "work").mkdir(parents=True)
    (path / "work" / "notes").write_text("x" * 1000)
    return path


def nothing() -> None:
    """Let it go."""


def stop() -> None:
    raise Hindered("A server of hers has not ended yet.")


async def test_a_home_is_found_with_its_size_and_another_name_never_leads_to_it(folders: Folders) -> None:
    path = home(folders)
    found = await folders.find("lea")
    assert found is not None
    assert (found.place, found.hindrance) == ("the folder homes/lea", "")
    assert (found.size or 0) >= 1000
    assert await folders.find("nobody") is None
    for name in ("../homes/lea", "lea/", "LEA", "./lea"):
        assert folders.path(name).parent == path.parent
        assert await folders.find(name) is None


async def test_it_is_taken_at_once_and_swept_afterwards(folders: Folders, tmp_path: Path) -> None:
    path = home(folders)
    found = await folders.find("lea")
    assert found is not None
    await folders.take("lea", found, nothing)
    assert not path.exists()
    assert await folders.taken("lea", found.identity)  # as after a crash in the middle
    home(folders)  # she is back, with a home of now
    await folders.sweep()
    assert not await folders.taken("lea", found.identity)
    assert (path / "work" / "notes").exists()
    assert held(tmp_path / "homes") == ["lea"]


async def test_what_must_not_go_stays(folders: Folders) -> None:
    path = home(folders)
    found = await folders.find("lea")
    assert found is not None
    with pytest.raises(Hindered, match="has not ended"):
        await folders.take("lea", found, stop)
    assert (path / "work" / "notes").exists()


async def test_a_home_that_is_a_link_or_a_file_is_not_ours_to_remove(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    folders.path("ada").symlink_to(tmp_path / "elsewhere")
    folders.path("bob").touch()
    for name, words in (("ada", "It is a link"), ("bob", "It is no folder")):
        found = await folders.find(name)
        assert found is not None
        assert found.hindrance.startswith(words)
        with pytest.raises(Hindered):
            await folders.take(name, found, nothing)
        assert os.path.lexists(folders.path(name))
    assert (tmp_path / "elsewhere" / "kept").exists()


async def test_what_is_behind_a_link_in_it_stays_and_a_closed_folder_goes(folders: Folders, tmp_path: Path) -> None:
    path = home(folders)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (path / "link").symlink_to(tmp_path / "elsewhere")
    (path / "work").chmod(0)
    found = await folders.find("lea")
    assert found is not None
    await folders.take("lea", found, nothing)
    await folders.sweep()
    assert held(tmp_path / "homes") == []
    assert (tmp_path / "elsewhere" / "kept").exists()


async def test_a_home_that_was_taken_and_not_swept_is_no_hindrance_to_the_next_one(folders: Folders) -> None:
    for _ in range(2):
        home(folders)
        found = await folders.find("lea")
        assert found is not None
        await folders.take("lea", found, nothing)
    assert not folders.path("lea").exists()


async def test_there_may_be_no_folder_of_homes_at_all(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "none")
    assert await folders.find("lea") is None
    await folders.sweep()


def test_a_size_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "loop").symlink_to(tmp_path)
    (tmp_path / "large").write_text("x" * 100_000)
    assert (size_of(tmp_path / "here") or 0) < 10_000
    assert size_of(tmp_path / "none") is None
