"""The database: one engine, read and write transactions, leases."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from hub_ext.db.addresses import driver, patience
from hub_ext.db.full import is_full
from hub_ext.db.tables import Lease
from hub_ext.db.types import now
from hub_ext.errors import HubExtError, StorageFull, Unavailable

_WRITE = "hub_ext_write"
_WAL_SECONDS = 10.0
# SQLite has no queue: who waits for another process's transactions looks every 0.1 s whether there is none just now,
# and on a machine that is overloaded it may look often. Whoever cannot wait so long has a limit of her own, and leaves.
_TURN_WITHIN = 60.0  # seconds
# As many connections as threads use at once (`web.server`) stay open: a new one costs PostgreSQL a process and a
# password's check. Those used last are used first, so that the others are there for a rush alone.
_KEPT_OPEN = {"pool_size": 10, "max_overflow": 5, "pool_use_lifo": True}
_HOLDER = f"{socket.gethostname()}:{os.getpid()}"


def _tell(error: DBAPIError) -> HubExtError:
    """Return what a person is told about a failing database, without a word of its text."""
    if is_full(error.orig):
        return StorageFull("The database has no space left, so nothing was changed.", hint="Tell an admin.")
    return Unavailable("The database does not answer, so nothing was changed.", hint="Try again in a moment.")


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Tell a failing database in words; what callers expect, two at once, stays as it is.

    Raises:
        StorageFull: If the disk is full.
        Unavailable: If the database does not answer, or has no connection left.
    """
    try:
        yield
    except IntegrityError:
        raise  # callers expect these: two at once
    except OperationalError as error:
        raise _tell(error) from error
    except PoolTimeout as error:
        raise Unavailable("The database is too busy.", hint="Try again in a moment.") from error


class Database:
    """A connection pool, and transactions on it.

    Args:
        url: SQLAlchemy address. SQLite files are opened in WAL mode and writers take their lock at once
            (`BEGIN IMMEDIATE`), so that a transaction never fails half-way for a lock it did not hold. On PostgreSQL
            a writer locks the rows that it reads to change them (`FOR UPDATE`), and a reader sees one moment.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(driver(url))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_pre_ping": not self.is_sqlite}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": _TURN_WITHIN, "check_same_thread": False}
            if self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        else:
            options |= {"connect_args": patience(url), **_KEPT_OPEN}
        self.engine: Engine = create_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block and rolls back on any error.

        Raises:
            StorageFull: If the disk is full.
            Unavailable: If the database does not answer.
        """
        with self._session(write=True) as session:
            yield session
            session.commit()

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads.

        Raises:
            Unavailable: If the database does not answer.
        """
        with self._session(write=False) as session:
            yield session

    @contextlib.contextmanager
    def _session(self, *, write: bool) -> Iterator[Session]:
        options: dict[str, Any] = {_WRITE: write}
        if not self.is_sqlite:
            options["isolation_level"] = "READ COMMITTED" if write else "REPEATABLE READ"
        bind = self.engine.execution_options(**options)
        with telling(), Session(bind, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        """Close all connections; those that are in use, when they are given back."""
        event.listen(self.engine.pool, "checkin", _close)
        self.engine.dispose()

    close = dispose  # for `contextlib.closing`


def _close(_connection: object, record: ConnectionPoolEntry) -> None:
    record.invalidate()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we begin ourselves
    for pragma in (f"busy_timeout={_TURN_WITHIN * 1000:.0f}", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    _use_wal(connection)


def _use_wal(connection: Any) -> None:
    """Switch a new file to WAL; where several processes do so at once, SQLite does not wait but refuses."""
    deadline = time.monotonic() + _WAL_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def hold_lease(database: Database, name: str, seconds: float, holder: str = _HOLDER) -> bool:
    """Take or renew a lease.

    Args:
        database: Where leases are kept.
        name: The job.
        seconds: How long it is held without being renewed.
        holder: Who asks; this process by default.

    Returns:
        Whether this holder has it now.
    """
    at = now()
    try:
        with database.write() as session:
            lease = session.scalar(select(Lease).where(Lease.name == name).with_for_update())
            if lease is None:
                session.add(Lease(name=name, holder=holder, expires_at=at + timedelta(seconds=seconds)))
            elif lease.holder == holder or lease.expires_at <= at:
                lease.holder, lease.expires_at = holder, at + timedelta(seconds=seconds)
            else:
                return False
    except IntegrityError:
        return False  # two asked at once for a lease that nobody had
    return True


def release_lease(database: Database, name: str, holder: str = _HOLDER) -> None:
    """Give a lease back, so that the next holder need not wait for its end."""
    with database.write() as session:
        lease = session.get(Lease, name)
        if lease is not None and lease.holder == holder:
            session.delete(lease)
