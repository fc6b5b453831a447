"""The file of a backup: a gzip'd tar whose first member says what it is and whose last has a checksum of each other.

Format, version 1: `manifest.json`; `database/<table>.jsonl`, `hub/<table>.jsonl` (see `tables.py`); `results/<key>`;
`state/<path>`; `checksums.json` (member → SHA-256 of its content, for a link of its target). A file without its last
member was cut.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from hub_ext.errors import Conflict, InvalidInput, StorageFull, Unavailable
from hub_ext.store import safe_path

FORMAT = "hub-ext-backup/1"
MANIFEST, CHECKSUMS = "manifest.json", "checksums.json"
_COMPRESSION = 3  # most of the time is the disk's from here on
_BROKEN = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError)


class _Hashed(io.RawIOBase):
    """A stream that is read through, hashed, and never shorter or longer than was said.

    Args:
        stream: The stream; a file of a home may change while it is read.
        size: How many bytes it gives; what is missing is filled with zeros.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left, self._hash = stream, size, hashlib.sha256()
        self.short = False

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            self.short = True
            data += bytes(wanted - len(data))
        self._left -= len(data)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


class Writer:
    """Writes a backup under another name until it is whole.

    Args:
        path: Where it will be.

    Raises:
        Conflict: If there is something already.
        Unavailable: If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._partial = path, path.with_name(f"{path.name}.partial")
        if path.exists():
            raise Conflict(f"{path} is there already.", hint="Give the backup another name.")
        with told(path):
            self._partial.unlink(missing_ok=True)
            self._file = os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._gzip = gzip.GzipFile("", "wb", _COMPRESSION, self._file)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._sums: dict[str, str] = {}
        self.changed: list[str] = []  # files that became shorter while they were read

    def add(self, name: str, stream: IO[bytes], size: int, mode: int = 0o600) -> None:
        """Add a file.

        Args:
            name: Its name in the archive.
            stream: Its content.
            size: How long that is, in bytes.
            mode: Its rights.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, mode
        hashed = _Hashed(stream, size)
        self._tar.addfile(info, hashed)
        self._sums[name] = hashed.digest()
        if hashed.short:
            self.changed.append(name)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a file whose content is at hand."""
        self.add(name, io.BytesIO(data), len(data))

    def add_entry(self, name: str, mode: int, target: str | None = None) -> None:
        """Add a folder, or with a target a symbolic link."""
        info = tarfile.TarInfo(name)
        info.type, info.mode = (tarfile.DIRTYPE if target is None else tarfile.SYMTYPE), mode
        info.linkname = target or ""
        self._tar.addfile(info)
        self._sums[name] = _digest((target or "").encode("utf-8", "surrogateescape"))

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with told(self.path):
                    self._finish()
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)

    def _finish(self) -> None:
        self.add_bytes(CHECKSUMS, json.dumps(self._sums).encode())
        self._tar.close()
        self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.rename(self.path)


@dataclass(frozen=True)
class Member:
    """One member of a backup.

    Attributes:
        name: Its name, which stays below its folder.
        mode: Its rights.
        stream: Its content; None for a folder or a link.
        target: What a link points to; None for anything else.
    """

    name: str
    mode: int
    stream: IO[bytes] | None
    target: str | None


def members(path: Path) -> Iterator[Member]:
    """Yield the members of a backup, in their order, each to be read before the next.

    Args:
        path: The file.

    Raises:
        InvalidInput: If it is none, or was cut.
        Unavailable: If it cannot be read.
    """
    with told(path), contextlib.ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(path, "r|gz"))
            for info in tar:
                if not (info.isreg() or info.isdir() or info.issym()):
                    raise InvalidInput.of("file", f"holds {info.name[:200]!r}, which is no file, folder or link")
                stream = tar.extractfile(info) if info.isreg() else None
                yield Member(_safe(info.name), info.mode & 0o777, stream, info.linkname if info.issym() else None)
        except _BROKEN as error:
            raise _cut(error) from None


def _cut(error: Exception) -> InvalidInput:
    return InvalidInput.of("file", f"is no whole backup of hub-ext ({type(error).__name__}); it may have been cut")


def _safe(name: str) -> str:
    try:
        text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        safe_path(text)
    except InvalidInput:
        raise InvalidInput.of("file", f"holds {name[:200]!r}, which is no name of a backup") from None
    return name


def check(path: Path, tell: Callable[[str], None] = lambda _name: None) -> dict[str, Any]:
    """Read a backup to its end, compare every checksum, and return its manifest.

    Args:
        path: The file.
        tell: Called with the name of each member.

    Raises:
        InvalidInput: If it is no backup, was cut or changed, or was made by a release that we do not know.
        Unavailable: If it cannot be read.
    """
    try:
        return _checked(path, tell)
    except _BROKEN as error:
        raise _cut(error) from None


def _checked(path: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    found: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    said: dict[str, str] | None = None
    for member in members(path):
        tell(member.name)
        if manifest is None:
            manifest = _manifest(member)
            found[MANIFEST] = _digest(json.dumps(manifest).encode())
        elif member.name == CHECKSUMS and member.stream is not None:
            said = _object(member.stream.read())
        elif said is not None or member.name in found:
            raise InvalidInput.of("file", f"holds {member.name[:200]!r} where it cannot be")
        else:
            found[member.name] = _sum(member)
    if manifest is None or said is None:
        raise InvalidInput.of("file", "is no whole backup of hub-ext; it may have been cut")
    if said != found:
        wrong = sorted(name for name in {*said, *found} if said.get(name) != found.get(name))
        raise InvalidInput.of("file", f"was changed: {wrong[0][:200]!r} is not what was written")
    return manifest


def _manifest(member: Member) -> dict[str, Any]:
    content = _object(member.stream.read()) if member.name == MANIFEST and member.stream is not None else {}
    if content.get("format") != FORMAT:
        message = f"is no backup of hub-ext that this release can read (it reads {FORMAT})"
        raise InvalidInput.of("file", message)
    return content


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _cut(error) from None
    return found if isinstance(found, dict) else {}


def _sum(member: Member) -> str:
    if member.stream is None:
        return _digest((member.target or "").encode("utf-8", "surrogateescape"))
    digest = hashlib.sha256()
    while chunk := member.stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell a failing file operation in words.

    Raises:
        StorageFull: If its disk is full.
        InvalidInput: If there is no such file.
        Unavailable: If it cannot be read or written.
    """
    try:
        yield
    except FileNotFoundError:
        raise InvalidInput.of("file", f"{path} is not there, or its folder is not") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"There is no space left for {path}.", hint="Make space, and try again.") from error
        raise Unavailable(f"{path} cannot be read or written: {os.strerror(error.errno or 0)}.") from error
