"""Whose run is next."""

from __future__ import annotations

from collections.abc import Callable

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.people import Person
from hub_ext.runs.queue import next_queued


def test_who_has_as_many_as_one_may_waits_and_keeps_nobody_else_waiting(
    database: Database, publish: Callable[..., str], order: Callable[..., Run], ben: Person
) -> None:
    workflow = publish("1")
    first, second = sorted(order(workflow).id for _ in range(2))
    other = order(workflow, person=ben).id

    def following(most: int | None = None) -> str | None:
        with database.read() as session:
            return next_queued(session, most)

    def begin(run_id: str) -> None:
        with database.write() as session:
            session.get_one(Run, run_id).state = "running"

    assert following() == following(1) == min(first, other)
    begin(first)
    assert following() == following(1) == other
    begin(other)
    assert following(1) is None
    assert following(2) == following() == second
    begin(second)
    assert following() is None
