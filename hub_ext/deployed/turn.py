"""One Hub at a time: the next one loads everything, says that it is ready, and waits until the one before has ended.

Two Hubs on one database would both act. A lock of the database says whose turn it is; it is free as soon as the process
that has it is gone, since it belongs to its connection. A database that was restarted has forgotten it: the Hub takes
it again, or ends, where another one was faster.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from hub_ext.db.addresses import driver, patience
from hub_ext.errors import Unavailable

log = logging.getLogger(__name__)

HEALTH = "/hub/health"
_LOCK = 0x68756274  # PostgreSQL advisory lock: "hubt"
_PAUSE = 0.05  # seconds
_LOOK_EVERY = 3.0  # seconds
_WITHIN = 120.0  # seconds; then the pod is started again, and waits again
# A machine that vanished says no goodbye: the database finds out within seconds, where its own default is hours.
_NOTICES = {"tcp_keepalives_idle": 5, "tcp_keepalives_interval": 3, "tcp_keepalives_count": 3}


class _Waiting(BaseHTTPRequestHandler):
    """Says that this Hub is ready to take over; whoever wants more is asked to come back."""

    def do_GET(self) -> None:  # as http.server calls it
        """Answer."""
        self.send_response(200 if self.path == HEALTH else 503)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    do_HEAD = do_POST = do_GET  # noqa: N815  # as http.server calls them

    def log_message(self, *_: object) -> None:
        """Say nothing: it is asked every second."""


@contextmanager
def _saying_so(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer(("", port), _Waiting)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _is_ours(connection: Connection) -> bool:
    return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar())


def _connect(url: str) -> Connection | None:
    """Return a connection; None to a database that is a file, which nobody else can reach."""
    engine = create_engine(driver(url), poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=patience(url))
    if engine.dialect.name != "postgresql":
        return None
    connection = engine.connect()
    for name, value in _NOTICES.items():
        connection.exec_driver_sql(f"SET {name} = {value}")
    return connection


class Turn:
    """The turn of this process.

    Args:
        url: Address of the Hub's database.
        connection: Has the lock.
    """

    def __init__(self, url: str, connection: Connection) -> None:
        self._url = url
        self._connection = connection
        self._over = threading.Event()

    def is_ours(self) -> bool:
        """Return whether it still is; it is taken again where the database was away."""
        with suppress(DBAPIError):
            if not self._connection.invalidated:  # else it would be made anew, without the lock
                self._connection.execute(text("SELECT 1"))
                return True
        try:
            fresh = _connect(self._url)
        except DBAPIError:
            return True  # nobody else reaches the database either
        if fresh is None:
            return True
        if not _is_ours(fresh):
            fresh.close()
            return False
        log.warning("the database was away; the turn is taken again")
        self._connection = fresh
        return True

    def keep(self) -> None:
        """Look after it in a thread, until `close`; a Hub that has lost it ends."""
        threading.Thread(target=self._look, name="turn", daemon=True).start()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            if not self.is_ours():
                log.critical("another Hub took over while the database was away; this one ends")
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def close(self) -> None:
        """Give it to whoever waits."""
        self._over.set()
        self._connection.close()


def take_turn(url: str, port: int, within: float = _WITHIN) -> Turn | None:
    """Return when no other Hub is at work on a database.

    Args:
        url: Address of the Hub's database.
        port: Where this Hub will listen, and says until then that it waits.
        within: Seconds.

    Returns:
        The turn; None for a database that is a file, which nobody else can reach.

    Raises:
        Unavailable: If the other one does not end.
    """
    connection = _connect(url)
    if connection is None:
        return None
    if _is_ours(connection):
        return Turn(url, connection)
    until = time.monotonic() + within
    with _saying_so(port):
        while not _is_ours(connection):
            if time.monotonic() > until:
                connection.close()
                raise Unavailable("Another Hub is at work on this database, and does not end.")
            time.sleep(_PAUSE)
    return Turn(url, connection)
