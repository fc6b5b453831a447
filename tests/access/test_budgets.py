"""A budget is reserved at the decision, counted while it is used, and given back whatever the end is."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub_ext.access.budgets import Budgets, Limits
from hub_ext.access.charges import RESERVED, confirm, release
from hub_ext.catalog.budget import Standing
from hub_ext.catalog.decide import Decision, Request
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, BudgetCharge, BudgetMeter, DecisionRow, ServerStart
from hub_ext.db.types import new_id
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import Forbidden, InvalidInput, NotFound
from hub_ext.people import Person
from hub_ext.settings import HubExt
from tests.access.conftest import ANN, AUDE, BEN, CLEO, GIS
from tests.governance.conftest import Clock

MEMBER = Person("max", frozenset({"gis", "race"}))
OTHER = Person("mia", frozenset({"gis", "race"}))


@pytest.fixture
def budgets(decisions: DecisionPoint) -> Budgets:
    return decisions.budgets


def start(point: DecisionPoint, person: Person = GIS, *, use: str | None = "", purpose: Any = "server") -> Decision:
    """Decide on a start of maps: 2 cores and 4 GB."""
    use = new_id("s") if use == "" else use
    with point.database.write() as session:
        return point.decide(session, Request(person.name, purpose, "maps"), person.groups, "", use)[0]


def standing(point: DecisionPoint, person: Person = GIS, name: str | None = None) -> Standing:
    with point.database.read() as session:
        found = point.budgets.standings(session, person.name, person.groups, point.catalog.clock())
    return next(one for one in found if one.name == (name or person.name))


def charges(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        rows = session.scalars(select(BudgetCharge).order_by(BudgetCharge.use, BudgetCharge.kind, BudgetCharge.name))
        return [(row.purpose, row.kind, row.name) for row in rows]


def meters(database: Database) -> dict[tuple[str, str], tuple[float, float]]:
    """Core hours and GB hours by name and month."""
    with database.read() as session:
        rows = session.scalars(select(BudgetMeter))
        return {(row.name, row.month): (round(row.cpu / 3600, 3), round(row.memory / 3600, 3)) for row in rows}


# --- at once ---------------------------------------------------------------------------------------------------------


def test_without_a_budget_nothing_is_denied_and_everything_is_counted(
    decisions: DecisionPoint, database: Database
) -> None:
    assert [start(decisions).allowed for _ in range(3)] == [True] * 3
    assert standing(decisions).used.servers == 3
    assert charges(database) == [("server", "person", "gus")] * 3


def test_one_more_than_a_person_may_have_at_once_is_denied_in_words(decisions: DecisionPoint, budgets: Budgets) -> None:
    budgets.set(CLEO, "person", "gus", Limits(servers=2))
    assert start(decisions).allowed
    assert start(decisions).allowed
    denied = start(decisions)
    (reason,) = denied.reasons
    assert (reason.code, denied.spec, denied.rendering) == ("budget", None, None)
    assert reason.message == ("The budget is used up: you have 2 of 2 servers at once. Stop one, and start again.")
    assert reason.ask == "a curator"
    assert start(decisions, purpose="run").allowed, "runs are another measure"


def test_the_denial_is_recorded_and_reserves_nothing(
    decisions: DecisionPoint, budgets: Budgets, database: Database
) -> None:
    budgets.set(CLEO, "person", "gus", Limits(runs=0))
    assert not start(decisions, purpose="run").allowed
    assert charges(database) == []
    with database.read() as session:
        row = session.scalars(select(DecisionRow)).one()
    assert (row.allowed, row.spec, row.reasons[0]["code"]) == (False, None, "budget")


def test_a_decision_that_is_only_looked_at_reserves_nothing(
    decisions: DecisionPoint, budgets: Budgets, database: Database
) -> None:
    budgets.set(CLEO, "person", "gus", Limits(servers=1))
    assert start(decisions, use=None).allowed
    assert charges(database) == []
    start(decisions)
    assert not start(decisions, use=None).allowed


def test_what_is_denied_for_another_reason_takes_no_budget(decisions: DecisionPoint, database: Database) -> None:
    assert start(decisions, ANN).reasons[0].code == "no-access"
    assert charges(database) == []


def test_a_group_s_budget_is_shared_by_its_members(
    decisions: DecisionPoint, budgets: Budgets, database: Database
) -> None:
    budgets.set(CLEO, "group", "race", Limits(servers=1))
    assert start(decisions, MEMBER).allowed
    denied = start(decisions, OTHER)
    assert "race has 1 of 1 servers at once" in denied.sentence()
    assert start(decisions, GIS).allowed, "who is in no such group is not counted"
    assert charges(database) == [("server", "group", "race"), ("server", "person", "max"), ("server", "person", "gus")]


def test_every_budget_has_to_have_room(decisions: DecisionPoint, budgets: Budgets) -> None:
    budgets.set(CLEO, "group", "race", Limits(servers=5))
    budgets.set(CLEO, "group", "gis", Limits(servers=0))
    budgets.set(CLEO, "person", "max", Limits(servers=0))
    assert len(start(decisions, MEMBER).reasons) == 2


def test_what_everyone_may_have_counts_for_each_person_without_a_limit_of_her_own(
    decisions: DecisionPoint, budgets: Budgets
) -> None:
    budgets.set(CLEO, "everyone", "everyone", Limits(servers=1, runs=7, soft=50))
    budgets.set(CLEO, "person", "max", Limits(servers=2))
    assert [start(decisions, MEMBER).allowed for _ in range(3)] == [True, True, False]
    assert [start(decisions, OTHER).allowed for _ in range(2)] == [True, False]
    found = standing(decisions, MEMBER)
    assert (found.limits.servers, found.limits.runs, found.soft) == (2, 7, 80)


def test_a_setting_says_what_everyone_may_have_until_a_curator_does(
    decisions: DecisionPoint, budgets: Budgets, settings: HubExt
) -> None:
    settings.budget = {"servers": 1, "storage_gb": 2}
    assert [start(decisions).allowed for _ in range(2)] == [True, False]
    assert standing(decisions).limits.storage == 2 * 2**30
    budgets.set(CLEO, "everyone", "everyone", Limits(servers=2))
    assert start(decisions).allowed


def test_a_budget_below_what_is_in_use_stops_nothing_and_starts_nothing(
    decisions: DecisionPoint, budgets: Budgets, database: Database
) -> None:
    uses = [new_id("s") for _ in range(3)]
    for use in uses:
        start(decisions, use=use)
    budgets.set(CLEO, "person", "gus", Limits(servers=1))
    assert "3 of 1 servers" in start(decisions).sentence()
    assert len(charges(database)) == 3
    for use in uses[:2]:
        with database.write() as session:
            release(session, use, decisions.catalog.clock())
    assert not start(decisions).allowed
    with database.write() as session:
        release(session, uses[2], decisions.catalog.clock())
    assert start(decisions).allowed


# --- given back ------------------------------------------------------------------------------------------------------


def test_a_reservation_of_a_server_ends_by_itself_and_one_that_is_confirmed_does_not(
    decisions: DecisionPoint, budgets: Budgets, database: Database, clock: Clock
) -> None:
    budgets.set(CLEO, "person", "gus", Limits(servers=1))
    start(decisions, use="s-one")
    clock.at += RESERVED - timedelta(seconds=1)
    assert not start(decisions).allowed
    clock.at += timedelta(seconds=2)
    assert start(decisions, use="s-two").allowed
    with database.write() as session:
        confirm(session, "s-one", clock.at)  # it answers after all: that is what counts
    assert standing(decisions).used.servers == 2


def test_a_run_that_waits_holds_its_place_for_as_long_as_it_waits(
    decisions: DecisionPoint, budgets: Budgets, clock: Clock
) -> None:
    budgets.set(CLEO, "person", "gus", Limits(runs=1))
    start(decisions, purpose="run")
    clock.forward(days=9)
    assert not start(decisions, purpose="run").allowed


def test_giving_back_twice_is_once(decisions: DecisionPoint, database: Database, clock: Clock) -> None:
    start(decisions, use="s-one")
    with database.write() as session:
        confirm(session, "s-one", clock.at)
    clock.forward(hours=1)
    for expected in (True, False):
        with database.write() as session:
            assert release(session, "s-one", clock.at) is expected
    assert meters(database)["gus", f"{clock.at:%Y-%m}"] == (2.0, 4.0)
    assert charges(database) == []


def test_one_that_never_ran_costs_nothing(decisions: DecisionPoint, database: Database, clock: Clock) -> None:
    start(decisions, use="s-one")
    clock.forward(hours=1)
    with database.write() as session:
        release(session, "s-one", clock.at)
    assert (charges(database), meters(database)) == ([], {})


def test_what_is_rolled_back_reserves_nothing(decisions: DecisionPoint, database: Database) -> None:
    with contextlib.suppress(InterruptedError), database.write() as session:
        decisions.decide(session, Request("gus", "server", "maps"), GIS.groups, "", "s-one")
        raise InterruptedError
    assert charges(database) == []


# --- hours -----------------------------------------------------------------------------------------------------------


def run_for(point: DecisionPoint, clock: Clock, hours: float, person: Person = GIS) -> None:
    use = new_id("s")
    assert start(point, person, use=use).allowed
    with point.database.write() as session:
        confirm(session, use, clock.at)
    clock.forward(hours=hours)
    with point.database.write() as session:
        release(session, use, clock.at)


@pytest.fixture
def mid_month(clock: Clock) -> Clock:
    clock.at = datetime(2026, 11, 10, 12, tzinfo=UTC)
    return clock


def test_hours_count_while_something_runs_and_when_it_has_ended(
    decisions: DecisionPoint, budgets: Budgets, database: Database, mid_month: Clock
) -> None:
    budgets.set(CLEO, "person", "gus", Limits(cpu_hours=10, soft=80))
    run_for(decisions, mid_month, 3)
    assert standing(decisions).used.cpu_hours == pytest.approx(6)
    start(decisions, use="s-on")
    with database.write() as session:
        confirm(session, "s-on", mid_month.at)
    mid_month.forward(hours=1)
    found = standing(decisions)
    assert (found.used.cpu_hours, found.used.memory_hours) == pytest.approx((8, 16))
    warned = start(decisions, use=None)
    assert warned.allowed
    assert [one.code for one in warned.warnings] == ["budget-soft"]
    assert "you have used 8 of 10 core hours in 2026-11 (UTC)" in warned.warnings[0].message
    mid_month.forward(hours=1)
    denied = start(decisions)
    assert "you have used 10 of 10 core hours in 2026-11 (UTC)" in denied.sentence()
    assert "first of next month" in denied.sentence()


def test_a_month_ends_at_midnight_utc_and_a_new_one_begins_with_nothing(
    decisions: DecisionPoint, budgets: Budgets, database: Database, clock: Clock
) -> None:
    clock.at = datetime(2026, 11, 30, 22, tzinfo=UTC)
    budgets.set(CLEO, "person", "gus", Limits(cpu_hours=4))
    start(decisions, use="s-on")
    with database.write() as session:
        confirm(session, "s-on", clock.at)
    clock.at = datetime(2026, 12, 1, 1, tzinfo=UTC)
    found = standing(decisions)
    assert (found.month, found.used.cpu_hours) == ("2026-12", pytest.approx(2))
    assert start(decisions, use=None).allowed
    with database.write() as session:
        release(session, "s-on", clock.at)
    assert meters(database) == {("gus", "2026-11"): (4.0, 8.0), ("gus", "2026-12"): (2.0, 4.0)}


def test_the_year_ends_too_and_february_is_short(decisions: DecisionPoint, database: Database, clock: Clock) -> None:
    clock.at = datetime(2026, 12, 31, 23, tzinfo=UTC)
    run_for(decisions, clock, 24 * 60)
    hours = {month: cpu for (_, month), (cpu, _) in meters(database).items()}
    assert hours == {"2026-12": 2.0, "2027-01": 2.0 * 24 * 31, "2027-02": 2.0 * 24 * 28, "2027-03": 2.0 * 23}


def test_a_clock_that_was_set_back_counts_nothing_and_never_less_than_nothing(
    decisions: DecisionPoint, database: Database, mid_month: Clock
) -> None:
    start(decisions, use="s-on")
    with database.write() as session:
        confirm(session, "s-on", mid_month.at)
    mid_month.forward(days=-1)
    assert standing(decisions).used.cpu_hours == 0
    with database.write() as session:
        release(session, "s-on", mid_month.at)
    assert list(meters(database).values()) == [(0.0, 0.0)]


def test_gpu_hours_count_only_for_what_has_gpus(decisions: DecisionPoint, budgets: Budgets) -> None:
    budgets.set(CLEO, "person", "gus", Limits(gpu_hours=0))
    assert start(decisions).allowed


def test_a_member_s_hours_are_the_group_s_hours(decisions: DecisionPoint, budgets: Budgets, mid_month: Clock) -> None:
    budgets.set(CLEO, "group", "race", Limits(memory_hours=30))
    run_for(decisions, mid_month, 4, MEMBER)
    run_for(decisions, mid_month, 4, OTHER)
    assert standing(decisions, MEMBER, "race").used.memory_hours == pytest.approx(32)
    assert standing(decisions, MEMBER).used.memory_hours == pytest.approx(16)
    assert "race has used 32 of 30 GB hours of memory" in start(decisions, OTHER).sentence()


# --- managing --------------------------------------------------------------------------------------------------------


def test_only_curators_set_and_remove_budgets_and_it_is_recorded(
    budgets: Budgets, acts: Callable[[], list[tuple[str, str, str]]], database: Database
) -> None:
    for person in (ANN, AUDE, replace(CLEO, may_administer=False)):
        with pytest.raises(Forbidden):
            budgets.set(person, "person", "gus", Limits(servers=99))
        with pytest.raises(Forbidden):
            budgets.remove(person, "person", "gus")
    row, created = budgets.set(CLEO, "person", "gus", Limits(servers=2, storage_gb=1.5, reason="A start."))
    assert (created, row.storage) == (True, 3 * 2**29)
    assert budgets.set(CLEO, "person", "gus", Limits(servers=3))[1] is False
    budgets.remove(CLEO, "person", "gus")
    with pytest.raises(NotFound):
        budgets.remove(CLEO, "person", "gus")
    allowed = [(who, what) for who, what, outcome in acts() if outcome == "allowed"]
    assert allowed == [("cleo", "budget.set"), ("cleo", "budget.set"), ("cleo", "budget.remove")]
    with database.read() as session:
        second = session.scalars(select(AuditRow).where(AuditRow.outcome == "allowed").order_by(AuditRow.id)).all()[1]
    assert second.detail["before"]["servers"] == 2
    assert second.detail["limits"] == {"servers": 3, "soft": 80}


@pytest.mark.parametrize(
    ("kind", "name", "limits", "field"),
    [
        ("team", "x", Limits(), "kind"),
        ("everyone", "all", Limits(), "name"),
        ("person", "", Limits(), "name"),
        ("person", "a\x00b", Limits(), "name"),
        ("person", "x" * 256, Limits(), "name"),
        ("person", "x", Limits(servers=-1), "servers"),
        ("person", "x", Limits(cpu_hours=float("nan")), "cpu_hours"),
        ("person", "x", Limits(storage_gb=float("inf")), "storage_gb"),
        ("person", "x", Limits(runs=10**12), "runs"),
        ("person", "x", Limits(soft=0), "soft"),
        ("person", "x", Limits(reason="\x00"), "reason"),
    ],
)
def test_what_cannot_be_is_refused_by_field(budgets: Budgets, kind: str, name: str, limits: Limits, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        budgets.set(CLEO, kind, name, limits)
    assert [one.field for one in caught.value.problems] == [field]


def test_each_sees_the_budgets_that_count_for_her(budgets: Budgets) -> None:
    for kind, name in (
        ("everyone", "everyone"),
        ("group", "race"),
        ("group", "gis"),
        ("person", "max"),
        ("person", "x"),
    ):
        budgets.set(CLEO, kind, name, Limits(servers=1))

    def names(person: Person) -> list[str]:
        return [row.name for row in budgets.listing(person)[0]]

    assert names(CLEO) == names(AUDE) == ["everyone", "gis", "race", "max", "x"]
    assert names(MEMBER) == ["everyone", "gis", "race", "max"]
    assert names(BEN) == ["everyone"]
    assert budgets.get(MEMBER, "group", "race").servers == 1
    for kind, name in (("person", "x"), ("group", "nothing"), ("odd", "x"), ("person", "\x00")):
        with pytest.raises(NotFound):
            budgets.get(MEMBER, kind, name)
    first, cursor = budgets.listing(CLEO, limit=2)
    assert [row.name for row in (*first, *budgets.listing(CLEO, cursor)[0])] == names(CLEO)


# --- many at once ----------------------------------------------------------------------------------------------------

RACE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from hub_ext.settings import HubExt
from hub_ext.spawner.ledger import Asked, Ledger
from hub_ext.db.types import new_id

state, url, profiles, which, count = sys.argv[1:]
ledger = Ledger(HubExt(state_dir=state, database_url=url, profiles_dir=profiles))
ledger.decisions.catalog.refresh()
print("ready", flush=True)
sys.stdin.readline()

def start(number):
    name = f"p{which}-{number}"
    asked = Asked(new_id("s"), name, name, "", {"profile": "maps"}, ("gis", "race"))
    return ledger.open(asked).allowed

with ThreadPoolExecutor(10) as threads:
    print(sum(threads.map(start, range(int(count)))), flush=True)
"""


def test_of_a_hundred_starts_in_two_processes_that_race_for_the_last_place_one_wins(
    decisions: DecisionPoint, budgets: Budgets, database: Database, settings: HubExt, tmp_path: Path
) -> None:
    budgets.set(CLEO, "group", "race", Limits(servers=3))
    for number in range(2):
        start(decisions, Person(f"first-{number}", frozenset({"gis", "race"})))
    command = [sys.executable, "-c", RACE, str(settings.state), str(settings.database_url), str(settings.profiles_dir)]
    processes = [
        subprocess.Popen([*command, str(which), "50"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for which in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [int(process.communicate(timeout=240)[0]) for process in processes]
    assert sum(won) == 1
    with database.read() as session:
        assert len(session.scalars(select(ServerStart)).all()) == 1
        decided = session.scalars(select(DecisionRow.allowed)).all()
    assert (len(decided), sum(decided)) == (102, 3)
    assert standing(decisions, MEMBER, "race").used.servers == 3
