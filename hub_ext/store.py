"""The result store: notebooks, reports, pictures and artifacts, by key, through fsspec.

Keys are made by us (`versions/<digest>.ipynb`, `runs/<id>/report.html`); the one part that users name, an artifact's
path, passes `safe_path` first.
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from hub_ext.errors import InvalidInput, NotFound, StorageFull, StoreAway
from hub_ext.settings import HubExt

DRAFTS = "drafts"  # the folder of what lasts for an hour; no backup has it
CHUNK = 256 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}


def safe_path(path: str) -> str:
    """Return a relative path that stays below its folder.

    Raises:
        InvalidInput: If it is absolute, leaves its folder, or holds what a path may not.
    """
    parts = path.split("/")
    bad = len(path) > 1000 or "\x00" in path or "\\" in path or any("\ud800" <= char <= "\udfff" for char in path)
    if bad or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts):
        raise InvalidInput.of("path", "must be a relative path without empty parts, '.' or '..'")
    return path


def unavailable() -> StoreAway:
    """Return what is said of a store that is away."""
    return StoreAway("The result store does not answer.", hint="Try again in a moment.")


def not_found() -> NotFound:
    """Return what is said of a key that is not there."""
    return NotFound("This file is not there any more.")


class Store:
    """Files by key; `of` gives the one that settings name.

    Args:
        url: fsspec address of its root (``file:///…``, ``memory://``).
    """

    @classmethod
    def of(cls, settings: HubExt) -> Store:
        """Return the store that settings name; nothing is asked of it yet.

        Args:
            settings: Name its address, and how a bucket is reached.

        Raises:
            InvalidInput: If a setting is wrong, or what it needs is not installed; names it.
        """
        if not settings.results.startswith("s3:"):
            return cls(settings.results)
        try:
            from hub_ext.s3 import S3Results, client
        except ImportError:
            raise InvalidInput.of("results_url", "needs `pip install hub-ext[s3]` for a bucket") from None
        return S3Results(client(settings))

    def __init__(self, url: str) -> None:
        self.fs, self.root = url_to_fs(url, auto_mkdir=True) if url.startswith("file:") else url_to_fs(url)

    def _at(self, key: str) -> str:
        return posixpath.join(self.root, safe_path(key))

    def put(self, key: str, data: bytes) -> None:
        """Store bytes under a key, all or nothing.

        Raises:
            StorageFull: If there is no space.
            Unavailable: If the store does not answer.
        """
        self._write(key, lambda target: target.write(data))

    def put_file(self, key: str, source: Path) -> None:
        """Store a file under a key, streamed, all or nothing.

        Raises:
            StorageFull: If there is no space.
            Unavailable: If the store does not answer.
        """

        def copy(target: IO[bytes]) -> None:
            with source.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    target.write(chunk)

        self._write(key, copy)

    def _write(self, key: str, fill: Any) -> None:
        final = self._at(key)
        partial = f"{final}.{uuid4().hex}.partial"
        try:
            self.fs.makedirs(posixpath.dirname(final), exist_ok=True)
            with self.fs.open(partial, "wb") as target:
                fill(target)
            self.fs.mv(partial, final)
        except BaseException as error:
            self._discard(partial)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise StorageFull("The result store has no space left.", hint="Tell an admin.") from error
            if isinstance(error, OSError):
                raise unavailable() from error
            raise

    def _discard(self, path: str) -> None:
        try:
            self.fs.rm(path)
        except OSError:
            return  # it was never made, or the store is away: a *.partial is swept later

    def get(self, key: str) -> bytes:
        """Return the bytes of a key.

        Raises:
            NotFound: If there is no such key.
            Unavailable: If the store does not answer.
        """
        return b"".join(self.chunks(key))

    def size(self, key: str) -> int:
        """Return the size of a key in bytes.

        Raises:
            NotFound: If there is no such key.
            Unavailable: If the store does not answer.
        """
        return int(self._of(key, self.fs.size))

    def exists(self, key: str) -> bool:
        """Return whether a key is there.

        Raises:
            Unavailable: If the store does not answer.
        """
        try:
            return bool(self.fs.exists(self._at(key)))
        except OSError as error:
            raise unavailable() from error

    def chunks(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a key in pieces.

        Args:
            key: The key.
            start: First byte.
            end: One after the last byte; None for all.

        Raises:
            NotFound: If there is no such key.
            Unavailable: If the store does not answer.
        """
        try:
            with self._of(key, self.fs.open) as stream:
                stream.seek(start)
                left = None if end is None else end - start
                while left is None or left > 0:
                    chunk = stream.read(CHUNK if left is None else min(CHUNK, left))
                    if not chunk:
                        return
                    left = None if left is None else left - len(chunk)
                    yield chunk
        except OSError as error:
            raise unavailable() from error

    def every_key(self, below: str = "") -> list[str]:
        """Return every key, sorted; none where there is no store yet.

        Args:
            below: Those of one folder alone.

        Raises:
            Unavailable: If the store does not answer.
        """
        root = self.fs._strip_protocol(self.root)  # fsspec's own name for a path of this store
        try:
            found = self.fs.find(self._at(below) if below else root)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unavailable() from error
        keys = (str(path).removeprefix(str(root)).lstrip("/") for path in found)
        return sorted(key for key in keys if not key.endswith(".partial"))

    def open(self, key: str) -> tuple[int, IO[bytes]]:
        """Return the size of a key in bytes, and a stream of them.

        Raises:
            NotFound: If there is no such key.
            Unavailable: If the store does not answer.
        """
        return self.size(key), self._of(key, self.fs.open)

    def _of(self, key: str, ask: Callable[[str], Any]) -> Any:
        """Return what the file system says of a key that has to be there.

        Raises:
            NotFound: If there is no such key.
            Unavailable: If the store does not answer, or its folder is not there: it is not mounted.
        """
        path = self._at(key)
        try:
            try:
                return ask(path)
            except FileNotFoundError:
                if isinstance(self.fs, LocalFileSystem) and not Path(self.root).is_dir():
                    raise unavailable() from None
                return ask(path)  # once more: the folder may have come back between the two questions
        except (FileNotFoundError, IsADirectoryError):
            raise not_found() from None
        except OSError as error:
            raise unavailable() from error

    def delete(self, prefix: str) -> None:
        """Delete a key, or all keys below it; nothing happens where there is none.

        Raises:
            Unavailable: If the store does not answer.
        """
        path = self._at(prefix)
        try:
            if self.fs.exists(path):
                self.fs.rm(path, recursive=True)
        except FileNotFoundError:
            return  # somebody else was faster
        except OSError as error:
            raise unavailable() from error
