"""What ends a run before its last cell: somebody who cancels it, its deadline, its memory."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

from .kernel import Kernel
from .processes import descendants, end_all, memory_of, reap
from .spec import LaunchSpec

_CHECK = 1.0  # seconds between two looks at the memory
_CHECK_CLOSELY = 0.2  # … once more than half of it is used


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        state: ``succeeded``, ``failed`` or ``cancelled``.
        reason: Why, in words.
        error: ``name``, ``message``, ``cell`` and ``traceback`` of what a cell raised.
    """

    state: str
    reason: str = ""
    error: dict[str, Any] | None = None


class Control:
    """Ends the run when it must end; the first reason counts.

    Args:
        spec: Its limits.
    """

    def __init__(self, spec: LaunchSpec) -> None:
        self._spec = spec
        self._deadline = time.monotonic() + spec.deadline
        self._lock = threading.Lock()
        self._wake = os.pipe()
        self._left = threading.Event()
        self.ending: Ending | None = None

    def listen(self) -> None:
        """Cancel the run on SIGTERM. The handler only writes to a pipe: it may interrupt anything."""
        signal.signal(signal.SIGTERM, lambda *_: self._poke())
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _poke(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b"c")

    def watch(self, kernel: Kernel) -> None:
        """Begin to watch the kernel, in a thread."""
        threading.Thread(target=self._watch, args=(kernel,), daemon=True).start()

    def left_cells(self) -> None:
        """Tell that no cell runs any more, so that nothing need be interrupted."""
        self._left.set()

    def stop(self, ending: Ending) -> None:
        """End the run, unless it has another reason to end already."""
        with self._lock:
            self.ending = self.ending or ending

    def _watch(self, kernel: Kernel) -> None:
        pause = _CHECK
        while self.ending is None and not self._left.is_set():
            until_deadline = max(0.0, self._deadline - time.monotonic())
            asked, _, _ = select.select([self._wake[0]], [], [], min(pause, until_deadline))
            if self._left.is_set():
                return
            if asked:
                self.stop(Ending("cancelled", "cancelled"))
            elif time.monotonic() >= self._deadline:
                self.stop(Ending("failed", f"ran longer than its limit of {self._spec.deadline_words}"))
            else:
                pause = self._check_memory(kernel)
        if self.ending is not None:
            self._end_cell(kernel)

    def _check_memory(self, kernel: Kernel) -> float:
        reap(kernel.process.pid)
        if not self._spec.memory:
            return _CHECK
        used = memory_of(descendants())
        if used > self._spec.memory:
            self.stop(Ending("failed", f"used more than {self._spec.memory_words} of memory"))
            end_all()
        return _CHECK_CLOSELY if used > self._spec.memory / 2 else _CHECK

    def _end_cell(self, kernel: Kernel) -> None:
        kernel.interrupt()
        if not self._left.wait(self._spec.grace):
            kernel.kill()
