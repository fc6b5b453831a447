"""Which of the queued runs is next: the oldest, of whoever has the fewest active and may have one more."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub_ext.db.tables import Run
from hub_ext.runs.states import ACTIVE


def next_queued(session: Session, most: int | None = None, held_back: Collection[str] = ()) -> str | None:
    """Return the id of the run that is to be started next; None when none waits, or none may be started now.

    Args:
        session: A transaction.
        most: How many one person may have active at once; None for as many as there is room for.
        held_back: Whose runs are not to be started now.
    """
    waiting = select(Run.caller, func.min(Run.id)).where(Run.state == "queued", Run.caller.not_in(held_back))
    waiting = waiting.group_by(Run.caller)
    oldest = {caller: run_id for caller, run_id in session.execute(waiting) if run_id is not None}
    busy = select(Run.caller, func.count(Run.id)).where(Run.state.in_(ACTIVE)).group_by(Run.caller)
    active = {caller: count for caller, count in session.execute(busy)}  # noqa: C416  # rows are no pairs to mypy
    may = {caller: run_id for caller, run_id in oldest.items() if most is None or active.get(caller, 0) < most}
    if not may:
        return None
    # An id begins with the time it was made at.
    return min(may.items(), key=lambda item: (active.get(item[0], 0), item[1]))[1]
