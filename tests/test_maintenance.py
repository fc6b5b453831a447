"""While it is read-only nothing changes, in any process; what was begun is ended, and it ends when an admin says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Change
from hub_ext.db.types import now
from hub_ext.decisions import CatalogStore, DecisionPoint, parse_request
from hub_ext.errors import Forbidden, InvalidInput, ReadOnlyNow
from hub_ext.maintenance import Maintenance
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.spawner.asking import Typed
from hub_ext.spawner.ledger import Ledger

ADAM = Person("adam", roles=frozenset({"admin"}), may_administer=True)
CLARA = Person("clara", roles=frozenset({"curator", "reviewer", "auditor"}), may_administer=True)


@pytest.fixture
def maintenance(database: Database) -> Maintenance:
    return Maintenance(database)


def soon() -> timedelta:
    return timedelta(hours=1)


def test_admins_begin_and_end_it_and_that_is_recorded_and_told(maintenance: Maintenance, database: Database) -> None:
    assert maintenance.look() is None
    maintenance.check()
    begun = maintenance.begin(ADAM, now() + soon(), " A larger disk. ")
    assert maintenance.look() == begun
    assert (begun.why, begun.by) == ("A larger disk.", "adam")
    with pytest.raises(ReadOnlyNow, match=r"until \d{4}-\d\d-\d\d \d\d:\d\d UTC: A larger disk\.") as caught:
        maintenance.check()
    assert 3000 < caught.value.retry_after <= 3600
    maintenance.end(ADAM)
    maintenance.end(ADAM)
    maintenance.check()
    with database.read() as session:
        acts = session.scalars(select(AuditRow.action).where(AuditRow.object_type == "platform").order_by(AuditRow.id))
        assert list(acts) == ["platform.read_only", "platform.writable"]
        assert session.scalars(select(Change.topic)).all() == ["platform", "platform"]


def test_nobody_else_does(maintenance: Maintenance) -> None:
    for person in (CLARA, Person("ann")):
        with pytest.raises(Forbidden):
            maintenance.begin(person, now() + soon(), "x")
        with pytest.raises(Forbidden):
            maintenance.end(person)
    assert maintenance.look() is None


@pytest.mark.parametrize(("hours", "why", "field"), [(-1, "x", "until"), (1, "  ", "why"), (1, "x" * 501, "why")])
def test_what_cannot_be_is_named(maintenance: Maintenance, hours: int, why: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        maintenance.begin(ADAM, now() + timedelta(hours=hours), why)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert maintenance.look() is None


def test_it_lasts_past_its_time_until_it_is_ended(
    maintenance: Maintenance, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintenance.begin(ADAM, now() + timedelta(hours=1), "x")
    later = now() + timedelta(hours=5)
    monkeypatch.setattr("hub_ext.maintenance.now", lambda: later)
    with pytest.raises(ReadOnlyNow) as caught:
        Maintenance(database).check()
    assert caught.value.retry_after == 10


def test_another_process_knows_it(maintenance: Maintenance, database: Database) -> None:
    other = Maintenance(database)
    assert other.look() is None
    maintenance.begin(ADAM, now() + soon(), "x")
    other._looked = float("-inf")  # a second later
    assert other.look() is not None


def test_nothing_is_decided_and_nothing_asked_for_at_the_hub(
    maintenance: Maintenance, database: Database, settings: HubExt
) -> None:
    decisions = DecisionPoint(database, CatalogStore(settings), settings)
    request = parse_request("ann", "server", {"profile": "standard", "options": {}})
    maintenance.begin(ADAM, now() + soon(), "x")
    with pytest.raises(ReadOnlyNow), database.write() as session:
        decisions.decide(session, request, ["analysts"], "")
    ledger = Ledger(settings)
    try:
        with pytest.raises(ReadOnlyNow):
            ledger.ask(Person("ann", frozenset({"analysts"}), may_administer=True), Typed("gpu", "To test.", ""))
    finally:
        ledger.database.dispose()
    maintenance.end(ADAM)
    with database.write() as session:
        assert decisions.decide(session, request, ["analysts"], "")[0].allowed
