"""Who used what in a month: what has ended, and what goes on, seen by those whom it concerns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub_ext.access import usage as module
from hub_ext.access.budgets import Limits
from hub_ext.access.charges import confirm, keep_results
from hub_ext.access.usage import Usage, UsageReport, last_months
from hub_ext.db.session import Database
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import InvalidInput
from hub_ext.people import Person
from tests.access.conftest import ANN, AUDE, CLEO, GIS
from tests.access.test_budgets import MEMBER, OTHER, run_for, start
from tests.governance.conftest import Clock


@pytest.fixture
def report(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> UsageReport:
    clock.at = datetime(2026, 11, 30, 20, tzinfo=UTC)
    monkeypatch.setattr(module, "now", clock)
    return UsageReport(database)


def found(report: UsageReport, person: Person = CLEO, month: str | None = None, **more: Any) -> dict[str, Usage]:
    return {one.name: one for one in report.listing(person, month, **more)[0]}


def test_hours_are_those_of_the_month_whether_it_has_ended_or_goes_on(
    report: UsageReport, decisions: DecisionPoint, clock: Clock, database: Database
) -> None:
    decisions.budgets.set(CLEO, "group", "race", Limits())
    run_for(decisions, clock, 2, MEMBER)
    start(decisions, MEMBER, use="s-on")
    with database.write() as session:
        confirm(session, "s-on", clock.at)
    clock.at = datetime(2026, 12, 1, 3, tzinfo=UTC)
    november, december = found(report, month="2026-11"), found(report)
    assert set(november) == {"max", "race"}
    assert (november["max"].cpu_hours, november["max"].servers) == (pytest.approx(8), 1)
    assert (december["max"].cpu_hours, december["max"].servers) == (pytest.approx(6), 1)
    assert december["race"].memory_hours == pytest.approx(12)
    assert found(report, month="2026-10") == {}


def test_storage_is_what_is_kept_now(report: UsageReport, decisions: DecisionPoint, database: Database) -> None:
    start(decisions, use="r-1", purpose="run")
    for size in (5 * 2**20, 2**20, 0):
        with database.write() as session:
            keep_results(session, "r-1", "gus", size)
    assert found(report)["gus"].storage == 6 * 2**20


def test_each_sees_herself_and_her_groups_and_auditors_see_all(
    report: UsageReport, decisions: DecisionPoint, clock: Clock
) -> None:
    decisions.budgets.set(CLEO, "group", "race", Limits(servers=9))
    for person in (MEMBER, OTHER, GIS):
        run_for(decisions, clock, 0.5, person)
    assert set(found(report)) == set(found(report, AUDE)) == {"max", "mia", "gus", "race"}
    assert set(found(report, MEMBER)) == {"max", "race"}
    assert set(found(report, ANN)) == set()
    assert set(found(report, CLEO, kind="group")) == {"race"}


def test_pages_and_files_hold_all_of_it(
    report: UsageReport, decisions: DecisionPoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    for number in range(5):
        run_for(decisions, clock, 0.1, Person(f"=p{number}", frozenset({"gis"})))
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = report.listing(CLEO, limit=2, cursor=cursor)
        seen += [one.name for one in page]
        if cursor is None:
            break
    assert seen == [f"=p{number}" for number in range(5)]
    lines = b"".join(report.export(CLEO, "2026-11")).decode().splitlines()
    assert lines[0] == "month,kind,name,servers,runs,cpu_hours,memory_hours,gpu_hours,storage_gb"
    assert lines[1] == "2026-11,person,'=p0,1,0,0.200,0.400,0.000,0.000"
    assert len(lines) == 6


def test_the_last_months_are_there_with_and_without_usage(
    report: UsageReport, decisions: DecisionPoint, clock: Clock
) -> None:
    run_for(decisions, clock, 1)
    clock.at = datetime(2027, 1, 2, tzinfo=UTC)
    history = report.history(GIS, "person", "gus", 4)
    assert [one.month for one in history] == ["2026-10", "2026-11", "2026-12", "2027-01"]
    assert [round(one.cpu_hours, 3) for one in history] == [0, 2, 0, 0]
    assert all(one.cpu_hours == 0 for one in report.history(ANN, "person", "gus", 4)), "it is not hers to see"


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "now", "", "1999-12", "2026-11-01", "２０２６-11"])
def test_what_is_no_month_is_refused(report: UsageReport, month: str) -> None:
    with pytest.raises(InvalidInput, match="month"):
        list(report.export(CLEO, month))


def test_a_year_has_twelve_months() -> None:
    months = last_months(datetime(2026, 3, 31, tzinfo=UTC), 14)
    assert (months[0], months[-1], len(set(months))) == ("2025-02", "2026-03", 14)
