"""What is counted becomes true again, whatever was killed: nothing is counted for ever, and nothing goes uncounted."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from hub_ext.access import keeper as module
from hub_ext.access.budgets import Limits
from hub_ext.access.charges import confirm
from hub_ext.access.entitlements import Entitlements
from hub_ext.access.expiry import Expiry
from hub_ext.access.keeper import Keeper, mend
from hub_ext.access.transfer import Transfer
from hub_ext.catalog.decide import Request
from hub_ext.db.session import Database
from hub_ext.db.tables import BudgetCharge, DecisionRow, EntitlementImport, ServerStart
from hub_ext.db.types import now
from hub_ext.decisions import DecisionPoint
from hub_ext.settings import HubExt
from tests.access.conftest import CLEO, GIS
from tests.access.test_budgets import charges, meters, standing
from tests.access.test_expiry import Hub
from tests.governance.conftest import Clock


def open_server(point: DecisionPoint, use: str, clock: Clock, outcome: str = "ready") -> None:
    with point.database.write() as session:
        _, decision = point.decide(session, Request("gus", "server", "maps"), GIS.groups, "", use)
        row = ServerStart(id=use, user="gus", decision_id=decision, profile="maps", profile_version=1, outcome=outcome)
        row.asked_at = row.ready_at = clock.at
        session.add(row)
        confirm(session, use, clock.at)


def end(database: Database, use: str, clock: Clock) -> None:
    """Write an end as somebody would who knows nothing of budgets."""
    with database.write() as session:
        row = session.get_one(ServerStart, use)
        row.outcome, row.ended_at = "stopped", clock.at


def test_what_has_ended_is_given_back_with_the_hours_until_then(
    decisions: DecisionPoint, database: Database, clock: Clock
) -> None:
    clock.at = clock.at.replace(day=10, hour=12)
    open_server(decisions, "s-on", clock)
    open_server(decisions, "s-over", clock)
    clock.forward(hours=2)
    end(database, "s-over", clock)
    clock.forward(hours=5)
    assert mend(database, clock.at) == 1
    assert mend(database, clock.at) == 0
    assert meters(database) == {("gus", f"{clock.at:%Y-%m}"): (4.0, 8.0)}
    assert standing(decisions).used.servers == 1


def test_what_never_became_a_start_or_a_run_is_given_back(
    decisions: DecisionPoint, database: Database, clock: Clock
) -> None:
    decisions.budgets.set(CLEO, "group", "gis", Limits(servers=9))
    for purpose in ("server", "run"):
        with database.write() as session:
            decisions.decide(session, Request("gus", purpose, "maps"), GIS.groups, "", f"{purpose}-lost")
    assert len(charges(database)) == 4
    assert mend(database, clock.at) == 2
    assert (charges(database), meters(database)) == ([], {})


def test_what_goes_on_and_is_not_counted_is_counted_for_its_person(
    decisions: DecisionPoint, database: Database, clock: Clock
) -> None:
    """So are servers that were there before there were budgets."""
    clock.at = clock.at.replace(day=10, hour=12)
    open_server(decisions, "s-old", clock)
    with database.write() as session:
        session.execute(delete(BudgetCharge))
    assert mend(database, clock.at) == 0, "one that young may be about to be written down"
    clock.forward(hours=3)
    assert mend(database, clock.at) == 1
    found = standing(decisions)
    assert (found.used.servers, found.used.cpu_hours) == (1, pytest.approx(6))


def test_what_this_release_cannot_read_is_left_alone(
    decisions: DecisionPoint, database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    open_server(decisions, "s-old", clock)
    with database.write() as session:
        session.execute(delete(BudgetCharge))
        session.scalars(select(DecisionRow)).one().spec = {"odd": 1}
    assert mend(database, clock.at + timedelta(hours=1)) == 0
    assert "cannot be read" in caplog.text


async def test_one_of_two_keepers_looks_and_goes_on_looking(
    entitlements: Entitlements,
    decisions: DecisionPoint,
    settings: HubExt,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.02)
    expiry = Expiry(decisions, settings)
    keepers = [Keeper(database, Transfer(entitlements), expiry, Hub()) for _ in range(2)]
    tasks = [asyncio.create_task(one.run()) for one in keepers]
    for number in range(2):
        with database.write() as session:
            session.add(EntitlementImport(id=f"i-{number}", by="cleo", digest="", started_at=now() - timedelta(days=1)))
        await until_swept(database)
    for one in keepers:
        await one.stop()
    await asyncio.gather(*tasks)


async def until_swept(database: Database) -> None:
    deadline = time.monotonic() + 30
    while True:
        with database.read() as session:
            left = session.scalars(select(EntitlementImport)).all()
        if not left:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
