"""Which of the queued runs is next: the oldest, of whoever has the fewest active."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub_ext.db.tables import Run
from hub_ext.runs.states import ACTIVE


def next_queued(session: Session) -> str | None:
    """Return the id of the run that is to be started next; None when none waits.

    Args:
        session: A transaction.
    """
    waiting = select(Run.caller, func.min(Run.id)).where(Run.state == "queued").group_by(Run.caller)
    oldest = {caller: run_id for caller, run_id in session.execute(waiting) if run_id is not None}
    if not oldest:
        return None
    busy = select(Run.caller, func.count(Run.id)).where(Run.state.in_(ACTIVE)).group_by(Run.caller)
    active = {caller: count for caller, count in session.execute(busy)}  # noqa: C416  # rows are no pairs to mypy
    # An id begins with the time it was made at.
    return min(oldest.items(), key=lambda item: (active.get(item[0], 0), item[1]))[1]
