"""Requests for access: an analyst asks with a reason, the profile's owner or a curator answers; one answer holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, false, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.entitlements import (
    TOPIC,
    Entitlements,
    Grant,
    profile_problem,
    profiles_known,
    refuse,
    until_problem,
)
from hub_ext.access.loading import PERSON
from hub_ext.access.owners import may_read_all, must_entitle, owned_by
from hub_ext.catalog.decide import may_use
from hub_ext.catalog.options import shown
from hub_ext.db.tables import AccessRequest, Entitlement
from hub_ext.db.types import new_id
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem
from hub_ext.governance.rights import check_words
from hub_ext.governance.state import agreed
from hub_ext.people import Person
from hub_ext.sharing.cursors import read_cursor, write_cursor

WAITING, GRANTED, REFUSED, WITHDRAWN = "waiting", "granted", "refused", "withdrawn"
STATES = (WAITING, GRANTED, REFUSED, WITHDRAWN)
MOST_WAITING = 50  # of one person: who asks for everything is asked to wait
_CURSOR = "access-requests"


@dataclass(frozen=True)
class Answer:
    """What the owner or a curator says to a request.

    Attributes:
        verdict: ``grant`` or ``refuse``.
        until: When the entitlement ends, for a grant.
        words: For the one who asked; needed for a refusal.
    """

    verdict: str
    until: datetime | None = None
    words: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which requests to list.

    Attributes:
        state: In this state alone; None for any.
        profile: Of this profile alone.
        user: Of this person alone.
        own: Only those of the one who asks.
        answerable: Only those that the one who asks may answer.
        cursor: As the page before gave it.
        limit: Most of the page.
    """

    state: str | None = None
    profile: str | None = None
    user: str | None = None
    own: bool = False
    answerable: bool = False
    cursor: str | None = None
    limit: int = 30


def check_may_ask(person: Person) -> None:
    """Refuse what a notebook does in somebody's name.

    Args:
        person: Who asks.

    Raises:
        Forbidden: If it is a notebook server's own token.
    """
    if not person.may_administer:
        raise Forbidden(
            "This token may not ask for access: a notebook server's own, or one made without that right.",
            hint="Ask in the browser, or with a token of your own.",
        )


class AccessRequests:
    """Takes, answers and lists requests for access.

    Args:
        entitlements: Grants what is asked for.
        decisions: Knows what somebody may use already.
    """

    def __init__(self, entitlements: Entitlements, decisions: DecisionPoint) -> None:
        self.entitlements = entitlements
        self.decisions = decisions
        self.database = entitlements.database
        self.catalog = entitlements.catalog

    # Asking.

    def ask(
        self, person: Person, profile: str, reason: str, until: datetime | None = None
    ) -> tuple[AccessRequest, bool]:
        """Ask for access to a profile; asking again while it waits changes nothing.

        Args:
            person: Who asks.
            profile: Name of the profile.
            reason: Why.
            until: Until when she would need it; None for what the owner thinks right.

        Returns:
            The request, and whether it is new.

        Raises:
            InvalidInput: If it cannot be; `problems` name the fields.
            Conflict: If a group of hers may use the profile already, or too many requests of hers wait.
        """
        words = check_words("reason", reason, needed=True)
        try:
            with self.database.write() as session:
                return self._ask(session, person, profile, words, until)
        except IntegrityError:  # twice at once: the other one is there
            with self.database.read() as session:
                waiting = _waiting(session, person.name, profile)
            if waiting is None:
                raise
            return waiting, False

    def _ask(
        self, session: Session, person: Person, profile: str, words: str, until: datetime | None
    ) -> tuple[AccessRequest, bool]:
        facts = self.decisions.facts_now(session, person.groups, user=person.name)
        problems = [profile_problem(profile, profiles_known(facts.catalog))]
        if until is not None:
            problems.append(until_problem(until, facts.now, self.entitlements.longest))
        refuse([one for one in problems if one is not None])
        waiting = _waiting(session, person.name, profile)
        if waiting is not None:
            return waiting, False
        versions = facts.catalog.versions(profile)
        if versions and facts.groups.intersection(versions[-1].spec.access.groups):
            raise Conflict(f"You may use {versions[-1].metadata.title} already: a group of yours may.")
        count = select(func.count()).where(AccessRequest.user == person.name, AccessRequest.state == WAITING)
        if (session.scalar(count) or 0) >= MOST_WAITING:
            raise Conflict(
                f"{MOST_WAITING} requests of yours wait already.", hint="Withdraw some that you need no more."
            )
        row = AccessRequest(
            id=new_id("q"), user=person.name, profile=profile, reason=words, wanted_until=until, asked_at=facts.now
        )
        session.add(row)
        session.flush()
        may_already = bool(versions) and may_use(versions[-1], facts) is None
        detail = {"request": row.id, "reason": words, "until": until.isoformat() if until else None}
        audit.record(session, person.name, "access.ask", ("profile", profile), detail=detail | {"longer": may_already})
        _tell(session, row)
        return row, True

    def withdraw(self, person: Person, request_id: str) -> AccessRequest:
        """Take one's own request back.

        Raises:
            NotFound: If there is none, or she may not know that there is.
            Forbidden: If it is somebody else's.
            Conflict: If it was answered already.
        """
        with self.database.write() as session:
            row = self._locked(session, person, request_id)
            if row.user != person.name:
                raise Forbidden("This is somebody else's request.")
            _must_wait(row)
            row.state, row.answered_at = WITHDRAWN, self.catalog.now(agreed(session))
            audit.record(session, person.name, "access.withdraw", ("profile", row.profile), detail={"request": row.id})
            _tell(session, row)
        return row

    # Answering.

    def answer(self, person: Person, request_id: str, answer: Answer) -> AccessRequest:
        """Answer a request. Of several answers at once one holds, and the others are told which.

        Args:
            person: Who answers.
            request_id: Which request.
            answer: What she says.

        Raises:
            NotFound: If there is none, or she may not know that there is.
            Forbidden: If she is neither the profile's owner nor a curator, or it is her own; that is audited.
            InvalidInput: If the answer cannot be; `problems` name the fields.
            Conflict: If it was answered or withdrawn already.
        """
        seen = self.get(person, request_id)
        must_entitle(self.database, person, self.catalog.current(), seen.profile, "access.answer")
        if seen.user == person.name:
            raise Forbidden("Nobody answers her own request.", hint="Ask another owner or a curator.")
        if answer.verdict not in ("grant", "refuse"):
            raise InvalidInput.of("verdict", "must be grant or refuse")
        words = check_words("words", answer.words, needed=answer.verdict == "refuse")
        with self.database.write() as session:
            row = self._locked(session, person, request_id)
            _must_wait(row)
            now = self.catalog.now(agreed(session))
            row.answered_by, row.answered_at, row.answer = person.name, now, words
            if answer.verdict == "grant":
                row.state = GRANTED
                row.entitlement_id = self._grant(session, person, row, answer.until, now).id
            else:
                row.state = REFUSED
                detail = {"request": row.id, "user": row.user, "answer": words}
                audit.record(session, person.name, "access.refuse", ("profile", row.profile), detail=detail)
            _tell(session, row)
        return row

    def _grant(
        self, session: Session, person: Person, row: AccessRequest, until: datetime | None, now: datetime
    ) -> Entitlement:
        if until is None:
            raise InvalidInput.of("until", "say until when")
        refuse([one for one in [until_problem(until, now, self.entitlements.longest)] if one is not None])
        grant = Grant(row.profile, PERSON, row.user, until, row.reason)
        return self.entitlements.add(session, person, grant, now, reason=row.reason, request_id=row.id)

    # Looking.

    def get(self, person: Person, request_id: str) -> AccessRequest:
        """Return a request that a person may see: her own, or one for a profile that she looks after.

        Raises:
            NotFound: If there is none, or she may not know that there is.
        """
        with self.database.read() as session:
            return self._found(session, person, request_id)

    def _found(self, session: Session, person: Person, request_id: str, *, lock: bool = False) -> AccessRequest:
        query = select(AccessRequest).where(AccessRequest.id == shown(request_id)[:32], self._seen_by(person))
        row = session.scalar(query.with_for_update() if lock else query)
        if row is None:
            raise NotFound("There is no such request.")
        return row

    def _locked(self, session: Session, person: Person, request_id: str) -> AccessRequest:
        return self._found(session, person, request_id, lock=True)

    def listing(self, person: Person, wanted: Wanted) -> tuple[list[AccessRequest], str | None]:
        """Return a page of the requests that a person may see: of those that wait the oldest first, else the newest.

        Args:
            person: Who asks.
            wanted: Which.

        Returns:
            The page, and the cursor of the next one.

        Raises:
            InvalidInput: If the state or the cursor is none.
        """
        if wanted.state is not None and wanted.state not in STATES:
            refuse([Problem("state", f"must be one of {', '.join(STATES)}")])
        oldest_first = wanted.state == WAITING
        key = (AccessRequest.asked_at, AccessRequest.id)
        query = select(AccessRequest).where(*self._conditions(person, wanted))
        query = query.order_by(*key) if oldest_first else query.order_by(*(one.desc() for one in key))
        if wanted.cursor is not None:
            at, last = read_cursor(_CURSOR, wanted.cursor, (datetime, str))
            if at is None:
                return [], None
            query = query.where(tuple_(*key) > tuple_(at, last) if oldest_first else tuple_(*key) < tuple_(at, last))
        with self.database.read() as session:
            rows = list(session.scalars(query.limit(wanted.limit + 1)))
        page, more = rows[: wanted.limit], len(rows) > wanted.limit
        return page, write_cursor(_CURSOR, page[-1].asked_at, page[-1].id) if more else None

    def count_answerable(self, person: Person) -> int:
        """Return how many requests wait for an answer that a person may give."""
        if not person.has_role("curator") and not owned_by(self.catalog.current(), person):
            return 0  # as for most people: the database is not asked
        wanted = Wanted(state=WAITING, answerable=True)
        query = select(func.count()).select_from(AccessRequest).where(*self._conditions(person, wanted))
        with self.database.read() as session:
            return session.scalar(query) or 0

    def _conditions(self, person: Person, wanted: Wanted) -> list[ColumnElement[bool]]:
        seen = self._answerable(person) if wanted.answerable else self._seen_by(person)
        found = [AccessRequest.user == person.name if wanted.own else seen]
        given = {
            AccessRequest.state: wanted.state,
            AccessRequest.profile: wanted.profile,
            AccessRequest.user: wanted.user,
        }
        return found + [column == value for column, value in given.items() if value is not None]

    def _seen_by(self, person: Person) -> ColumnElement[bool]:
        if may_read_all(person):
            return AccessRequest.id.is_not(None)
        return or_(AccessRequest.user == person.name, self._of_owned(person))

    def _of_owned(self, person: Person) -> ColumnElement[bool]:
        owned = owned_by(self.catalog.current(), person)
        return AccessRequest.profile.in_(owned) if owned else false()

    def _answerable(self, person: Person) -> ColumnElement[bool]:
        others = AccessRequest.user != person.name
        return others if person.has_role("curator") else others & self._of_owned(person)


def _waiting(session: Session, user: str, profile: str) -> AccessRequest | None:
    query = select(AccessRequest).where(AccessRequest.user == user, AccessRequest.profile == profile)
    return session.scalar(query.where(AccessRequest.state == WAITING))


def _must_wait(row: AccessRequest) -> None:
    if row.state == WAITING:
        return
    who = f" by {row.answered_by}" if row.answered_by else ""
    when = f" on {row.answered_at:%Y-%m-%d %H:%M} UTC" if row.answered_at else ""
    raise Conflict(f"This request was {row.state} already{who}{when}: that answer holds.")


def _tell(session: Session, row: AccessRequest) -> None:
    audit.announce(session, TOPIC, {"request": row.id, "profile": row.profile, "state": row.state})
    audit.announce(session, f"{TOPIC}:{row.user}", {"request": row.id, "profile": row.profile, "state": row.state})
