"""An entitlement says who may use which profile, until when, why, and by whose word; it ends, and stays ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hub_ext.access.entitlements import Entitlements, Grant, Wanted
from hub_ext.access.loading import load_entitlements
from hub_ext.catalog.decide import Decision, Request
from hub_ext.catalog.explain import explain
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, DecisionRow
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.errors import Conflict, Forbidden, InvalidInput, NotFound
from hub_ext.people import Person
from hub_ext.settings import HubExt
from tests.access.conftest import ANN, AUDE, BEN, CLEO, GIS, OLA, approve, profile
from tests.governance.conftest import Clock

Acts = Callable[[], list[tuple[str, str, str]]]


def grant(clock: Clock, **more: Any) -> Grant:
    given = {"profile": "maps", "kind": "person", "name": "ann", "until": clock.at + timedelta(days=30)}
    return Grant(**({**given, "reason": "Floods."} | more))


def start(decisions: DecisionPoint, person: Person, name: str = "maps") -> Decision:
    with decisions.database.write() as session:
        return decisions.decide(session, Request(person.name, "server", name), person.groups, "")[0]


# --- granting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", [GIS, CLEO], ids=["one of the owner's group", "a curator"])
def test_the_owner_and_curators_grant(person: Person, entitlements: Entitlements, clock: Clock, acts: Acts) -> None:
    row = entitlements.grant(person, grant(clock))
    assert (row.profile, row.kind, row.name, row.granted_by) == ("maps", "person", "ann", person.name)
    assert row.until == row.granted_until == clock.at + timedelta(days=30)
    assert acts() == [(person.name, "entitlement.grant", "allowed")]


def test_an_owner_may_be_one_person(entitlements: Entitlements, clock: Clock) -> None:
    assert entitlements.grant(OLA, grant(clock, profile="models")).granted_by == "ola"
    with pytest.raises(Forbidden, match="gis-team and curators"):
        entitlements.grant(OLA, grant(clock))


@pytest.mark.parametrize(
    "person",
    [ANN, AUDE, Person("ada", roles=frozenset({"admin", "reviewer"})), replace(GIS, may_administer=False)],
    ids=["colleague", "auditor", "admin", "an owner's notebook server"],
)
def test_nobody_else_grants_and_the_attempt_is_recorded(
    person: Person, entitlements: Entitlements, clock: Clock, acts: Acts
) -> None:
    with pytest.raises(Forbidden):
        entitlements.grant(person, grant(clock, name="ben"))
    assert acts() == [(person.name, "entitlement.grant", "denied")]
    assert entitlements.listing(CLEO, Wanted())[0] == []


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"profile": "mops"}, "profile"),
        ({"profile": "\ud800\x00" * 200}, "profile"),
        ({"kind": "team"}, "kind"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": " ann"}, "name"),
        ({"name": "cleo"}, "name"),
        ({"reason": " \n"}, "reason"),
        ({"reason": "x" * 2001}, "reason"),
        ({"until": datetime(2027, 1, 1)}, "until"),  # noqa: DTZ001
        ({"until": datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))}, "until"),
        ({"until": datetime.min.replace(tzinfo=timezone(timedelta(hours=12)))}, "until"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    entitlements: Entitlements, clock: Clock, more: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        entitlements.grant(CLEO, grant(clock, **more))
    assert [problem.field for problem in caught.value.problems] == [field]
    assert entitlements.listing(CLEO, Wanted())[0] == []


@pytest.mark.parametrize("days", [-1, 0, 367])
def test_the_end_is_to_come_and_not_too_far_away(entitlements: Entitlements, clock: Clock, days: int) -> None:
    with pytest.raises(InvalidInput, match="until"):
        entitlements.grant(CLEO, grant(clock, until=clock.at + timedelta(days=days)))


def test_how_far_away_an_end_may_be_is_a_setting(entitlements: Entitlements, settings: HubExt, clock: Clock) -> None:
    settings.entitlement_days = 7
    with pytest.raises(InvalidInput, match="within 7 days"):
        entitlements.grant(CLEO, grant(clock, until=clock.at + timedelta(days=8)))


def test_the_nearest_profile_is_named(entitlements: Entitlements, clock: Clock) -> None:
    with pytest.raises(InvalidInput, match="did you mean maps"):
        entitlements.grant(CLEO, grant(clock, profile="mapz"))


# --- what it changes -------------------------------------------------------------------------------------------------


def test_it_opens_one_profile_for_one_person(
    entitlements: Entitlements, decisions: DecisionPoint, clock: Clock, database: Database
) -> None:
    assert start(decisions, ANN).reasons[0].code == "no-access"
    row = entitlements.grant(CLEO, grant(clock))
    assert start(decisions, ANN).allowed
    assert not start(decisions, ANN, "models").allowed
    assert not start(decisions, BEN).allowed
    assert start(decisions, GIS).allowed
    with database.read() as session:
        needed = [one.entitlement_id for one in session.query(DecisionRow).order_by(DecisionRow.id)]
        detail = session.query(AuditRow).filter_by(action="server.decide", outcome="allowed").first().detail
    assert needed == [None, row.id, None, None, None]
    assert detail["entitlement"] == row.id


def test_one_for_a_group_opens_it_for_its_members(
    entitlements: Entitlements, decisions: DecisionPoint, clock: Clock
) -> None:
    entitlements.grant(CLEO, grant(clock, kind="group", name="students"))
    assert start(decisions, BEN).allowed
    assert not start(decisions, ANN).allowed
    assert not start(decisions, Person("students")).allowed


def test_a_person_in_500_groups_is_decided_on_all_of_them(
    entitlements: Entitlements, decisions: DecisionPoint, clock: Clock
) -> None:
    many = Person("max", frozenset(f"group-{number}" for number in range(500)))
    assert not start(decisions, many).allowed
    entitlements.grant(CLEO, grant(clock, kind="group", name="group-499"))
    assert start(decisions, many).allowed


def test_a_denial_says_that_one_can_ask_and_who_keeps_it(decisions: DecisionPoint) -> None:
    error = start(decisions, ANN).error()
    assert "ask for access" in error.hint.lower()
    assert "gis-team" in error.hint


def test_it_ends_at_its_time_and_the_denial_says_when(
    entitlements: Entitlements, decisions: DecisionPoint, clock: Clock
) -> None:
    row = entitlements.grant(CLEO, grant(clock))
    clock.forward(days=30, seconds=-1)
    assert start(decisions, ANN).allowed
    clock.forward(seconds=1)
    denied = start(decisions, ANN)
    assert not denied.allowed
    assert f"{row.until:%Y-%m-%d %H:%M} UTC" in denied.sentence()


def test_one_that_has_ended_stays_ended_when_the_clock_jumps_back_and_for_every_process(
    entitlements: Entitlements, decisions: DecisionPoint, clock: Clock, settings: HubExt, database: Database
) -> None:
    entitlements.grant(CLEO, grant(clock))
    clock.forward(days=31)
    assert not start(decisions, ANN).allowed
    clock.forward(days=-20)
    assert not start(decisions, ANN).allowed
    slow = Clock()
    other = DecisionPoint(database, CatalogStore(settings, database, clock=slow), settings)
    assert not start(other, ANN).allowed
    assert other.facts_of("ann", ANN.groups).now > slow.at


def test_time_zones_name_the_same_moment(entitlements: Entitlements, decisions: DecisionPoint, clock: Clock) -> None:
    far_east = timezone(timedelta(hours=13))
    row = entitlements.grant(CLEO, grant(clock, until=(clock.at + timedelta(hours=2)).astimezone(far_east)))
    assert row.until.tzinfo is UTC
    clock.forward(hours=2, seconds=-1)
    assert start(decisions, ANN).allowed
    clock.forward(seconds=1)
    assert not start(decisions, ANN).allowed


def test_it_is_explained(
    entitlements: Entitlements, decisions: DecisionPoint, clock: Clock, database: Database
) -> None:
    row = entitlements.grant(GIS, grant(clock, kind="group", name="students"))
    found = explain(decisions.facts_of("ben", BEN.groups), "ben", "maps")
    assert found.allowed
    (part,) = [one for one in found.parts if one.about in ("entitlement", "group")]
    assert (part.name, part.holds) == (row.id, True)
    assert part.words == f"gus granted it to members of students until {row.until:%Y-%m-%d %H:%M} UTC."


def test_facts_are_hers_alone_and_loaded_with_one_query(
    entitlements: Entitlements, clock: Clock, database: Database
) -> None:
    entitlements.grant(CLEO, grant(clock))
    entitlements.grant(CLEO, grant(clock, name="ben"))
    entitlements.grant(CLEO, grant(clock, kind="group", name="ann"))
    statements: list[str] = []
    from sqlalchemy import event

    event.listen(database.engine, "before_cursor_execute", lambda *call: statements.append(str(call[2])))
    with database.read() as session:
        found = load_entitlements(session, "ann", ANN.groups, clock.at)
    assert [(one.kind, one.name) for one in found] == [("person", "ann")]
    assert len([one for one in statements if one.startswith("SELECT")]) == 1


# --- shortening ------------------------------------------------------------------------------------------------------


def test_one_is_ended_at_once_or_earlier_and_its_history_stays(
    entitlements: Entitlements, decisions: DecisionPoint, clock: Clock, acts: Acts
) -> None:
    granted = clock.at + timedelta(days=30)
    row = entitlements.grant(CLEO, grant(clock))
    sooner = entitlements.shorten(GIS, row.id, "The project ends.", clock.at + timedelta(days=2))
    assert (sooner.until, sooner.granted_until) == (clock.at + timedelta(days=2), granted)
    assert start(decisions, ANN).allowed
    over = entitlements.shorten(CLEO, row.id, "Over.")
    assert (over.shortened_by, over.shortened_why, over.until) == ("cleo", "Over.", clock.at)
    assert not start(decisions, ANN).allowed
    assert [one[1] for one in acts() if one[1].startswith("entitlement")] == [
        "entitlement.grant",
        "entitlement.shorten",
        "entitlement.shorten",
    ]
    with pytest.raises(Conflict, match="over already"):
        entitlements.shorten(CLEO, row.id, "Again.")


@pytest.mark.parametrize(
    "until",
    [
        timedelta(days=31),
        timedelta(days=30),
        timedelta(days=-1),
        datetime(2027, 1, 1),  # noqa: DTZ001
        datetime.min.replace(tzinfo=UTC),
    ],
)
def test_an_end_is_never_moved_away(entitlements: Entitlements, clock: Clock, until: Any) -> None:
    row = entitlements.grant(CLEO, grant(clock))
    at = clock.at + until if isinstance(until, timedelta) else until
    with pytest.raises(InvalidInput, match="until"):
        entitlements.shorten(CLEO, row.id, "Longer.", at)


def test_a_colleague_neither_shortens_nor_sees_it(entitlements: Entitlements, clock: Clock) -> None:
    row = entitlements.grant(CLEO, grant(clock))
    for unknown in (row.id, "n-nothing", "\ud800", "x" * 1000, "a\x00b"):
        with pytest.raises(NotFound, match="no such entitlement"):
            entitlements.shorten(BEN, unknown, "Mine.")
    with pytest.raises(Forbidden):
        entitlements.shorten(ANN, row.id, "She sees it, and may not.")


# --- listing ---------------------------------------------------------------------------------------------------------


def test_each_sees_what_is_hers_to_see(entitlements: Entitlements, clock: Clock) -> None:
    entitlements.grant(CLEO, grant(clock))
    entitlements.grant(CLEO, grant(clock, kind="group", name="students"))
    entitlements.grant(OLA, grant(clock, profile="models", name="ben"))

    def names(person: Person, **wanted: Any) -> list[str]:
        return [f"{one.profile}:{one.name}" for one in entitlements.listing(person, Wanted(**wanted))[0]]

    everything = ["maps:ann", "maps:students", "models:ben"]
    assert names(CLEO) == names(AUDE) == everything
    assert names(GIS) == ["maps:ann", "maps:students"]
    assert names(OLA) == ["models:ben"]
    assert names(BEN) == ["maps:students", "models:ben"]
    assert names(ANN) == ["maps:ann"]
    assert names(replace(CLEO, may_administer=False)) == []
    assert names(CLEO, own=True) == []
    assert names(CLEO, profile="maps", kind="group") == ["maps:students"]
    assert names(CLEO, name="ben") == ["models:ben"]


def test_pages_follow_each_other_the_next_to_end_first(entitlements: Entitlements, clock: Clock) -> None:
    for number in range(7):
        entitlements.grant(CLEO, grant(clock, name=f"p{number}", until=clock.at + timedelta(days=7 - number)))
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = entitlements.listing(CLEO, Wanted(limit=3, cursor=cursor))
        seen += [one.name for one in page]
        if cursor is None:
            break
    assert seen == [f"p{number}" for number in reversed(range(7))]
    clock.forward(days=3)
    assert [one.name for one in entitlements.listing(CLEO, Wanted(ended=True, limit=2))[0]] == ["p4", "p5"]
    _, cursor = entitlements.listing(CLEO, Wanted(ended=True, limit=2))
    assert [one.name for one in entitlements.listing(CLEO, Wanted(ended=True, cursor=cursor))[0]] == ["p6"]
    with pytest.raises(InvalidInput, match="cursor"):
        entitlements.listing(CLEO, Wanted(cursor="bm90IG91cnM"))


def test_the_owner_is_that_of_the_highest_version(
    entitlements: Entitlements, clock: Clock, database: Database, catalog: CatalogStore
) -> None:
    second = profile("maps", "ola")
    about = second.metadata.model_copy(update={"version": 2})
    approve(database, second.model_copy(update={"metadata": about}))
    catalog.refresh()
    assert entitlements.grant(OLA, grant(clock)).granted_by == "ola"
    with pytest.raises(Forbidden):
        entitlements.grant(GIS, grant(clock))
