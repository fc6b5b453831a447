"""One question that is asked several times a second, by a process that is otherwise idle."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any
from urllib.parse import quote

from sqlalchemy import Executable
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.db.session import Database, telling
from hub_ext.errors import HubExtError


class Repeated:
    """Asks one question again and again, for as little as can be.

    On PostgreSQL it keeps a connection, on which it is one message and one answer, without a transaction around it. On
    SQLite it need not be asked while nothing was committed.

    Args:
        database: The database.
        query: The question; its answer is one row.
    """

    def __init__(self, database: Database, query: Executable) -> None:
        self._database = database
        self._query = query
        self._kept: Connection | None = None
        self._counter: sqlite3.Connection | None = None
        self._count = -1

    def may_differ(self) -> bool:
        """Return whether anything may have been committed since this was last called; it waits for nobody.

        SQLite counts the commits of other connections, in whatever process, in memory that all of them share (`PRAGMA
        data_version` of its documentation). Of another database it is not known.
        """
        path = self._database.url.database
        if not self._database.is_sqlite or path in (None, "", ":memory:"):
            return True
        try:
            if self._counter is None:
                where = f"file:{quote(str(path))}?mode=rw"  # a file that is away is not made anew
                self._counter = sqlite3.connect(where, uri=True, timeout=0, check_same_thread=False)
            (count,) = self._counter.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # it is locked just now, or away: whoever asks will hear
            self._close_counter()
            return True
        before, self._count = self._count, count
        return bool(count != before)

    def ask(self) -> tuple[Any, ...]:
        """Return the answer.

        Raises:
            Unavailable: If the database does not answer, or has no connection left.
        """
        if self._database.is_sqlite:
            with self._database.read() as session:
                return tuple(session.execute(self._query).one())
        try:
            with telling():
                if self._kept is None:
                    self._kept = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                with self._kept.begin():
                    return tuple(self._kept.execute(self._query).one())
        except (HubExtError, SQLAlchemyError):
            self._close_kept()
            raise

    def close(self) -> None:
        """Close what is kept; it can be asked again."""
        self._close_counter()
        self._close_kept()

    def _close_counter(self) -> None:
        if self._counter is not None:
            with closing(self._counter):
                self._counter, self._count = None, -1

    def _close_kept(self) -> None:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            kept.invalidate()  # not back to those that have transactions
            kept.close()
