"""The end of an entitlement, with a clock that tests turn: reminded of, then no new start, a warning, and the stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from hub_ext.access.entitlements import Entitlements, Grant
from hub_ext.access.expiry import Expiry
from hub_ext.access.lifetimes import Lifetimes
from hub_ext.catalog.decide import Request
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Change, ServerStart
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import NotFound, Unavailable
from hub_ext.people import Person
from hub_ext.settings import HubExt
from tests.access.conftest import ANN, BEN, CLEO
from tests.governance.conftest import Clock

Acts = Callable[[], list[tuple[str, str, str]]]


class Hub:
    """A Hub of tests: says groups, and notes what it is asked to stop."""

    def __init__(self, **groups: set[str]) -> None:
        self.groups = groups
        self.stopped: list[tuple[str, str, str]] = []
        self.away = False

    async def groups_of(self, name: str) -> frozenset[str]:
        if self.away:
            raise Unavailable("Away.")
        if name not in self.groups:
            raise NotFound("Nobody.")
        return frozenset(self.groups[name])

    async def stop_server(self, user: str, server: str, why: str) -> bool:
        self.stopped.append((user, server, why))
        return True


@pytest.fixture
def expiry(decisions: DecisionPoint, settings: HubExt) -> Expiry:
    """With the usual settings: reminded 7 days before, stopped 30 minutes after."""
    return Expiry(decisions, settings)


@pytest.fixture
def hub() -> Hub:
    """Ann is an analyst; so is Ben."""
    return Hub(ann={"analysts"}, ben={"analysts", "students"})


def grant(entitlements: Entitlements, clock: Clock, days: float = 30, name: str = "ann", kind: str = "person") -> str:
    until = clock.at + timedelta(days=days)
    return entitlements.grant(CLEO, Grant("maps", kind, name, until, "To test.")).id  # type: ignore[arg-type]


def start(point: DecisionPoint, clock: Clock, person: Person = ANN, use: str = "s-1", server: str = "") -> bool:
    """Start a server as the ledger does, if it is allowed."""
    with point.database.write() as session:
        decided, decision = point.decide(session, Request(person.name, "server", "maps"), person.groups, server, use)
        if decided.allowed:
            row = ServerStart(id=use, user=person.name, server=server, decision_id=decision, profile="maps")
            row.profile_version, row.outcome, row.asked_at, row.ready_at = 1, "ready", clock.at, clock.at
            session.add(row)
    return decided.allowed


def row(database: Database, use: str = "s-1") -> ServerStart:
    with database.read() as session:
        return session.get_one(ServerStart, use)


def test_an_end_that_is_near_is_recorded_and_told_once(
    expiry: Expiry, entitlements: Entitlements, clock: Clock, acts: Acts, database: Database
) -> None:
    grant(entitlements, clock, 10)
    grant(entitlements, clock, 10, "students", "group")
    grant(entitlements, clock, 100, "ben")
    assert expiry.remind() == 0
    clock.forward(days=4)
    assert expiry.remind() == 2
    assert expiry.remind() == 0
    assert [act for act in acts() if act[1] == "entitlement.remind"] == [
        ("service:keeper", "entitlement.remind", "allowed")
    ] * 2
    with database.read() as session:
        topics = session.scalars(select(Change.topic).where(Change.topic == "access:ann")).all()
    assert len(topics) == 2  # the grant, and the reminder


async def test_at_the_end_no_new_start_then_a_warning_then_the_stop(
    expiry: Expiry, hub: Hub, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock, acts: Acts
) -> None:
    grant(entitlements, clock)
    assert start(decisions, clock)
    clock.forward(days=29)
    assert await expiry.end_what_has_no_right(hub) == 0
    assert row(decisions.database).must_end_at is None

    clock.forward(days=1)
    assert not start(decisions, clock, use="s-2")
    assert await expiry.end_what_has_no_right(hub) == 1
    warned = row(decisions.database)
    assert warned.must_end_at == clock.at + timedelta(minutes=30)
    assert "Your access ended on" in warned.must_end_why
    assert hub.stopped == []
    assert Lifetimes(decisions).servers_of("ann")[0].announced

    clock.forward(minutes=29)
    assert await expiry.end_what_has_no_right(hub) == 0
    clock.forward(minutes=1)
    assert await expiry.end_what_has_no_right(hub) == 1
    assert hub.stopped == [("ann", "", warned.must_end_why)]
    assert [act[1] for act in acts() if act[0] == "service:keeper"] == ["server.warn"]


async def test_an_entitlement_that_is_ended_early_ends_what_runs_by_it_likewise(
    expiry: Expiry, hub: Hub, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock
) -> None:
    held = grant(entitlements, clock)
    start(decisions, clock)
    entitlements.shorten(CLEO, held, "She has left the project.")
    assert await expiry.end_what_has_no_right(hub) == 1
    assert row(decisions.database).must_end_at == clock.at + timedelta(minutes=30)


async def test_who_is_granted_more_in_time_is_pardoned(
    expiry: Expiry, hub: Hub, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock, acts: Acts
) -> None:
    grant(entitlements, clock, 1)
    start(decisions, clock)
    clock.forward(days=1)
    assert await expiry.end_what_has_no_right(hub) == 1
    grant(entitlements, clock, 10)
    assert await expiry.end_what_has_no_right(hub) == 1
    assert (row(decisions.database).must_end_at, row(decisions.database).must_end_why) == (None, "")
    clock.forward(hours=2)
    assert await expiry.end_what_has_no_right(hub) == 0
    assert hub.stopped == []
    assert [act[1] for act in acts() if act[0] == "service:keeper"] == ["server.warn", "server.pardon"]


async def test_who_has_come_into_a_group_that_may_use_it_is_not_even_warned(
    expiry: Expiry, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock
) -> None:
    grant(entitlements, clock, 1)
    start(decisions, clock)
    clock.forward(days=1)
    assert await expiry.end_what_has_no_right(Hub(ann={"analysts", "gis"})) == 0


async def test_a_group_s_entitlement_ends_the_servers_of_its_members(
    expiry: Expiry, hub: Hub, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock
) -> None:
    grant(entitlements, clock, 1, "students", "group")
    assert start(decisions, clock, BEN, server="second")
    clock.forward(days=2)
    await expiry.end_what_has_no_right(hub)
    clock.forward(minutes=31)
    await expiry.end_what_has_no_right(hub)
    assert [(user, server) for user, server, _ in hub.stopped] == [("ben", "second")]


async def test_a_grace_of_nothing_stops_at_once(
    expiry: Expiry, hub: Hub, settings: HubExt, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock
) -> None:
    settings.entitlement_grace = 0
    grant(entitlements, clock, 1)
    start(decisions, clock)
    clock.forward(days=1)
    assert await expiry.end_what_has_no_right(hub) == 2
    assert len(hub.stopped) == 1


async def test_while_the_hub_is_away_nobody_is_judged(
    expiry: Expiry, hub: Hub, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock
) -> None:
    grant(entitlements, clock, 1)
    start(decisions, clock)
    clock.forward(days=1)
    hub.away = True
    with pytest.raises(Unavailable):
        await expiry.end_what_has_no_right(hub)
    assert row(decisions.database).must_end_at is None


async def test_a_person_whom_the_hub_knows_no_more_has_no_groups(
    expiry: Expiry, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock
) -> None:
    grant(entitlements, clock, 1)
    start(decisions, clock)
    clock.forward(days=1)
    assert await expiry.end_what_has_no_right(Hub()) == 1


async def test_what_has_ended_meanwhile_is_left_alone(
    expiry: Expiry, hub: Hub, decisions: DecisionPoint, entitlements: Entitlements, clock: Clock, database: Database
) -> None:
    grant(entitlements, clock, 1)
    start(decisions, clock)
    with database.write() as session:
        session.get_one(ServerStart, "s-1").outcome = "stopped"
    clock.forward(days=1)
    assert await expiry.end_what_has_no_right(hub) == 0
    with database.read() as session:
        assert not session.scalars(select(AuditRow).where(AuditRow.action == "server.warn")).all()
