"""The events of a run, appended to a file as they happen, one JSON object a line."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

# No space, over quota, over the largest size of a file.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class EventFile:
    """Appends events; safe to use from several threads.

    Output events have a limit in bytes, the others do not: there are a few of them for each cell.

    Args:
        path: The file.
        limit: Most bytes of output events.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._left = limit
        self._began = time.monotonic()
        self.disk_full = False
        self.truncated = False

    def seconds(self) -> float:
        """Return the seconds since the run began, to the millisecond."""
        return round(time.monotonic() - self._began, 3)

    def add(self, kind: str, **content: Any) -> None:
        """Append an event; a full disk is remembered, and the run goes on."""
        line = json.dumps({"t": self.seconds(), "type": kind, **content}, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._write(line)

    def output(self, cell: int, kind: str, **content: Any) -> None:
        """Append an output event, unless the limit is reached.

        Args:
            cell: Index of the cell.
            kind: ``stream``, ``text``, ``png``, ``html_omitted`` or ``error``.
            content: Its ``name``, ``text`` or ``data``.
        """
        event = {"t": self.seconds(), "type": "output", "cell": cell, "kind": kind, **content}
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._left -= len(line)
            if self._left >= 0:
                self._write(line)
                return
        self.truncate(cell)

    def truncate(self, cell: int) -> None:
        """Say, once, that further output is dropped."""
        with self._lock:
            if self.truncated:
                return
            self.truncated = True
            self._left = 0
        self.add("truncated", cell=cell)

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.disk_full = True
            return
        if written < len(line):
            # Half a line on a full disk: its reader skips it once there is an end of line.
            self.disk_full = True
            self._write(b"\n") if written else None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
