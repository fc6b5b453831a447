"""The state machine: what is not in its table does not happen."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Run
from hub_ext.people import Person
from hub_ext.runs.service import Order, RunService
from hub_ext.runs.states import ACTIVE, ENDED, STATES, TRANSITIONS, IllegalMove, Writer, move


def test_every_state_can_be_reached_and_an_end_is_an_end() -> None:
    reached, fresh = {"new"}, {"new"}
    while fresh:
        fresh = {to for frm, to in TRANSITIONS if frm in reached} - reached
        reached |= fresh
    assert reached == {"new", *STATES}
    assert not [frm for frm, _ in TRANSITIONS if frm in ENDED]
    assert {"queued", *ACTIVE, *ENDED} == set(STATES)


@pytest.mark.parametrize(("frm", "to"), list(itertools.product(["", *STATES], STATES)))
def test_nothing_but_the_table_happens(
    frm: str, to: str, service: RunService, publish: Callable[..., str], amy: Person, database: Database
) -> None:
    run_id = service.create(amy, publish("1"), Order({})).run.id
    writers: tuple[Writer, ...] = ("service", "reconciler")
    allowed = TRANSITIONS.get((frm or "new", to))
    for writer in writers:
        with database.write() as session:
            run = session.get_one(Run, run_id)
            run.state = frm
            if writer == allowed:
                move(session, run, to, writer=writer, actor="x", reason="because")  # type: ignore[arg-type]
                assert run.state == to
                assert (run.ended_at is not None, run.reason) == ((True, "because") if to in ENDED else (False, ""))
                assert (run.started_at is not None) == (to == "running")
            else:
                with pytest.raises(IllegalMove):
                    move(session, run, to, writer=writer, actor="x")  # type: ignore[arg-type]
            session.rollback()


def test_an_end_is_in_the_audit_with_its_reason(
    service: RunService, publish: Callable[..., str], amy: Person, database: Database
) -> None:
    run_id = service.create(amy, publish("1"), Order({})).run.id
    with database.write() as session:
        run = session.get_one(Run, run_id)
        move(session, run, "starting", writer="reconciler", actor="service:reconciler")
        move(session, run, "failed", writer="reconciler", actor="service:reconciler", reason="no space")
    with database.read() as session:
        row = session.scalars(select(AuditRow).where(AuditRow.action == "run.end")).one()
    assert (row.outcome, row.detail) == ("failed", {"state": "failed", "reason": "no space"})
