"""What a run that has ended is: told by its outcome, or by the lack of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hub_ext.runtimes.base import Ended

_MOST_CELLS = 1_000_000

Final = Literal["succeeded", "failed", "cancelled", "lost"]


@dataclass(frozen=True)
class Verdict:
    """How a run ended.

    Attributes:
        state: Its end state.
        reason: Why, in words.
        error: What a cell raised.
        cells_done: Cells that ran to their end, None when nobody told.
        cells_total: Cells that were to run, None when nobody told.
    """

    state: Final
    reason: str = ""
    error: dict[str, Any] | None = None
    cells_done: int | None = None
    cells_total: int | None = None


def judge(ended: Ended, *, cancelled: str | None, ended_for: str | None) -> Verdict:
    """Return how a run ended.

    Args:
        ended: What is true about its launch.
        cancelled: Why somebody asked for its end; None if nobody did.
        ended_for: Why we ended it ourselves; None if we did not.
    """
    outcome = ended.outcome
    if outcome is None:
        if cancelled is not None:
            return Verdict("cancelled", cancelled)
        if ended_for is not None:
            return Verdict("failed", ended_for)
        if not ended.traced:
            return Verdict("lost", "the folder of its launch is gone, and with it how it ended")
        return Verdict("failed", f"{ended.words} before the run had ended")
    state, reason = outcome.get("state"), str(outcome.get("reason") or "")
    done, total = count(outcome.get("cells_done")), count(outcome.get("cells_total"))
    if state == "succeeded":
        return Verdict("succeeded", reason, None, done, total)
    if state == "cancelled":
        return Verdict("cancelled", cancelled or "the executor was asked to end from outside", None, done, total)
    error = outcome.get("error")
    return Verdict("failed", reason, error if isinstance(error, dict) else None, done, total)


def count(value: object) -> int | None:
    """Return a number of cells as a launch folder tells it; a notebook may write there too."""
    return value if type(value) is int and 0 <= value <= _MOST_CELLS else None
