"""The kernel's process tree: started so that nothing of it survives, watched, and ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_SETTLE = 5.0  # seconds until the end of killed processes is given up; they are in the kernel of the system then

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make every process that loses its parent a child of this one (Linux), so that it can be ended."""
    with contextlib.suppress(AttributeError):
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """End this process as soon as the thread that started it ends (Linux). Called in the child, before exec."""
    with contextlib.suppress(AttributeError):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def hide() -> None:
    """Let no other process of this user look into this one's memory or environment (Linux)."""
    with contextlib.suppress(AttributeError):
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def memory_kills() -> int:
    """Return how often the system ended a process of this container because its memory was used up."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def prefer_for_memory_kill(pid: int) -> None:
    """Let the system end this process first when its memory is used up, rather than the platform."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")


def descendants() -> list[int]:
    """Return the ids of all processes below this one."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process().children(recursive=True)]
    return []


def reap(spare: int) -> None:
    """Take leave of orphans that have ended.

    Args:
        spare: The kernel's own id; whoever started it wants to know how it ended.
    """
    for pid in descendants():
        if pid != spare:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def memory_of(pids: Iterable[int]) -> int:
    """Return the memory of processes in bytes; what they share is counted once where the system can tell."""
    return sum(_memory(pid) for pid in pids)


def _memory(pid: int) -> int:
    for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    return _resident(pid)


def _resident(pid: int) -> int:
    import psutil

    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def end_all() -> bool:
    """Kill everything below this process, also what forks meanwhile.

    Returns:
        Whether all of it has ended.
    """
    deadline = time.monotonic() + _SETTLE
    while pids := descendants():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
