"""Processes that outlive the one that started them: how they are recorded, found again and ended.

A process id alone says nothing: ids are used again. So a record holds the id and when that process started, and nothing
is ever signalled whose start time differs.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from hub_ext.runtimes.identity import started

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15000


def start_time(pid: int) -> str | None:
    """Return when a process started, in a form that stays the same; None if it is gone, or a zombie.

    Args:
        pid: Its id.
    """
    try:
        zombie = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return None if zombie else started(pid)


@dataclass(frozen=True)
class Recorded:
    """A process as it was recorded.

    Attributes:
        pid: Its id.
        started: When it started, as `start_time` tells it.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Recorded | None:
        """Return a process that runs now; None if it does not."""
        started = start_time(pid) if pid > 0 else None
        return cls(pid, started) if started else None

    @classmethod
    def load(cls, path: Path) -> Recorded | None:
        """Return what a file recorded; None if it holds no record."""
        try:
            content = json.loads(path.read_text())
            return cls(int(content["pid"]), str(content["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Write the record, all or nothing."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"pid": self.pid, "started": self.started}))
        partial.replace(path)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return start_time(self.pid) == self.started

    def process(self) -> psutil.Process | None:
        """Return the process to act on; None if it is gone."""
        try:
            return psutil.Process(self.pid) if self.alive else None
        except psutil.NoSuchProcess:
            return None


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and everything that it started and that still has it as ancestor."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def signal_all(processes: Iterable[psutil.Process], *, kill: bool = False) -> None:
    """Send SIGTERM, or SIGKILL, to each that still runs."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if kill:
                process.kill()
            else:
                process.terminate()


def end(processes: Iterable[psutil.Process], grace: float) -> None:
    """End processes: SIGTERM, and SIGKILL to those that are still there after a while. Returns when they are gone.

    Args:
        processes: Whom.
        grace: How long they get, in seconds.
    """
    wanted = list(processes)
    signal_all(wanted)
    left = _wait(wanted, grace)
    signal_all(left, kill=True)
    _wait(left, 5.0)


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for processes to end; return those that have not. A zombie has: somebody else has yet to read its status."""
    deadline = time.monotonic() + seconds
    while True:
        processes = [process for process in processes if _runs(process)]
        if not processes or time.monotonic() >= deadline:
            return processes
        time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port(preferred: int = 0) -> int:
    """Return a port of the loopback address that nobody listens on.

    It lies below those that the system gives to outgoing connections: such a one could be taken by anybody before it is
    used, and who asks it again and again whether somebody listens would some day be connected to herself.

    Args:
        preferred: The one to return if it is free.
    """
    if preferred and port_is_free(preferred):
        return preferred
    for _ in range(200):
        port = _LOWEST + secrets.randbelow(_outgoing() - _LOWEST)
        if port_is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _outgoing() -> int:
    """Return the lowest port that the system gives to outgoing connections."""
    try:
        return max(int(_RANGE.read_text().split()[0]), _LOWEST + 1000)
    except (OSError, ValueError, IndexError):
        return 32768


def port_is_free(port: int) -> bool:
    """Return whether one may listen on a port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until_gone(recorded: Recorded, seconds: float) -> bool:
    """Wait for a process that is not our child to end.

    Args:
        recorded: Which.
        seconds: How long at most.

    Returns:
        Whether it is gone.
    """
    deadline = time.monotonic() + seconds
    while recorded.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
