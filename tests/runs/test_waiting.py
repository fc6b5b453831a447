"""A run that waited begins on what is known of its person now: not on groups of last week, nor on those she left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import Account, Run
from hub_ext.db.types import now
from hub_ext.people import Person
from hub_ext.runs.reconcile import Reconciler
from hub_ext.runs.service import Order, RunService
from hub_ext.runs.vault import Vault
from hub_ext.runs.waiting import SIGN_IN
from hub_ext.runtimes.local import LocalRuntime
from hub_ext.settings import HubExt
from hub_ext.store import Store
from tests.runs.conftest import until

Publish, Ended, Row = Callable[..., str], Callable[..., Awaitable[Run]], Callable[[str], Run]


@pytest.fixture
def known(database: Database) -> Callable[..., None]:
    """Write down what the provider said of amy."""

    def known(groups: list[str], hours: float = 0) -> None:
        with database.write() as session:
            row = session.get(Account, "amy") or Account(name="amy", issuer="https://p.example", sub="1", subject="1")
            row.groups, row.groups_at = groups, now() - timedelta(hours=hours)
            session.add(row)

    return known


@pytest.fixture
def working(
    database: Database, store: Store, vault: Vault, runtime: LocalRuntime, settings: HubExt, service: RunService
) -> Callable[[], contextlib.AbstractAsyncContextManager[Reconciler]]:
    """Let a reconciler begin its work within a test."""

    @contextlib.asynccontextmanager
    async def working() -> AsyncIterator[Reconciler]:
        made = Reconciler(database, store, vault, runtime, settings, decisions=service.decisions)
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            await made.stop()
            await task

    return working


Working = Callable[[], contextlib.AbstractAsyncContextManager[Reconciler]]
Known = Callable[..., None]


async def test_groups_that_are_too_old_let_it_wait_and_it_says_so(
    service: RunService, publish: Publish, amy: Person, known: Known, row: Row, ended: Ended, working: Working
) -> None:
    run_id = service.create(amy, publish("print(1)"), Order({})).run.id
    known(["analysts"], hours=25)
    async with working() as reconciler:
        await until(lambda: row(run_id).reason == SIGN_IN)
        assert row(run_id).state == "queued"
        known(["analysts"])
        reconciler.wake()
        assert (await ended(run_id)).state == "succeeded"


async def test_a_group_that_was_left_meanwhile_ends_it_with_the_reason(
    service: RunService, publish: Publish, amy: Person, known: Known, ended: Ended, working: Working
) -> None:
    run_id = service.create(amy, publish("print(1)"), Order({})).run.id
    known(["visitors"])
    async with working():
        found = await ended(run_id)
    assert found.state == "failed"
    assert found.reason.startswith("it may not begin any more: ")
    assert found.started_at is None


async def test_where_no_provider_says_anything_the_order_s_decision_holds(
    service: RunService, publish: Publish, amy: Person, ended: Ended, reconciler: Reconciler
) -> None:
    run_id = service.create(amy, publish("print(1)"), Order({})).run.id
    assert (await ended(run_id)).state == "succeeded"
