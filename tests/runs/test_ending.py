"""What a run that has ended is, for every trace that it may have left."""

from __future__ import annotations

from typing import Any

import pytest

from hub_ext.runs.ending import Verdict, count, judge
from hub_ext.runtimes.base import Ended

KILLED = Ended(True, None, "it was killed")
ERROR = {"name": "ValueError", "message": "no", "cell": 1, "traceback": ""}


def told(**outcome: Any) -> Ended:
    return Ended(True, {"reason": "", "cells_done": 1, "cells_total": 2, **outcome})


@pytest.mark.parametrize(
    ("ended", "cancelled", "ended_for", "verdict"),
    [
        (told(state="succeeded"), None, None, Verdict("succeeded", "", None, 1, 2)),
        (told(state="succeeded"), "cancelled", None, Verdict("succeeded", "", None, 1, 2)),
        (told(state="cancelled"), "cancelled", None, Verdict("cancelled", "cancelled", None, 1, 2)),
        (
            told(state="cancelled"),
            None,
            None,
            Verdict("cancelled", "the executor was asked to end from outside", None, 1, 2),
        ),
        (
            told(state="failed", reason="it raised", error=ERROR),
            None,
            None,
            Verdict("failed", "it raised", ERROR, 1, 2),
        ),
        (
            told(state="odd", error="odd", cells_done=-1, cells_total=10**30),
            None,
            None,
            Verdict("failed", "", None, None, None),
        ),
        (
            Ended(True, None, "it was killed"),
            None,
            None,
            Verdict("failed", "it was killed before the run had ended"),
        ),
        (Ended(True, None, "it was killed"), "cancelled", None, Verdict("cancelled", "cancelled")),
        (Ended(True, None, "it was killed"), None, "ran too long", Verdict("failed", "ran too long")),
    ],
)
def test_the_outcome_counts_and_without_one_what_is_known(
    ended: Ended, cancelled: str | None, ended_for: str | None, verdict: Verdict
) -> None:
    assert judge(ended, cancelled=cancelled, ended_for=ended_for) == verdict


def test_lost_is_only_what_left_no_trace_at_all() -> None:
    gone = Ended(False, None, "it was killed", traced=False)
    assert judge(gone, cancelled=None, ended_for="it ran too long").state == "failed"
    assert judge(gone, cancelled="cancelled", ended_for=None).state == "cancelled"
    assert judge(gone, cancelled=None, ended_for=None).state == "lost"


@pytest.mark.parametrize("value", [True, -1, 1.0, "3", None, 10**7])
def test_what_is_no_number_of_cells_is_none(value: object) -> None:
    assert count(value) is None


@pytest.mark.parametrize(
    ("ended", "cancelled", "verdict"),
    [
        (Ended(True, None, reason="it needed more"), None, Verdict("failed", "it needed more")),
        (Ended(True, None, reason="it needed more"), "cancelled", Verdict("cancelled", "cancelled")),
        (Ended(False, None, reason="no image", traced=False, final=True), None, Verdict("failed", "no image")),
        (Ended(True, {"state": "cancelled"}, reason="its pod went"), None, Verdict("failed", "its pod went")),
        (Ended(True, {"state": "cancelled"}, reason="its pod went"), "cancelled", Verdict("cancelled", "cancelled")),
        (Ended(True, {"state": "succeeded"}, reason="its pod went"), None, Verdict("succeeded")),
    ],
)
def test_what_the_surroundings_know_counts_where_nobody_asked_for_an_end(
    ended: Ended, cancelled: str | None, verdict: Verdict
) -> None:
    assert judge(ended, cancelled=cancelled, ended_for=None) == verdict


def test_what_an_executor_tells_is_kept_in_sizes_and_characters_that_a_database_takes() -> None:
    error = {"name": "x" * 10**6, "message": "a\x00b\udcff", "cell": 10**12, "traceback": ["no text"], "more": "x"}
    found = judge(told(state="failed", reason="r\x00" * 10**5, error=error), cancelled=None, ended_for=None)
    assert len(found.reason) <= 4000
    assert "\x00" not in found.reason
    assert found.error is not None
    assert set(found.error) == {"name", "message", "cell", "traceback"}
    assert (found.error["message"], found.error["cell"], len(found.error["name"])) == ("ab?", None, 200)
