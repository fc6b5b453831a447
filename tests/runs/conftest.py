"""A service, a reconciler in this process, and notebooks published by amy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import nbformat
import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.people import Person
from hub_ext.runs.reconcile import Reconciler
from hub_ext.runs.service import Order, RunService
from hub_ext.runs.states import ENDED
from hub_ext.runs.vault import Vault
from hub_ext.runtimes.local import LocalRuntime
from hub_ext.settings import HubExt
from hub_ext.sharing.publishing import Draft, Publisher
from hub_ext.store import Store


@pytest.fixture
def amy() -> Person:
    """An analyst."""
    return Person("amy", frozenset({"analysts"}))


@pytest.fixture
def ben() -> Person:
    """Another analyst."""
    return Person("ben", frozenset({"analysts"}))


@pytest.fixture
def vault(settings: HubExt) -> Vault:
    """Where secrets are."""
    return Vault(settings.state)


@pytest.fixture
def runtime(settings: HubExt) -> LocalRuntime:
    """Executors as processes of this machine."""
    return LocalRuntime(settings.state / "launches")


@pytest.fixture
def service(database: Database, store: Store, vault: Vault, settings: HubExt) -> RunService:
    """The service."""
    decisions = DecisionPoint(database, CatalogStore(settings), settings)
    return RunService(database, store, decisions, vault, settings)


@pytest.fixture
def publish(database: Database, store: Store, settings: HubExt, amy: Person) -> Callable[..., str]:
    """Publish code cells as a workflow of amy's that everybody sees, and return the workflow's id."""
    publisher = Publisher(database, store, CatalogStore(settings), settings)

    def publish(
        *cells: str,
        parameters: str = "",
        name: str = "rain",
        owner: Person = amy,
        about: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        if parameters:
            made.insert(0, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        node = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel, "hub_ext": about or {}})
        more = {"visibility": "everyone", "profile": "standard"} | more
        draft = Draft(data=nbformat.writes(node).encode(), name=name, **more)
        return publisher.publish(owner, draft).workflow_id

    return publish


@pytest.fixture
def row(database: Database) -> Callable[[str], Run]:
    """Read the row of a run."""

    def row(run_id: str) -> Run:
        with database.read() as session:
            return session.get_one(Run, run_id)

    return row


@pytest.fixture
async def reconciler(
    database: Database, store: Store, vault: Vault, runtime: LocalRuntime, settings: HubExt, service: RunService
) -> AsyncIterator[Reconciler]:
    """A reconciler at work in this process."""
    made = Reconciler(database, store, vault, runtime, settings, decisions=service.decisions)
    service.notify = made.wake
    task = asyncio.create_task(made.run())
    yield made
    await made.stop()
    await task
    await asyncio.to_thread(_end_all, runtime)


def _end_all(runtime: LocalRuntime) -> None:
    for launch_id in runtime.launches():
        runtime.end(launch_id, None)


@pytest.fixture
def ended(row: Callable[[str], Run]) -> Callable[..., Awaitable[Run]]:
    """Wait until a run has ended, and return it."""

    async def ended(run_id: str, seconds: float = 60.0) -> Run:
        return await until(lambda: found if (found := row(run_id)).state in ENDED else None, seconds)

    return ended


async def until(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for something to be true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await asyncio.to_thread(look)
        if found:
            return found
        await asyncio.sleep(0.05)  # each look costs processor that who is waited for could use
    raise AssertionError(f"it did not become true within {seconds} seconds")


@pytest.fixture
def order(service: RunService, amy: Person) -> Callable[..., Run]:
    """Order a run as amy."""

    def order(workflow_id: str, person: Person = amy, **parameters: Any) -> Run:
        return service.create(person, workflow_id, Order(parameters)).run

    return order
