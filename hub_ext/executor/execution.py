"""One notebook on its way through its kernel: what its cells do, and how it ends."""

from __future__ import annotations

import time
from typing import Any

from .control import Control, Ending
from .events import EventFile
from .folder import Folder
from .kernel import Kernel
from .masking import Masker
from .outputs import Outputs
from .processes import memory_kills
from .spec import LaunchSpec
from .streams import plain

INJECTED = "injected-parameters"
_SKIPPED = "skip-execution"
_EXCERPT = 200
_LONGEST_MESSAGE = 2000
_LONGEST_TRACEBACK = 20_000


def human(size: int) -> str:
    """Return a size as people say it (``10 MB``; 1 MB = 2**20 bytes)."""
    value, unit = float(size), "bytes"
    for following in ("KB", "MB", "GB"):
        if value < 1024:
            break
        value, unit = value / 1024, following
    return f"{value:.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"


class Execution:
    """A run, from the first cell to its end.

    Args:
        folder: The launch folder.
        spec: What the service asks for.
        kernel: The kernel, booting.
        control: What may end the run early.
        events: Where progress is told.
        masker: Takes secrets out.
    """

    def __init__(
        self, folder: Folder, spec: LaunchSpec, kernel: Kernel, control: Control, events: EventFile, masker: Masker
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.kernel = kernel
        self.control = control
        self.events = events
        self.masker = masker
        self.outputs = Outputs(masker, events, spec.output_limit, human(spec.output_limit))
        self.notebook: Any = None
        self.connected = False
        self.total = 0
        self.done = 0
        self.ending: Ending | None = None
        self._current: int | None = None
        self._started = 0.0
        self._kills = memory_kills()

    def begin(self, notebook: Any) -> None:
        """The notebook is loaded."""
        self.notebook = notebook
        self.total = sum(self.counts(cell) for cell in notebook.cells)
        self.events.add("run_started", cells=self.total)

    def is_injected(self, cell: Any) -> bool:
        """Return whether a cell is the one that sets the parameters."""
        return INJECTED in cell.metadata.get("tags", [])

    def counts(self, cell: Any) -> bool:
        """Return whether a cell is one of those that people count: it has code, and will be run."""
        tags = cell.metadata.get("tags", [])
        return bool(
            cell.cell_type == "code" and cell.source.strip() and _SKIPPED not in tags and not self.is_injected(cell)
        )

    def cell_started(self, cell: Any, index: int) -> None:
        """A cell is about to run."""
        self._current = index
        self._started = time.monotonic()
        self.outputs.begin(index)
        if not self.is_injected(cell):
            excerpt = cell.source.strip()[:_EXCERPT]
            self.events.add("cell_started", index=index, n=self.done + 1, total=self.total, source_excerpt=excerpt)

    def cell_finished(self, index: int) -> None:
        """A cell ran to its end."""
        self._current = None
        if not self.is_injected(self.notebook.cells[index]):
            self.done += 1
            seconds = round(time.monotonic() - self._started, 3)
            self.events.add("cell_finished", index=index, seconds=seconds)

    def cell_raised(self, content: dict[str, Any], index: int, *, may_raise: bool) -> bool:
        """A cell raised; return whether that ends the run."""
        if self.control.ending is not None:
            return True
        name, message = str(content.get("ename", "")), str(content.get("evalue", ""))
        if may_raise:
            self.cell_finished(index)
            return False
        if name == "SystemExit" and message in ("", "0", "None"):
            self.cell_finished(index)
            self.ended_itself(index)
            return True
        name, message = self.masker.text(plain(name)), self.masker.text(plain(message))
        traceback = self.masker.text(plain("\n".join(map(str, content.get("traceback") or []))))
        error = {
            "name": name[:200],
            "message": message[:_LONGEST_MESSAGE],
            "cell": index,
            "traceback": _middle_out(traceback, _LONGEST_TRACEBACK),
        }
        what = f"{name}: {message}" if message else name
        first_line = what.strip().partition("\n")[0][:300]
        self.ending = Ending("failed", f"{self.cell_words(index)} raised {first_line}", error)
        return True

    def ended_itself(self, index: int) -> None:
        """A cell says that the notebook has done what it had to do."""
        self.ending = Ending("succeeded", f"the notebook ended itself in {self.cell_words(index)}")

    def cell_words(self, index: int) -> str:
        """Return what people call a cell."""
        if self.is_injected(self.notebook.cells[index]):
            return "the cell that sets the parameters"
        number = sum(self.counts(cell) for cell in self.notebook.cells[: index + 1])
        return f"cell {number} of {self.total}"

    def kernel_died(self) -> None:
        """The kernel's process has ended before the notebook did."""
        if self.ending is not None:
            return
        where = "" if self._current is None else f" in {self.cell_words(self._current)}"
        reason = f"{self.kernel.how_it_ended(ready=self.connected)}{where}"
        if self.spec.memory_held and memory_kills() > self._kills:
            reason = f"it needed more memory than its {self.spec.memory_words}{where}"
        words = self.kernel.last_words(self.masker)
        error = {"name": "KernelDied", "message": reason, "cell": self._current, "traceback": plain(words)}
        self.ending = Ending("failed", reason, error)

    def kernel_mute(self) -> None:
        """The kernel did not begin to answer in time."""
        self.ending = Ending("failed", f"the kernel did not answer within {self.spec.startup:.0f} seconds")

    def final(self) -> Ending:
        """Return how it ended."""
        if self.control.ending is not None and not self._all_done():
            return self.control.ending
        return self.ending or Ending("succeeded")

    def _all_done(self) -> bool:
        return self.ending is None and self.notebook is not None and self.done == self.total


def _middle_out(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[…]\n{text[-half:]}"
