"""What executors in pods report, kept as if they ran here: a launch folder that the service fills.

So `hub_ext.runs.live`, `results` and `rounds` read one kind of folder, wherever a run is. Nothing that arrives is
believed: other people's code runs beside each executor. It can only ever be about its own launch, whose folder nobody
else writes; names and sizes are checked before a byte is written, and nothing here follows a link.

What is assumed: every replica of the service, and whoever holds the lease of the reconciler, sees the same folder
``launches`` with working `flock` (one machine, or a volume that all of them mount). Each method takes the lock of its
launch, so any replica may take any message.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from hub_ext.errors import Conflict, Gone, InvalidInput, StorageFull, TooLarge, Unavailable
from hub_ext.executor.events import FULL
from hub_ext.executor.folder import Folder, parse_event
from hub_ext.runs.results import choose

MOST_JUNK = 3  # lines of one message that are no events: an executor on a full disk leaves some in pieces
_LARGEST_NAME = 64
_CLOSED = b"closed"


class Mirror:
    """The launch folders of runs that are elsewhere.

    Args:
        launches: Where they are.
    """

    def __init__(self, launches: Path) -> None:
        self.launches = launches

    def folder(self, launch_id: str) -> Folder:
        """Return the folder of a launch."""
        return Folder(self.launches / launch_id)

    def has_begun(self, launch_id: str) -> bool:
        """Return whether an executor was told what to run, and so may have run a part of it."""
        return _read(_attempt(self.folder(launch_id))) not in (b"", _CLOSED)

    def is_closed(self, launch_id: str) -> bool:
        """Return whether it has not begun, and never will."""
        return _read(_attempt(self.folder(launch_id))) == _CLOSED

    def make(self, launch_id: str, process: Mapping[str, Any]) -> None:
        """Make the folder of a launch.

        Args:
            launch_id: The launch.
            process: What finds it again.
        """
        folder = self.folder(launch_id)
        with _told():
            folder.make()
            folder.process.write_text(json.dumps(dict(process)), encoding="utf-8")

    def process(self, launch_id: str) -> dict[str, Any]:
        """Return what finds a launch again; empty if nobody knows."""
        try:
            found = json.loads(_read(self.folder(launch_id).process) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def close(self, launch_id: str) -> None:
        """Let a launch that has not begun never begin."""
        folder = self.folder(launch_id)
        with contextlib.suppress(Gone), self._locked(folder), _told():
            if not _attempt(folder).exists():
                _attempt(folder).write_bytes(_CLOSED)

    def remove(self, launch_id: str) -> None:
        """Delete the folder of a launch that has ended."""
        shutil.rmtree(self.folder(launch_id).root, ignore_errors=True)

    def ids(self) -> list[str]:
        """Return the ids of all launches that have a folder."""
        return [path.name for path in self.launches.iterdir()] if self.launches.is_dir() else []

    # What executors tell.

    def begin(self, launch_id: str, attempt: str, *, repeatable: bool) -> int:
        """An executor is about to be told what to run: remember which one, before it is told.

        Args:
            launch_id: The launch.
            attempt: Names the executor's process; the same one may ask again.
            repeatable: Whether another one may run it from the beginning, after one that was interrupted.

        Returns:
            How many bytes of events there are already, of those before it.

        Raises:
            InvalidInput: If the attempt is no name.
            Conflict: If another one was told before, and it must not be run twice.
            Gone: If it has ended, or was closed.
        """
        if not (attempt.isalnum() and attempt.isascii() and len(attempt) <= _LARGEST_NAME):
            raise InvalidInput.of("attempt", f"must be 1 to {_LARGEST_NAME} letters and digits")
        folder = self.folder(launch_id)
        with self._locked(folder):
            known = _read(_attempt(folder)).decode(errors="replace").split()
            if known == [_CLOSED.decode()]:
                raise Gone("This launch was taken away.")
            if known and known[0] == attempt:
                return int(known[1])
            if known and not repeatable:
                raise Conflict("Another executor was told to run this already, and it must not be run twice.")
            base = _start_anew(folder) if known else 0
            with _told():
                _attempt(folder).write_text(f"{attempt} {base}", encoding="ascii")
            return base

    def append(self, launch_id: str, offset: int, data: bytes, most: int) -> int:
        """Append events if they are the next ones.

        Args:
            launch_id: The launch.
            offset: Where in the file they belong.
            data: Whole lines.
            most: Most bytes of all events.

        Returns:
            How many bytes there are now. Whoever sends goes on from there, whatever became of this message.

        Raises:
            InvalidInput: If they are no events.
            TooLarge: If there are too many.
            StorageFull: If there is no space; nothing of them is kept then.
            Gone: If it has ended.
        """
        _check_events(data)
        folder = self.folder(launch_id)
        with self._locked(folder), _told():
            descriptor = os.open(folder.events, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if not data or offset != size:
                    return size
                if size + len(data) > most:
                    raise TooLarge("These are more events than one run may have.")
                return _append_all(descriptor, size, data)
            finally:
                os.close(descriptor)

    def want(self, launch_id: str, files: list[tuple[str, int]], limit: int) -> list[str]:
        """Choose which files become artifacts; those alone are taken afterwards.

        Args:
            launch_id: The launch.
            files: Path below the working folder, and size in bytes.
            limit: Most bytes of all.

        Raises:
            Conflict: If it told other files before.
            Gone: If it has ended.
        """
        folder = self.folder(launch_id)
        chosen = choose(files, limit)
        content = json.dumps(dict(chosen.kept)).encode()
        with self._locked(folder), _told():
            before = _read(_wanted(folder))
            if before and before != content:
                raise Conflict("Other files were told before.")
            folder.left_out.write_text(chosen.left_out, encoding="utf-8")
            _wanted(folder).write_bytes(content)
        return [name for name, _ in chosen.kept]

    def artifact(self, launch_id: str, name: str, size: int) -> Incoming:
        """Begin to take an artifact.

        Args:
            launch_id: The launch.
            name: Its path, one of those that `want` chose.
            size: Its size.

        Raises:
            InvalidInput: If it was not chosen, or has another size.
            Gone: If it has ended.
        """
        folder = self.folder(launch_id)
        wanted: dict[str, int] = json.loads(_read(_wanted(folder)) or b"{}")
        if wanted.get(name) != size:
            raise InvalidInput.of("path", "is none of the files that were chosen, or has another size")
        return self.take(launch_id, folder.work / name)

    def take(self, launch_id: str, target: Path) -> Incoming:
        """Begin to take a file.

        Args:
            launch_id: The launch.
            target: Where it goes, in its folder; the caller made that safe.

        Raises:
            Gone: If it has ended.
        """
        folder = self.folder(launch_id)
        with self._locked(folder):
            return Incoming(self, folder, target)

    def end(self, launch_id: str, outcome: Mapping[str, Any]) -> None:
        """Write how it ended; nothing is taken afterwards. The first word counts."""
        folder = self.folder(launch_id)
        with contextlib.suppress(Gone), self._locked(folder), _told():
            folder.write_outcome(dict(outcome))

    @contextlib.contextmanager
    def _locked(self, folder: Folder) -> Iterator[None]:
        """Hold the lock of a launch that has not ended.

        Raises:
            Gone: If it has, or was removed.
        """
        try:
            descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise Gone("This launch is over.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.outcome.exists():
                raise Gone("This launch has told how it ended.")
            yield
        finally:
            os.close(descriptor)


class Incoming:
    """A file that arrives: whole in the end, or not at all."""

    def __init__(self, mirror: Mirror, folder: Folder, target: Path) -> None:
        self._mirror = mirror
        self._folder = folder
        self._target = target
        self._partial = folder.root / f"incoming-{uuid4().hex}"
        with _told():
            self._stream: IO[bytes] | None = self._partial.open("xb")

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            StorageFull: If there is no space.
        """
        with _told():
            if self._stream is not None:
                self._stream.write(piece)

    def keep(self) -> None:
        """Put it in its place: all of it is there.

        Raises:
            StorageFull: If there is no space.
            Conflict: If its place is taken by a folder, or below a file.
            Gone: If its launch has ended.
        """
        with self._mirror._locked(self._folder), _told():
            if self._stream is not None:
                self._stream.close()
            try:
                self._target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._partial.replace(self._target)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise Conflict("A file and a folder have the same name.") from None

    def drop(self) -> None:
        """Forget what has come, unless it was kept."""
        if self._stream is not None:
            with contextlib.suppress(OSError):  # what could not be written is of no use
                self._stream.close()
            self._stream = None
        self._partial.unlink(missing_ok=True)


def _attempt(folder: Folder) -> Path:
    return folder.root / "attempt"


def _wanted(folder: Folder) -> Path:
    return folder.root / "wanted.json"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _check_events(data: bytes) -> None:
    if data and not data.endswith(b"\n"):
        raise InvalidInput.of("", "events must be whole lines")
    junk = 0
    for line in data.split(b"\n")[:-1]:
        junk += parse_event(line) is None
        if junk > MOST_JUNK:
            raise InvalidInput.of("", "events must be lines of JSON, each with a type")


def _append_all(descriptor: int, size: int, data: bytes) -> int:
    written = 0
    try:
        while written < len(data):
            written += os.write(descriptor, data[written:])
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    return size + written


def _start_anew(folder: Folder) -> int:
    """Forget the files of an interrupted try, keep its events, and return how many bytes those are."""
    with _told():
        for path in (folder.report, folder.output, folder.picture, folder.log, folder.left_out, _wanted(folder)):
            path.unlink(missing_ok=True)
        shutil.rmtree(folder.work, ignore_errors=True)
        folder.make()
        said = _read(folder.events)
        with folder.events.open("ab") as stream:
            stream.write(b"" if not said or said.endswith(b"\n") else b"\n")
            stream.write(json.dumps({"t": 0, "type": "repeated"}).encode() + b"\n")
            return stream.tell()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell what a file operation cannot do as an error of ours."""
    try:
        yield
    except FileNotFoundError:
        raise Gone("This launch is over.") from None
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("The state folder has no space left.", hint="Tell an admin.") from error
        raise Unavailable("The state folder cannot be written.", hint="Tell an admin.") from error
