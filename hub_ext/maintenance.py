"""Read-only for a while: everything can be seen, nothing can be changed, what runs goes on and is recorded.

For a backup, a move, or a look at what went wrong. It is a row of the database, so that Hub and every replica hold it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import PlatformState
from hub_ext.db.types import now
from hub_ext.errors import Forbidden, InvalidInput, ReadOnlyNow, Unavailable
from hub_ext.people import Person

LONGEST_WHY = 500
GOES_ON = "Everything can be read, and what runs goes on."
_LOOK_EVERY = 1.0  # seconds
_ROW = select(PlatformState.__table__).where(PlatformState.__table__.c.id == 1)  # asked at each decision
_ADMINS = "Admins alone make this platform read-only."


@dataclass(frozen=True)
class ReadOnly:
    """What is known of the maintenance that goes on.

    Attributes:
        since: When it began.
        until: When it is to be over; it lasts until somebody ends it.
        why: Why, in words.
        by: Who began it.
    """

    since: datetime
    until: datetime
    why: str
    by: str

    @property
    def banner(self) -> tuple[str, str]:
        """What stands above every page: until when, and the rest."""
        return f"Read-only until {self.until:%Y-%m-%d %H:%M} UTC:", f"{self.why} {GOES_ON}"

    def error(self) -> ReadOnlyNow:
        """Return what whoever would change something is told."""
        left = int((self.until - now()).total_seconds())
        return ReadOnlyNow(
            f"Nothing can be changed here until {self.until:%Y-%m-%d %H:%M} UTC: {self.why}",
            hint=f"{GOES_ON} Try again then.",
            retry_after=min(max(left, 10), 3600),
        )


def _of(row: Any) -> ReadOnly | None:
    if row is None or row.read_only_since is None or row.read_only_until is None:
        return None
    return ReadOnly(row.read_only_since, row.read_only_until, row.read_only_why, row.read_only_by)


def check_writable(session: Session) -> None:
    """Refuse a change while the platform is read-only.

    Args:
        session: The transaction of the change.

    Raises:
        ReadOnlyNow: If it is.
    """
    found = _of(session.connection().execute(_ROW).one_or_none())
    if found is not None:
        raise found.error()


class Maintenance:
    """Begins and ends it, and knows whether it goes on.

    Args:
        database: Where that is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self.known: ReadOnly | None = None  # as of the last look

    @property
    def is_old(self) -> bool:
        """Whether the last look was a while ago."""
        return time.monotonic() - self._looked > _LOOK_EVERY

    def look(self) -> ReadOnly | None:
        """Return what goes on, None for nothing; a second old at most. While the database is away, the last known."""
        with self._lock:
            if self.is_old:
                try:
                    with self._database.read() as session:
                        self.known = _of(session.get(PlatformState, 1))
                    self._looked = time.monotonic()
                except Unavailable:
                    return self.known
            return self.known

    def check(self) -> None:
        """Refuse a change while the platform is read-only.

        Raises:
            ReadOnlyNow: If it is.
        """
        found = self.look()
        if found is not None:
            raise found.error()

    def begin(self, person: Person, until: datetime, why: str) -> ReadOnly:
        """Let nothing be changed from now on, or say anew until when and why.

        Args:
            person: Who asks.
            until: When it is to be over.
            why: Why; everybody reads it.

        Raises:
            Forbidden: If she is no admin.
            InvalidInput: If the end is over, or there is no reason.
        """
        _check_admin(person)
        at, why = now(), why.strip()
        if until <= at:
            raise InvalidInput.of("until", "must be in the future")
        if not why or len(why) > LONGEST_WHY:
            raise InvalidInput.of("why", f"must have 1 to {LONGEST_WHY} characters")
        with self._database.write() as session:
            row = _row(session)
            row.read_only_since = row.read_only_since or at
            row.read_only_until, row.read_only_why, row.read_only_by = until, why, person.name
            detail = {"until": until.isoformat(timespec="seconds"), "why": why}
            audit.record(session, person.name, "platform.read_only", ("platform", "service"), detail=detail)
            audit.announce(session, "platform", {"read_only": True, **detail})
            made = ReadOnly(row.read_only_since, until, why, person.name)
        self._looked, self.known = time.monotonic(), made
        return made

    def end(self, person: Person) -> None:
        """Let everything be changed again; nothing happens where it is not read-only.

        Args:
            person: Who asks.

        Raises:
            Forbidden: If she is no admin.
        """
        _check_admin(person)
        with self._database.write() as session:
            row = _row(session)
            if row.read_only_since is not None:
                row.read_only_since = row.read_only_until = None
                row.read_only_why = row.read_only_by = ""
                audit.record(session, person.name, "platform.writable", ("platform", "service"))
                audit.announce(session, "platform", {"read_only": False})
        self._looked, self.known = time.monotonic(), None


def _row(session: Session) -> PlatformState:
    return session.get_one(PlatformState, 1, with_for_update=True)


def _check_admin(person: Person) -> None:
    if not person.has_role("admin"):
        raise Forbidden(_ADMINS, hint="A notebook server's own token never acts in roles.")
