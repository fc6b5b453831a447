"""What our database holds of server starts: decision, start and outcome.

Called in threads, never in the loop, but for `Ledger.opening` and `Ledger.closing`.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.charges import confirm, release
from hub_ext.access.entitlements import Entitlements
from hub_ext.access.requests import AccessRequests, check_may_ask
from hub_ext.catalog.decide import Decision
from hub_ext.catalog.loading import Catalog
from hub_ext.db.session import Database
from hub_ext.db.tables import ServerStart
from hub_ext.db.types import now
from hub_ext.decisions import CatalogStore, DecisionPoint, Surroundings, parse_request
from hub_ext.errors import InvalidInput, ReadOnlyNow, StorageFull, Unavailable
from hub_ext.governance.shapes import read_time
from hub_ext.maintenance import check_writable
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.spawner.asking import Typed
from hub_ext.spawner.gathering import Gathering

log = structlog.get_logger("hub_ext.spawner.ledger")

_OPEN = ("starting", "ready")
_AT_ONCE = 4
THREADS = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="decide")
_TOGETHER = 16  # starts in one transaction, at most: others want to write, too
_YOUNG = timedelta(seconds=30)  # a start of ours that young may be known to a thread that has not said so yet
_TRIES = 20
_TABLE: Any = ServerStart.__table__
_INSERT = insert(_TABLE)
_OPEN_OF_SERVER = select(_TABLE.c.id).where(
    _TABLE.c.user_name == bindparam("user"),
    _TABLE.c.server == bindparam("server"),
    or_(*(_TABLE.c.outcome == one for one in _OPEN)),  # a list would be written out anew at each execution
)  # made once, as are the other statements of each start: to make one anew takes longer than to execute it
_TAKEN = (
    select(ServerStart.asked_at, ServerStart.ready_at)
    .where(ServerStart.profile == bindparam("profile"), ServerStart.ready_at.is_not(None))
    .order_by(ServerStart.asked_at.desc())
    .limit(20)
)
_START = select(_TABLE.c.outcome, _TABLE.c.user_name, _TABLE.c.server).where(_TABLE.c.id == bindparam("start"))
_START = _START.with_for_update()
_GOES_ON = {
    ready: update(_TABLE)
    .where(_TABLE.c.id == bindparam("start"))
    .values({"outcome": bindparam("outcome"), "reason": bindparam("reason"), column: bindparam("at")})
    for ready, column in ((True, "ready_at"), (False, "ended_at"))
}
_TYPICAL_FOR = 10.0  # seconds that what starts of a profile usually take is taken for true


@dataclass(frozen=True)
class Asked:
    """A start as it was asked for.

    Attributes:
        start_id: Identifier of the start.
        asker: Who asked (an admin may ask for somebody else).
        user: Whose server it is.
        server: Its name; empty for the one that has none.
        options: What came, or was stored.
        groups: Groups of the user at the Hub now.
    """

    start_id: str
    asker: str
    user: str
    server: str
    options: Any
    groups: tuple[str, ...]

    @property
    def subject(self) -> tuple[str, str]:
        """The server, as the record names it."""
        return ("server", f"{self.user}/{self.server}" if self.server else self.user)


@dataclass(frozen=True)
class Outcome:
    """How a start went on.

    Attributes:
        start_id: Identifier of the start.
        outcome: ready, failed, cancelled or stopped.
        reason: Why, in words.
        actor: Who ended it; empty for nobody.
    """

    start_id: str
    outcome: str
    reason: str = ""
    actor: str = ""


_ACTIONS = {"ready": "server.ready", "failed": "server.fail", "cancelled": "server.cancel", "stopped": "server.stop"}


class Ledger:
    """Decides starts and writes down what becomes of them.

    Args:
        settings: Says where the database and the profiles are.
    """

    _shared: dict[str, Ledger] = {}  # noqa: RUF012  # one for each database, made by `shared`
    _lock = threading.Lock()

    def __init__(self, settings: HubExt) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.decisions = DecisionPoint(self.database, CatalogStore(settings), settings)
        # SQLite lets one writer in at a time, and has the others sleep for up to 0.1 s between two tries.
        self._turn = threading.Lock() if self.database.is_sqlite else contextlib.nullcontext()
        # On PostgreSQL each has a transaction of its own: together they would hold rows that others wait for.
        most, at_once = (_TOGETHER, 1) if self.database.is_sqlite else (1, _AT_ONCE)
        self.opening = Gathering(self.open_all, THREADS, most=most, at_once=at_once)
        self.closing = Gathering(self.close_all, THREADS, most=most, at_once=at_once)
        self._unsaved: dict[tuple[str, str], tuple[Outcome, int]] = {}
        self._opened: set[str] = set()  # starts that this process decided on
        self._closing: set[str] = set()  # starts whose outcome a thread is about to write down
        self._typical: dict[str, tuple[float, float]] = {}  # profile → when it was looked up, and what it was

    @classmethod
    def shared(cls, settings: HubExt) -> Ledger:
        """Return the one ledger of this process for a database."""
        with cls._lock:
            if settings.database not in cls._shared:
                cls._shared[settings.database] = cls(settings)
            return cls._shared[settings.database]

    @property
    def catalog(self) -> Catalog:
        """The profiles."""
        return self.decisions.catalog.current()

    def open(self, asked: Asked) -> Decision:
        """Decide a start, and write down decision and start in one transaction.

        Args:
            asked: What is asked for.

        Returns:
            The decision; only an allowed one is a start.

        Raises:
            InvalidInput: If what came is not a start at all; that is recorded, too.
            Unavailable: If the database does not answer.
        """
        (found,) = self.open_all([asked])
        if isinstance(found, Exception):
            raise found
        return found

    def open_all(self, many: Sequence[Asked]) -> list[Decision | Exception]:
        """Decide starts one after the other, in one transaction where SQLite lets one writer in at a time.

        Args:
            many: What is asked for.

        Returns:
            For each what `open` returns or raises; one that goes wrong takes no other with it.
        """
        self.decisions.catalog.recent()  # nobody may have looked at the files for hours; not under the database's lock
        try:
            return self._open_together(many)
        except Exception as error:  # noqa: BLE001  # whoever waits is told
            if len(many) == 1:
                return [error]
            if isinstance(error, Unavailable | StorageFull) and not isinstance(error, ReadOnlyNow):
                return [error for _ in many]  # it would be so for each
            log.warning("starts could not be decided together; each is decided alone", error=str(error)[:300])
            return [found for one in many for found in self.open_all([one])]

    def _open_together(self, many: Sequence[Asked]) -> list[Decision | Exception]:
        with self._turn, self.database.write() as session:
            around = self.decisions.look(session) if self.database.is_sqlite and len(many) > 1 else None
            return [self._open(session, one, around) for one in many]

    def _open(self, session: Session, asked: Asked, around: Surroundings | None) -> Decision | Exception:
        try:
            request = parse_request(asked.user, "server", asked.options)
        except InvalidInput as error:
            detail = {"asked_by": asked.asker, "reasons": [problem.as_dict() for problem in error.problems[:20]]}
            audit.record(session, asked.user, "server.decide", asked.subject, outcome="denied", detail=detail)
            return error
        request = replace(request, name=asked.server, launch=asked.start_id)
        self._supersede(session, asked)
        decision, decision_id = self.decisions.decide(
            session, request, asked.groups, asked.server, asked.start_id, around
        )
        if decision.allowed and decision.profile is not None:
            self._begin(session, asked, decision, decision_id)
        return decision

    def _supersede(self, session: Session, asked: Asked) -> None:
        """Give back what the last start of this very server took: its end may not be written down yet."""
        of_it = {"user": asked.user, "server": asked.server}
        for start_id in session.connection().scalars(_OPEN_OF_SERVER, of_it).all():
            release(session, start_id, now())

    def _begin(self, session: Session, asked: Asked, decision: Decision, decision_id: str) -> None:
        assert decision.profile is not None  # noqa: S101  # an allowed decision has one
        name, version = decision.profile.name, decision.profile.version
        start = {"id": asked.start_id, "user_name": asked.user, "server": asked.server, "decision_id": decision_id}
        session.connection().execute(_INSERT, {**start, "profile": name, "profile_version": version})
        self._opened.add(asked.start_id)
        detail = {"start": asked.start_id, "decision": decision_id, "profile": f"{name} {version}"}
        audit.record(session, asked.asker, "server.start", asked.subject, detail=detail)

    def kept(self, start_id: str) -> int:
        """Return for how many hours past its usual end a server was kept.

        Args:
            start_id: The start that it stands for.

        Raises:
            Unavailable: If the database does not answer.
        """
        with self.database.read() as session:
            return session.scalar(select(ServerStart.kept).where(ServerStart.id == start_id)) or 0

    def ask(self, person: Person, typed: Typed) -> None:
        """Ask for access to a profile.

        Args:
            person: Who asks, for herself.
            typed: What she typed; an empty end is none.

        Raises:
            Forbidden: If her session or token may not ask.
            InvalidInput: If it cannot be; `problems` name the fields.
            Conflict: If she may use it already, or too many requests of hers wait.
            ReadOnlyNow: If nothing can be changed now.
        """
        check_may_ask(person)
        with self.database.read() as session:
            check_writable(session)
        until = read_time("until", typed.until) if typed.until.strip() else None
        requests = AccessRequests(Entitlements(self.database, self.decisions.catalog, self.settings), self.decisions)
        requests.ask(person, typed.profile, typed.reason, until)

    def last_allowed(self, user: str, server: str) -> dict[str, Any] | None:
        """Return the options of the last start of a server that was allowed; None if there is none."""
        with self.database.read() as session:
            return self.decisions.last_allowed(session, user, server)

    def will_close(self, outcome: Outcome) -> None:
        """Hear, in the loop, that a thread is about to `close` a start: `settle` is not to say another reason."""
        self._closing.add(outcome.start_id)

    def close(self, outcome: Outcome) -> None:
        """Write down how a start went on; kept for `settle` when that does not work now."""
        self.close_all([outcome])

    def close_all(self, many: Sequence[Outcome]) -> list[bool | Exception]:
        """Write down how starts went on, in one transaction where SQLite lets one writer in at a time.

        Args:
            many: How they went on.

        Returns:
            Whether each is written down; others are kept for `settle`.
        """
        try:
            written = self._write_all(many)
        except (Unavailable, StorageFull):
            written = [False for _ in many]
        for outcome, done in zip(many, written, strict=True):
            self._closed(outcome, written=done)
        return list(written)

    def _closed(self, outcome: Outcome, *, written: bool) -> None:
        key = (outcome.start_id, outcome.outcome)
        with self._lock:
            tries = self._unsaved.pop(key, (outcome, 0))[1] + 1
            if not written and tries < _TRIES:
                self._unsaved[key] = (outcome, tries)
        self._closing.discard(outcome.start_id)
        if outcome.outcome != "ready":
            self._opened.discard(outcome.start_id)

    def _write_all(self, many: Sequence[Outcome]) -> list[bool]:
        with self._turn, self.database.write() as session:
            return [self._write(session, one) for one in many]

    def _write(self, session: Session, outcome: Outcome) -> bool:
        start = session.connection().execute(_START, {"start": outcome.start_id}).one_or_none()
        if start is None:
            return False
        if start.outcome not in _OPEN or start.outcome == outcome.outcome:
            return True
        at = now()
        ready = outcome.outcome == "ready"
        told = {"start": outcome.start_id, "outcome": outcome.outcome, "reason": outcome.reason, "at": at}
        session.connection().execute(_GOES_ON[ready], told)
        if ready:
            confirm(session, outcome.start_id, at)
        else:
            release(session, outcome.start_id, at)
        subject = ("server", f"{start.user_name}/{start.server}" if start.server else start.user_name)
        audit.record(
            session,
            outcome.actor or "service:hub",
            _ACTIONS[outcome.outcome],
            subject,
            outcome="failed" if outcome.outcome == "failed" else "allowed",
            detail={"start": outcome.start_id, "reason": outcome.reason},
        )
        return True

    def settle(self, alive: Collection[str]) -> int:
        """Make the starts true: write what could not be written, and end those that no server stands behind.

        Args:
            alive: Identifiers of all starts that a server or a pending start stands behind now.

        Returns:
            How many starts had been left open.
        """
        with self._lock:
            waiting = [outcome for outcome, _ in self._unsaved.values()]
        for outcome in waiting:
            self.close(outcome)
        with self.database.read() as session:
            query = select(ServerStart.id, ServerStart.outcome, ServerStart.asked_at)
            found = session.execute(query.where(ServerStart.outcome.in_(_OPEN))).all()
        old, known = now() - _YOUNG, {*alive, *self._closing}
        left = [
            (start_id, state)
            for start_id, state, asked_at in found
            if start_id not in known and (start_id not in self._opened or asked_at < old)
        ]
        for start_id, state in left:
            if state == "starting":
                self.close(Outcome(start_id, "failed", "The Hub ended while this server was starting."))
            else:
                self.close(Outcome(start_id, "stopped", "It ended while the Hub was not running."))
        return len(left)

    def typical_seconds(self, profile: str) -> float | None:
        """Return how long the last starts of a profile took, in seconds (median); None if there were none.

        It is looked up every ten seconds at most: many may start at once.
        """
        known = self._typical.get(profile)
        if known is not None and time.monotonic() - known[0] < _TYPICAL_FOR:
            return known[1]
        with self.database.read() as session:
            rows = session.execute(_TAKEN, {"profile": profile}).all()
        taken = [(ready - asked).total_seconds() for asked, ready in rows if ready is not None]
        if not taken:
            return None
        self._typical[profile] = time.monotonic(), statistics.median(taken)
        return self._typical[profile][1]
