"""What a run that has ended is: told by its outcome, or by the lack of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hub_ext.runtimes.base import Ended

END_STATES = ("succeeded", "failed", "cancelled")  # that an executor may tell

_MOST_CELLS = 1_000_000
_LONGEST_REASON = 4000
_LONGEST = {"name": 200, "message": 4000, "traceback": 40_000}

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
        return _untold(ended, cancelled, ended_for)
    state, reason = outcome.get("state"), _text(outcome.get("reason"), _LONGEST_REASON)
    done, total = count(outcome.get("cells_done")), count(outcome.get("cells_total"))
    if state == "succeeded":
        return Verdict("succeeded", reason, None, done, total)
    if state == "cancelled" and cancelled is None and (ended.reason or ended_for):
        return Verdict("failed", ended.reason or str(ended_for), None, done, total)
    if state == "cancelled":
        return Verdict("cancelled", cancelled or "the executor was asked to end from outside", None, done, total)
    return Verdict("failed", reason, _error(outcome.get("error")), done, total)


def _untold(ended: Ended, cancelled: str | None, ended_for: str | None) -> Verdict:
    """Return how a run ended that could not tell it itself."""
    if cancelled is not None:
        return Verdict("cancelled", cancelled)
    if ended_for is not None or ended.reason:
        return Verdict("failed", ended_for or ended.reason)
    if not ended.traced:
        return Verdict("lost", "the folder of its launch is gone, and with it how it ended")
    return Verdict("failed", f"{ended.words} before the run had ended")


def _text(value: object, most: int) -> str:
    """Return a text that any database keeps."""
    return str(value or "")[:most].replace("\x00", "").encode("utf-8", "replace").decode()


def _error(error: object) -> dict[str, Any] | None:
    """Return what a cell raised, in sizes that can be shown."""
    if not isinstance(error, dict):
        return None
    cell = error.get("cell")
    texts = {name: _text(error.get(name), most) for name, most in _LONGEST.items()}
    return {**texts, "cell": cell if type(cell) is int and 0 <= cell <= _MOST_CELLS else None}


def count(value: object) -> int | None:
    """Return a number of cells as a launch folder tells it; a notebook may write there too."""
    return value if type(value) is int and 0 <= value <= _MOST_CELLS else None
