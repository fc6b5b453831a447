"""Keeps the sharing service running: starts its worker, starts it again at once when it dies, ends when the Hub does.

The Hub looks after a managed service every half minute; this looks at once. It uses the standard library alone and is
run as a file without `site`, so that it costs little memory.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_SHORT = 1.0  # a worker that lived less long than this, in seconds, failed to start
_LONGEST_PAUSE = 10.0
_GRACE = 10.0  # how long the worker gets to end


def die_with_parent(number: int) -> None:
    """Ask the kernel for a signal when the parent dies (Linux; elsewhere the parent is looked at every second)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, number)


def pause_after(lived: float, failures: int) -> float:
    """Return how long to wait before the next start, in seconds.

    Args:
        lived: How long the worker lived, in seconds.
        failures: How many before it lived shortly, without a long one in between.
    """
    if lived >= _SHORT or failures == 0:
        return 0.0
    return float(min(0.25 * 2 ** (failures - 1), _LONGEST_PAUSE))


class Supervisor:
    """Runs one command for as long as its parent lives.

    Args:
        command: What to run.
        log: File that the worker's output is appended to; None: our own output.
    """

    def __init__(self, command: list[str], log: Path | None = None) -> None:
        self.command = command
        self.log = log
        self.parent = os.getppid()
        self.stopping = False
        self.worker: subprocess.Popen[bytes] | None = None

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: pass it on, and start nothing any more."""
        self.stopping = True
        if self.worker is not None and self.worker.poll() is None:
            self.worker.send_signal(number)

    def run(self) -> int:
        """Run until told to stop, or until the parent is gone; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        die_with_parent(signal.SIGTERM)
        failures = 0
        while not self.stopping and os.getppid() == self.parent:
            began = time.monotonic()
            self._start()
            self._watch()
            lived = time.monotonic() - began
            self._pause(pause_after(lived, failures))
            failures = failures + 1 if lived < _SHORT else 0
        self._end()
        return 0

    def _start(self) -> None:
        if self.log is None:
            self.worker = subprocess.Popen(self.command, preexec_fn=_worker_dies_too)  # noqa: S603
            return
        with self.log.open("ab") as output:
            self.worker = subprocess.Popen(  # noqa: S603
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_worker_dies_too,  # this process has one thread
            )

    def _watch(self) -> None:
        """Return when the worker has ended, or when it has to."""
        while self.worker is not None and not self.stopping and os.getppid() == self.parent:
            try:
                # On Linux a signal tells of the parent's death, and is passed on: no need to look.
                self.worker.wait(None if sys.platform == "linux" else 1.0)
            except subprocess.TimeoutExpired:
                continue
            else:
                return

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stopping and os.getppid() == self.parent:
            time.sleep(0.05)

    def _end(self) -> None:
        if self.worker is None or self.worker.poll() is not None:
            return
        self.worker.terminate()
        try:
            self.worker.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.worker.kill()
            self.worker.wait()


def _worker_dies_too() -> None:
    die_with_parent(signal.SIGTERM)


def _record(state: Path) -> None:
    """Write down this process, in the form that `processes.Recorded` reads."""
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    path = state / "run" / "service.json"
    path.write_text(json.dumps({"pid": os.getpid(), "started": f"{boot}:{ticks}"}))


def main(arguments: list[str]) -> int:
    """Supervise a command; by default the sharing service.

    Args:
        arguments: The command; empty for the service.
    """
    state = os.environ.get("HUB_EXT_STATE_DIR")
    log = None
    if state and (Path(state) / "logs").is_dir():
        log = Path(state) / "logs" / "service.log"
        if sys.platform == "linux" and (Path(state) / "run").is_dir():
            _record(Path(state))
    return Supervisor(arguments or [sys.executable, "-m", "hub_ext.web.server"], log).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
