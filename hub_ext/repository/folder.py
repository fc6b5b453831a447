"""The files of commits as folders of this machine: made whole or not at all, by whichever process needs one first."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hub_ext.settings import HubExt

_KEPT = 3  # a process in the middle of a look at an older one finds its files still there
_FORGOTTEN = 3600.0  # seconds after which what a killed process was making is swept


def packed(files: Mapping[str, str]) -> bytes:
    """Return the files of a commit as the database keeps them.

    Args:
        files: Path → text.
    """
    return zlib.compress(json.dumps(dict(files), sort_keys=True, ensure_ascii=False).encode())


def unpacked(content: bytes) -> dict[str, str]:
    """Return what `packed` made of files.

    Args:
        content: From the database.

    Raises:
        ValueError: If it is none of ours.
    """
    try:
        found: dict[str, str] = json.loads(zlib.decompress(content))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    return found


class Folders:
    """Where the files of commits are on this machine: `profiles/<source>/<commit>` in the state folder.

    Args:
        settings: Say where the state folder is.
        source: Id of the source.
    """

    def __init__(self, settings: HubExt, source: str) -> None:
        self.root = settings.state / "profiles" / source[:16]

    def path(self, commit: str) -> Path:
        """Return the folder of a commit, which may not be there."""
        return self.root / commit

    def make(self, commit: str, files: Mapping[str, str]) -> Path:
        """Return the folder of a commit, made if it is not there.

        Args:
            commit: Its id.
            files: Path → text.

        Raises:
            OSError: If it cannot be written; nothing half-made stays.
        """
        path = self.path(commit)
        if path.is_dir():
            if _holds(path, files):
                return path
            self.remove(commit)  # a machine that lost its power may have lost what it had not written yet
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        last = next(iter(self._made()), None)
        partial = Path(tempfile.mkdtemp(prefix=".making-", dir=self.root))
        try:
            for where, text in files.items():
                target, content = partial / where, text.encode()
                target.parent.mkdir(exist_ok=True)
                if last is None or not _taken_over(last / where, target, content):
                    target.write_bytes(content)
            try:
                partial.rename(path)
            except OSError:
                if not path.is_dir():  # else another process was faster
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self.sweep(commit)
        return path

    def remove(self, commit: str) -> None:
        """Take a folder away that nobody uses."""
        shutil.rmtree(self.path(commit), ignore_errors=True)

    def sweep(self, commit: str) -> None:
        """Take away what is old: folders of earlier commits but the last, and what killed processes left.

        Args:
            commit: The one in force.
        """
        old = [one for one in self._made() if one.name != commit][_KEPT - 1 :]
        forgotten = [one for at, one in self._ages(".*") if abs(time.time() - at) > _FORGOTTEN]
        for one in (*old, *forgotten):
            shutil.rmtree(one, ignore_errors=True)

    def _made(self) -> list[Path]:
        """Return the folders of commits, the newest first."""
        return [one for _, one in sorted(self._ages("[!.]*"), reverse=True)]

    def _ages(self, pattern: str) -> list[tuple[float, Path]]:
        found = []
        for one in self.root.glob(pattern):
            with suppress(OSError):
                found.append((one.stat().st_mtime, one))
        return found


def _taken_over(known: Path, target: Path, content: bytes) -> bool:
    """Make a file the same as one of the last commit, if that holds the same: then nobody reads it again."""
    try:
        if known.read_bytes() != content:
            return False
        target.hardlink_to(known)
    except OSError:
        return False
    return True


def _holds(path: Path, files: Mapping[str, str]) -> bool:
    """Return whether a folder holds these files as they should be."""
    try:
        return all((path / where).read_bytes() == text.encode() for where, text in files.items())
    except OSError:
        return False
