"""What a run that has ended is: told by its outcome, or by the lack of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hub_ext.runtimes.base import Ended

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


def judge(ended: Ended, *, cancelled: str | None, overdue: str | None, known: bool) -> Verdict:
    """Return how a run ended.

    Args:
        ended: What is true about its launch.
        cancelled: Why somebody asked for its end; None if nobody did.
        overdue: Why we ended it ourselves, past its deadline; None if we did not.
        known: Whether there is a trace of the launch.
    """
    outcome = ended.outcome
    if outcome is None:
        if cancelled is not None:
            return Verdict("cancelled", cancelled)
        if overdue is not None:
            return Verdict("failed", overdue)
        if not known:
            return Verdict("lost", "the folder of its launch is gone, and with it how it ended")
        return Verdict("failed", f"{ended.words} before the run had ended")
    state, reason = outcome.get("state"), str(outcome.get("reason") or "")
    done, total = _count(outcome.get("cells_done")), _count(outcome.get("cells_total"))
    if state == "succeeded":
        return Verdict("succeeded", reason, None, done, total)
    if state == "cancelled":
        return Verdict("cancelled", cancelled or "the executor was asked to end from outside", None, done, total)
    error = outcome.get("error")
    return Verdict("failed", reason, error if isinstance(error, dict) else None, done, total)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
