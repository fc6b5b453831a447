"""One Hub at a time: the next one loads everything, says that it is ready, and waits until the one before has ended.

Two Hubs on one database would both act. A lock of the database says whose turn it is; it is free as soon as the process
that has it is gone, since it belongs to its connection.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from hub_ext.db.addresses import driver
from hub_ext.errors import Unavailable

HEALTH = "/hub/health"
_LOCK = 0x68756274  # PostgreSQL advisory lock: "hubt"
_PAUSE = 0.05  # seconds
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


def take_turn(url: str, port: int, within: float = _WITHIN) -> Connection | None:
    """Return when no other Hub is at work on a database; hold the connection for as long as this one is.

    Args:
        url: Address of the Hub's database.
        port: Where this Hub will listen, and says until then that it waits.
        within: Seconds.

    Returns:
        What holds the turn; None for a database that is a file, which nobody else can reach.

    Raises:
        Unavailable: If the other one does not end.
    """
    engine = create_engine(driver(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    if engine.dialect.name != "postgresql":
        return None
    connection = engine.connect()
    for name, value in _NOTICES.items():
        connection.exec_driver_sql(f"SET {name} = {value}")
    if _is_ours(connection):
        return connection
    until = time.monotonic() + within
    with _saying_so(port):
        while not _is_ours(connection):
            if time.monotonic() > until:
                connection.close()
                raise Unavailable("Another Hub is at work on this database, and does not end.")
            time.sleep(_PAUSE)
    return connection
