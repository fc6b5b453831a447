"""A door for executors, and runs that wait for theirs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from hub_ext.db.session import Database
from hub_ext.settings import HubExt
from hub_ext.web import parts
from hub_ext.web.context import Context
from tests.runs.conftest import amy, ben, order, publish, row, service, vault
from tests.runs.door import Door, Launched, start_launch

__all__ = ["amy", "ben", "context", "door", "launched", "order", "publish", "row", "service", "vault"]


@pytest.fixture
def context(settings: HubExt, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """The parts of a service whose runs are pods."""
    for name, value in (("API_URL", "http://127.0.0.1:1/hub/api"), ("API_TOKEN", "none"), ("CLIENT_ID", "service-x")):
        monkeypatch.setenv(f"JUPYTERHUB_{name}", value)
    elsewhere = HubExt(state_dir=settings.state_dir, runtime="kubernetes")
    made = parts.build(elsewhere, dict(os.environ))
    yield made
    made.database.dispose()


@pytest.fixture
def door(context: Context) -> Iterator[Door]:
    """The door, open."""
    made = Door(context)
    made.open()
    yield made
    made.shut()


@pytest.fixture
def launched(
    database: Database, publish: Callable[..., str], order: Callable[..., object], settings: HubExt
) -> Callable[..., Launched]:
    """Order a run of some cells, and begin its launch."""

    def launched(
        *cells: str, parameters: str = "", values: dict[str, object] | None = None, **more: object
    ) -> Launched:
        workflow = publish(*cells, parameters=parameters, **more)
        return start_launch(database, settings, order(workflow, **(values or {})))

    return launched
