"""What tests of every room share: a migrated database, a store, settings with a state folder of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.settings import HubExt
from hub_ext.store import Store
from tests.postgresql import Cluster, cluster

# The machine is shared: time says nothing about the code here.
hypothesis_settings.register_profile(
    "shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("shared-machine")


# What shares a platform, or must not run beside another of its kind, stays together on one worker, in its order.
_TOGETHER = {
    "test_disk_full.py": "faults",
    "test_faults.py": "faults",
    "test_start_and_stop.py": "faults",
    "test_platform.py": "faults",
}


class ByRoom(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Sends the tests of a file to one worker, and those of files that belong together.

    xdist's own reading of `xdist_group` is lost with pytest 9, which makes the name anew that it writes the group into.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if "functional/oidc/" in path:
            return "oidc"
        if "functional/" in path:
            return _TOGETHER.get(path.rpartition("/")[2], "platform")
        return path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByRoom:
    """Return what gives tests to workers."""
    return ByRoom(config, log)


# Rooms whose tests with a database run on PostgreSQL as well.
_ON_BOTH = (
    "access/",
    "backup/",
    "db/",
    "governance/",
    "homes/",
    "repository/",
    "runs/",
    "sharing/",
    "signin/",
    "test_audit.py",
    "test_decisions.py",
    "test_leases.py",
    "test_sealer.py",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses a database on each kind, or on those that it names with `backends`."""
    room = metafunc.definition.path.relative_to(Path(__file__).parent).as_posix()
    named = metafunc.definition.get_closest_marker("backends")
    if "backend" in metafunc.fixturenames and "database" in metafunc.fixturenames and room.startswith(_ON_BOTH):
        kinds = named.args if named else ("sqlite", "postgresql")
        metafunc.parametrize("backend", kinds, indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL that the tests of a worker share; each makes its own databases."""
    with cluster() as found:
        yield found


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """Which kind of database the test has."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file as the migrations make it, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "hub-ext.sqlite"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.dispose()
    return path


@pytest.fixture
def settings(tmp_path: Path, backend: str, request: pytest.FixtureRequest) -> Iterator[HubExt]:
    """Settings of a platform that nobody else uses."""
    made = HubExt(state_dir=str(tmp_path / "state"))
    if backend == "sqlite":
        yield made
        return
    clusters: Cluster = request.getfixturevalue("postgresql")
    with clusters.migrated() as made.database_url:
        yield made


@pytest.fixture
def database(settings: HubExt, migrated_file: Path) -> Iterator[Database]:
    """A migrated database."""
    settings.state.mkdir(parents=True, exist_ok=True)
    if not settings.database_url:
        shutil.copy(migrated_file, settings.state / "hub-ext.sqlite")
    database = Database(settings.database)
    yield database
    database.dispose()


@pytest.fixture
def store(settings: HubExt) -> Store:
    """A result store."""
    return Store(settings.results)
