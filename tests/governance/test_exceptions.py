"""Exceptions have an owner, a reason, a scope and an end; curators grant them, and none is ever opened again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow
from hub_ext.errors import Conflict, Forbidden, InvalidInput, NotFound
from hub_ext.governance.exceptions import Exceptions, Wish, load_exceptions
from hub_ext.governance.store import CatalogStore
from hub_ext.people import Person
from tests.governance.conftest import Clock, profile_text

CLEO = Person("cleo", roles=frozenset({"curator"}))


@pytest.fixture
def exceptions(database: Database, store: CatalogStore, put: Any) -> Exceptions:
    put(profile_text())
    return Exceptions(database, store)


def wish(clock: Clock, **more: Any) -> Wish:
    given = {"profile": "maps", "rule": "memory-limit", "reason": "Floods.", "until": clock.at + timedelta(days=9)}
    return Wish(**(given | more))


def test_an_exception_says_who_why_for_whom_and_until_when(
    exceptions: Exceptions, clock: Clock, database: Database
) -> None:
    row = exceptions.grant(CLEO, wish(clock, users=["bob", "amy", "amy"], groups=["gis"], owner="gis-team"))
    assert (row.users, row.groups, row.owner, row.created_by) == (["amy", "bob"], ["gis"], "gis-team", "cleo")
    assert exceptions.grant(CLEO, wish(clock)).owner == "cleo"
    with database.read() as session:
        act = session.scalars(select(AuditRow).order_by(AuditRow.id)).first()
        (fact, _) = load_exceptions(session, clock.at)
    assert act is not None
    assert (act.actor, act.action, act.object_id) == ("cleo", "exception.grant", "maps")
    assert {"exception", "rule", "until", "reason", "owner", "users", "groups"} == set(act.detail)
    assert (fact.id, fact.users, fact.groups) == (row.id, {"amy", "bob"}, {"gis"})


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"rule": "memory-limt"}, "rule"),
        ({"profile": "mops"}, "profile"),
        ({"reason": " "}, "reason"),
        ({"until": datetime(2099, 1, 1)}, "until"),  # noqa: DTZ001
        ({"users": ["cleo"]}, "users"),
        ({"users": ["x"] * 101}, "users"),
        ({"groups": [""]}, "groups"),
        ({"groups": ["a\x00b"]}, "groups"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    exceptions: Exceptions, clock: Clock, more: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        exceptions.grant(CLEO, wish(clock, **more))
    assert [problem.field for problem in caught.value.problems] == [field]
    assert exceptions.listing() == []


@pytest.mark.parametrize("days", [-1, 0, 367])
def test_the_end_is_to_come_and_within_a_year(exceptions: Exceptions, clock: Clock, days: int) -> None:
    with pytest.raises(InvalidInput, match="until"):
        exceptions.grant(CLEO, wish(clock, until=clock.at + timedelta(days=days)))


def test_the_nearest_rule_is_named(exceptions: Exceptions, clock: Clock) -> None:
    with pytest.raises(InvalidInput, match="did you mean memory-limit"):
        exceptions.grant(CLEO, wish(clock, rule="memory-limits"))


def test_only_curators_grant_and_revoke(exceptions: Exceptions, clock: Clock, database: Database) -> None:
    row = exceptions.grant(CLEO, wish(clock))
    ann = Person("ann", roles=frozenset({"admin", "auditor"}))
    with pytest.raises(Forbidden):
        exceptions.grant(ann, wish(clock))
    with pytest.raises(Forbidden):
        exceptions.revoke(ann, row.id, "Mine.")
    with database.read() as session:
        denied = session.scalars(select(AuditRow.action).where(AuditRow.outcome == "denied")).all()
    assert denied == ["exception.grant", "exception.revoke"]


def test_one_that_was_revoked_is_over_for_ever(exceptions: Exceptions, clock: Clock, database: Database) -> None:
    row = exceptions.grant(CLEO, wish(clock))
    assert exceptions.revoke(CLEO, row.id, "Over.").revoked_by == "cleo"
    assert exceptions.listing() == []
    assert [one.id for one in exceptions.listing(ended=True)] == [row.id]
    with pytest.raises(Conflict):
        exceptions.revoke(CLEO, row.id, "Again.")
    for unknown in ("e-nothing", "\ud800", "x" * 1000):
        with pytest.raises(NotFound):
            exceptions.revoke(CLEO, unknown, "What?")


def test_those_that_end_first_come_first(exceptions: Exceptions, clock: Clock) -> None:
    late = exceptions.grant(CLEO, wish(clock, until=clock.at + timedelta(days=20)))
    soon = exceptions.grant(CLEO, wish(clock, until=clock.at + timedelta(days=2)))
    assert [one.id for one in exceptions.listing("maps")] == [soon.id, late.id]
    clock.forward(days=3)
    assert [one.id for one in exceptions.listing()] == [late.id]
    assert exceptions.listing("standard") == []


def test_a_policy_that_cannot_be_read_has_no_exceptions(
    database: Database, store: CatalogStore, put: Any, clock: Clock, folder: Path
) -> None:
    put("{", "_policy/ours.yaml")
    put(profile_text())
    with pytest.raises(InvalidInput, match="there is no rule"):
        Exceptions(database, store).grant(CLEO, wish(clock, rule="policy-unreadable"))
