"""Who a process is: its id alone is given to another one some day."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil


def started(pid: int) -> str | None:
    """Return when a process was started, as a text that no other with its id ever has; None if it is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name of the program, in parentheses, may hold anything; the start is the 20th field after it.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] == b"Z" else f"{boot}:{int(fields[19])}"
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    return None


def identify(pid: int) -> dict[str, Any]:
    """Return what finds a process again."""
    return {"pid": pid, "started": started(pid)}


def runs(process: dict[str, Any] | None) -> bool:
    """Return whether a process is still there, and still the same one; one that only waits to be buried is not."""
    pid, began = (process or {}).get("pid"), (process or {}).get("started")
    return isinstance(pid, int) and began is not None and started(pid) == began


def age(process: dict[str, Any] | None) -> float | None:
    """Return the seconds that a process has been there, by the machine's own count: setting a clock changes nothing.

    Args:
        process: From `identify`.

    Returns:
        None where the machine does not count so, or nothing is known of the process.
    """
    _, _, ticks = str((process or {}).get("started")).rpartition(":")
    if not ticks.isdecimal() or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK"))


def send(process: dict[str, Any] | None, number: signal.Signals) -> bool:
    """Send a signal to a process if it is still the same one.

    Returns:
        Whether it was there.
    """
    pid = (process or {}).get("pid")
    if not isinstance(pid, int) or pid <= 1 or not runs(process):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        return True
    return False


def marked(name: str, value: str) -> list[psutil.Process]:
    """Return the processes that were started with a value in their environment, this one aside."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
    return found
