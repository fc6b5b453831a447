"""The runs of somebody who has left: those that wait are cancelled, those that run are asked to end."""

from __future__ import annotations

from sqlalchemy import select

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import Account, Run
from hub_ext.db.types import now
from hub_ext.runs.states import ACTIVE, announce, move


def take_runs(database: Database, name: str, why: str, by: str, *, everything: bool, gone: bool = False) -> None:
    """End the runs of somebody, and write down that she left.

    Args:
        database: Where they are.
        name: Whose.
        why: What happened to her, in words.
        by: Who ends them.
        everything: False: her sessions ended, and her runs go on.
        gone: The provider lets her in no more.
    """
    at = now()
    with database.write() as session:
        runs = session.scalars(
            select(Run).where(Run.caller == name, Run.state.in_(["queued", *ACTIVE])).with_for_update()
        )
        ended = []
        for run in runs if everything else ():
            if run.cancel_requested_at is not None:
                continue
            run.cancel_requested_at, run.cancelled_by = at, by
            ended.append(run.id)
            if run.state == "queued":
                move(session, run, "cancelled", writer="service", actor=by, reason=f"whoever ordered it {why}")
            else:
                announce(session, run)
        row = session.get(Account, name, with_for_update=True)
        if row is not None:
            row.left_at, row.left_why = at, why
            row.gone_at = (row.gone_at or at) if gone else row.gone_at
        detail = {"why": why, "runs": ended[:200], "everything": everything}
        audit.record(session, by, "person.leave", ("person", name), detail=detail)
