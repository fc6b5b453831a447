"""Homes as folders of this machine. One is renamed first, at once; what it holds is deleted afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

from jupyterhub.slugs import safe_slug

from hub_ext.homes.places import Found, Hindered

_TAKEN = ".taken-"  # no slug begins with a dot
_LONGEST_COUNT = 20.0  # seconds; a larger home has no size


class Folders:
    """The folder of homes.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, name: str) -> Path:
        """Return where somebody's home is, or would be: as `LocalSpawner` has it."""
        return self._root / str(safe_slug(name))

    def _aside(self, name: str) -> Path:
        return self._root / f"{_TAKEN}{safe_slug(name)}"

    async def find(self, name: str) -> Found | None:
        """Return somebody's home, None where there is none."""
        return await asyncio.to_thread(self._find, self.path(name))

    def _find(self, path: Path) -> Found | None:
        place = f"the folder homes/{path.name}"
        try:
            kind = path.lstat().st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(kind):
            return Found(place, hindrance="It is a link to somewhere else, which may not be hers: remove it by hand.")
        if not stat.S_ISDIR(kind):
            return Found(place, hindrance="It is no folder: remove it by hand.")
        if path.is_mount():
            return Found(place, hindrance="It is a file system of its own: remove it by hand.")
        return Found(place, size_of(path), path.name)

    async def taken(self, name: str, identity: str) -> bool:  # noqa: ARG002  # the other folder says it
        """Return whether an earlier try has renamed the home."""
        return os.path.lexists(self._aside(name))

    async def take(self, name: str, found: Found, still: Callable[[], None]) -> None:
        """Rename the home, without anything in between: this loop is what starts servers.

        Raises:
            Hindered: If it is to stay, or cannot be renamed.
        """
        if found.hindrance:
            raise Hindered(found.hindrance)
        aside = self._aside(name)
        if os.path.lexists(aside):
            await asyncio.to_thread(_delete, aside)
        still()
        try:
            self.path(name).rename(aside)
        except OSError as error:
            raise Hindered(f"It could not be taken: {os.strerror(error.errno or 0)}.") from error

    async def sweep(self) -> None:
        """Delete what was renamed."""
        await asyncio.to_thread(self._sweep)

    def _sweep(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for path in self._root.iterdir():
                if path.name.startswith(_TAKEN):
                    _delete(path)


def size_of(path: Path) -> int | None:
    """Return the bytes that a folder takes, without following a link; None where it cannot be counted in time.

    Args:
        path: The folder.
    """
    until, total, waiting = time.monotonic() + _LONGEST_COUNT, 0, [os.fspath(path)]
    try:
        while waiting:
            if time.monotonic() > until:
                return None
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_size
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    except OSError:  # closed to us, or changed meanwhile
        return None
    return total


def _delete(path: Path) -> None:
    """Delete a folder with all it holds; what is behind a link stays.

    Raises:
        OSError: If something of it cannot be deleted.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:  # she had closed a folder, also to herself
        _open(path)
        shutil.rmtree(path)


def _open(path: Path) -> None:
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inside = Path(folder, name)
            if not inside.is_symlink():
                inside.chmod(0o700)
