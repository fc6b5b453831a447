"""What tests of every room share: a migrated database, a store, settings with a state folder of their own."""

from __future__ import annotations

import functools
import gc
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx._transports import default as httpx_transport
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from hub_ext.catalog import documents
from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.settings import HubExt
from hub_ext.store import Store
from tests import statements
from tests.postgresql import Cluster, cluster

# The machine is shared: time says nothing about the code here.
hypothesis_settings.register_profile(
    "shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("shared-machine")

# Each client reads all authorities anew, which takes 16 ms of processor, and tests make thousands, as for `httpx.get`.
httpx_transport.create_ssl_context = functools.cache(httpx_transport.create_ssl_context)


# What a text says is the same each time, and tests make hundreds of catalogs of the same few files.
documents.parse = functools.lru_cache(1000)(documents.parse)

# An engine writes a statement as SQL once; each test has an engine of its own, of one of two kinds.
statements.share()


# Files whose tests stay together on one worker, in their order: they share what is dear to start, or must not run
# beside another of their kind. What takes longest is first, so that all workers end at about the same time.
_GROUPS = {
    "faults": (
        "functional/test_faults.py",
        "functional/test_start_and_stop.py",
        "functional/test_platform.py",
        "functional/test_disk_full.py",
    ),
    # Each has a platform of its own.
    "people and the catalog": (
        "functional/test_access",
        "functional/test_api",
        "functional/test_backup.py",
        "functional/test_bad_input.py",
        "functional/test_browser_path.py",
        "functional/test_catalog_pages.py",
        "functional/test_cli.py",
        "functional/test_curators_day.py",
        "functional/test_docs.py",
    ),
    "hostile options": ("functional/test_hostile_options.py",),
    "fresh machine": ("functional/test_fresh_machine.py",),
    "workflows and the rest": ("functional/test_",),
    "provider": ("functional/oidc/",),
    # On the cluster.
    "ends": ("kubernetes/test_ends.py",),  # waits, and needs little
    "faults of servers": ("kubernetes/test_server_faults.py",),
    "chart": ("kubernetes/test_chart.py",),
    "servers": ("kubernetes/test_servers.py",),
    "runs": ("kubernetes/test_runs.py",),
    "faults of runs": ("kubernetes/test_run_faults.py",),
}
_LONGEST_FIRST = list(_GROUPS)


def group_of(nodeid: str) -> str:
    """Return the group that a test runs in: one of those above, or its file."""
    path = nodeid.partition("::")[0]
    below = path.partition("tests/")[2]
    return next((name for name, files in _GROUPS.items() if below.startswith(files)), path)


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Sends the tests of a group to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    """Return what gives tests to workers."""
    config.option.loadscopereorder = False  # in the order below, not by how many tests there are
    return ByGroup(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep what is there of thousands of tests until the end: nobody looks through it for what is to be freed."""
    gc.disable()
    yield
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # and what tests make is looked through less often: a twenty-fifth of their time
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a worker, begin with the groups that take longest, then with the files that have most tests."""
    if not hasattr(config, "workerinput"):
        return
    many = Counter(group_of(item.nodeid) for item in items)

    def place(item: pytest.Item) -> tuple[int, int, str]:
        group = group_of(item.nodeid)
        if group in _GROUPS:
            return _LONGEST_FIRST.index(group), 0, ""
        return len(_GROUPS), -many[group], group

    items.sort(key=place)


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
