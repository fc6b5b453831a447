"""The launch folder: what lies where, who is alive, and how an end is told. Standard library only."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Every process of a launch has this in its environment, so that each is found whoever its parent is.
MARKER = "HUB_EXT_LAUNCH"

# Space kept for the outcome from the start on, so that a full disk can still be told.
RESERVED = 64 * 1024

_LARGEST_OUTCOME = 2**20
_LAST_WORDS = 2000
_MOST_LOOKED_AT = 20_000
_NOT_KEPT = frozenset({"__pycache__", ".ipynb_checkpoints"})
_KIND = re.compile(r"[a-z_]{1,40}")


class Folder:
    """The folder of one launch.

    Args:
        root: ``launches/<launch id>``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spec = root / "spec.json"
        self.notebook = root / "notebook.ipynb"
        self.lock = root / "lock"
        self.process = root / "pid.json"
        self.events = root / "events.jsonl"
        self.log = root / "executor.log"
        self.work = root / "work"
        self.home = root / "home"
        self.temporary = root / "tmp"
        self.report = root / "report.html"
        self.output = root / "output.ipynb"
        self.picture = root / "picture.png"
        self.outcome = root / "outcome.json"
        self.reserve = root / "outcome.reserved"
        self.left_out = root / "left-out.txt"

    @property
    def launch_id(self) -> str:
        """The launch id."""
        return self.root.name

    def make(self) -> None:
        """Make the folder and those in it; only its user may enter."""
        for path in (self.root, self.work, self.home, self.temporary):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take_lock(self) -> int:
        """Take the lock that says "alive" and return its file descriptor; children do not inherit it."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def is_locked(self) -> bool:
        """Return whether an executor is alive in this folder."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def has_begun(self) -> bool:
        """Return whether the executor was told to go, and so may have run a part of the notebook."""
        try:
            return self.events.stat().st_size > 0
        except OSError:
            return False

    def reserve_outcome(self) -> None:
        """Keep space for the outcome."""
        self.reserve.write_bytes(b"\n" * RESERVED)

    def write_outcome(self, outcome: dict[str, Any]) -> None:
        """Write how it ended, all or nothing, into the space that was reserved for it."""
        text = json.dumps(outcome).encode()
        with self.reserve.open("r+b" if self.reserve.exists() else "wb") as stream:
            stream.write(text)
            stream.flush()
            stream.truncate(len(text))
            os.fsync(stream.fileno())
        self.reserve.replace(self.outcome)

    def read_outcome(self) -> dict[str, Any] | None:
        """Return how it ended; None while it has not."""
        try:
            if self.outcome.stat().st_size > _LARGEST_OUTCOME:
                return None
            found = json.loads(self.outcome.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def how_it_ended(self, code: int | None) -> str:
        """Return in words how an executor ended that did not tell it itself.

        Args:
            code: Its exit code, negative for a signal; None if nobody knows.
        """
        how = "the executor was ended from outside"
        if code is not None and code < 0:
            how = f"the executor was ended by signal {-code}"
        elif code:
            how = f"the executor ended with exit code {code}"
        with contextlib.suppress(OSError):
            last = self.log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").strip().rpartition("\n")[2]
            return f"{how} ({last[:300]})" if last and code and code > 0 else how
        return how

    def read_events(self, offset: int, limit: int = 4 * 2**20) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield complete events from a byte offset on.

        Args:
            offset: Where to begin; the beginning of a line.
            limit: Most bytes of events that are read in one go (one line is always read whole).

        Yields:
            The offset after the event, and the event.
        """
        with contextlib.suppress(OSError), self.events.open("rb") as stream:
            stream.seek(offset)
            while limit > 0:
                line = stream.readline()
                if not line.endswith(b"\n"):
                    return
                event = parse_event(line)
                if event is not None:
                    limit -= len(line)
                    yield stream.tell(), event

    def files(self) -> Iterator[tuple[Path, int]]:
        """Yield the regular files below `work` and their sizes, by name; links are neither followed nor told."""
        looked_at = 0
        for here, folders, names in os.walk(self.work, followlinks=False):
            folders[:] = sorted(name for name in folders if name not in _NOT_KEPT)
            for name in sorted(names):
                looked_at += 1
                if looked_at > _MOST_LOOKED_AT:
                    return
                path = Path(here, name)
                found = path.lstat()
                if stat.S_ISREG(found.st_mode):
                    yield path, found.st_size


def parse_event(line: bytes) -> dict[str, Any] | None:
    """Return the event that a line holds; None for one that a killed writer left in pieces, or that is none of ours."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kind = event.get("type") if isinstance(event, dict) else None
    return event if isinstance(kind, str) and _KIND.fullmatch(kind) and kind != "state" else None
