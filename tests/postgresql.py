"""A PostgreSQL of Debian's for the tests: a cluster in a folder of its own, that ends with the tests' process."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.db.tables import Base

_ROOT = Path("/usr/lib/postgresql")
_UNPRIVILEGED = "postgres"  # PostgreSQL refuses to run as root; Debian's package makes this user
_START = 60.0  # seconds
_MIGRATED = "migrated"
# One question in place of fifty: cut off who is connected, and delete all rows.
_OTHERS = "datname = current_database() AND pid <> pg_backend_pid()"
_CUT_OFF = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OTHERS}"
_EMPTY = "; ".join((_CUT_OFF, *(f"DELETE FROM {table.name}" for table in reversed(Base.metadata.sorted_tables))))
# Nothing here outlives the tests, so nothing has to reach the disk.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "120",
}


def binaries() -> Path:
    """Return the folder of the newest PostgreSQL that is installed."""
    found = sorted(_ROOT.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is not installed: scripts/system_packages.py installs it"
    return found[-1].parent


class Cluster:
    """A cluster that runs.

    Args:
        folder: Holds its data and its socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        self._seed: dict[Table, list[dict[str, Any]]] = {}
        # They keep what they know of the server and of each statement, and no connection.
        self._orders = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._migrated = create_engine(self.url(_MIGRATED), poolclass=NullPool)

    def url(self, name: str) -> str:
        """Return the address of a database.

        Args:
            name: Its name.
        """
        query = {"host": str(self.folder)}
        return URL.create("postgresql+psycopg", "hub_ext", database=name, query=query).render_as_string()

    def make(self) -> str:
        """Make an empty database and return its address."""
        name = f"test_{next(self._numbers)}"
        self._order(f"CREATE DATABASE {name}")
        return self.url(name)

    @contextmanager
    def away(self, url: str) -> Iterator[None]:
        """Let a database answer nobody for a while; whoever is connected is cut off.

        Args:
            url: Its address, from `make`.
        """
        name = make_url(url).database
        self._order(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            self._order(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            yield
        finally:
            self._order(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Lend the one database that is as the migrations make it, and clean it afterwards (which is quicker)."""
        url = self.url(_MIGRATED)
        if not self._seed:
            self._order(f"CREATE DATABASE {_MIGRATED}")
            database = Database(url)
            upgrade(database)
            with database.engine.connect() as connection:
                for table in Base.metadata.sorted_tables:
                    self._seed[table] = [dict(row) for row in connection.execute(table.select()).mappings()]
            database.dispose()
        try:
            yield url
        finally:
            self._clean()

    def _clean(self) -> None:
        with self._migrated.begin() as connection:
            connection.execution_options(no_parameters=True).exec_driver_sql(_EMPTY)
            for (name,) in connection.execute(text("SELECT sequencename FROM pg_sequences WHERE last_value > 0")).all():
                connection.execute(text(f"ALTER SEQUENCE {name} RESTART"))
            for table, rows in self._seed.items():
                if rows:
                    connection.execute(table.insert(), rows)

    def _order(self, sql: str) -> list[object]:
        with self._orders.connect() as connection:
            found = connection.execute(text(sql))
            return list(found) if found.returns_rows else []

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _START
        while True:
            assert process.poll() is None, (self.folder / "log").read_text()
            try:
                self._order("SELECT 1")
            except OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return


def _as_somebody(*command: str) -> list[str]:
    """Return a command as a user that may run PostgreSQL; it ends when we do."""
    drop = ["--reuid", _UNPRIVILEGED, "--regid", _UNPRIVILEGED, "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *drop, "--pdeathsig", "QUIT", "--", *command]


@contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """Run a cluster, and leave nothing of it.

    Args:
        settings: PostgreSQL's settings beside those of all tests.
    """
    folder = Path(tempfile.mkdtemp(prefix="hub-ext-pg-"))  # a socket's address has at most 107 characters
    process = None
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _UNPRIVILEGED, _UNPRIVILEGED)
        data = folder / "data"
        # Another order of texts than Python's, as most installations have it.
        order = ["--encoding", "UTF8", "--locale-provider", "icu", "--icu-locale", "en-US", "--locale", "C.UTF-8"]
        make = [str(binaries() / "initdb"), "-D", str(data), "-U", "hub_ext", "--auth", "trust", "--no-sync", *order]
        subprocess.run(_as_somebody(*make), check=True, stdout=subprocess.DEVNULL, cwd=folder)
        given = [f"--{key}={value}" for key, value in (_SETTINGS | settings).items()]
        run = [str(binaries() / "postgres"), "-D", str(data), "-k", str(folder), *given]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(_as_somebody(*run), cwd=folder, stdout=log, stderr=log)
        made = Cluster(folder)
        made.wait(process)
        yield made
    finally:
        if process is not None:
            process.terminate()  # pdeathsig aside: let it end its own processes
            process.send_signal(3)
            process.wait(_START)
        shutil.rmtree(folder)
