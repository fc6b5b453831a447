"""What tests of every room share: a migrated database, a store, settings with a state folder of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.settings import HubExt
from hub_ext.store import Store

# The machine is shared: time says nothing about the code here.
hypothesis_settings.register_profile(
    "shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("shared-machine")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file as the migrations make it, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "hub-ext.sqlite"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.dispose()
    return path


@pytest.fixture
def settings(tmp_path: Path) -> HubExt:
    """Settings of a platform that nobody else uses."""
    return HubExt(state_dir=str(tmp_path / "state"))


@pytest.fixture
def database(settings: HubExt, migrated_file: Path) -> Iterator[Database]:
    """A migrated database."""
    settings.state.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated_file, settings.state / "hub-ext.sqlite")
    database = Database(settings.database)
    yield database
    database.dispose()


@pytest.fixture
def store(settings: HubExt) -> Store:
    """A result store."""
    return Store(settings.results)
