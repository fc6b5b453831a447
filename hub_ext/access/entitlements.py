"""Entitlements: granted until a time, shortened, listed. None is ever lengthened or opened again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

from sqlalchemy import ColumnElement, false, or_
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.loading import GROUP, PERSON, counted, held_by
from hub_ext.access.owners import may_read_all, must_entitle, owned_by
from hub_ext.catalog.entitled import Kind
from hub_ext.catalog.options import shown
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.session import Database
from hub_ext.db.tables import Entitlement
from hub_ext.errors import Conflict, InvalidInput, NotFound, Problem
from hub_ext.governance.rights import check_words
from hub_ext.governance.state import agreed
from hub_ext.governance.store import CatalogStore
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.sharing.cursors import read_cursor, write_cursor

TOPIC = "access"
LONGEST_NAME = 255
_CURSOR = "entitlements"


@dataclass(frozen=True)
class Grant:
    """An entitlement that somebody wants to grant.

    Attributes:
        profile: Name of the profile.
        kind: ``person`` or ``group``.
        name: Of the person or the group.
        until: When it ends, with its zone.
        reason: Why.
    """

    profile: str
    kind: Kind
    name: str
    until: datetime
    reason: str


@dataclass(frozen=True)
class Wanted:
    """Which entitlements to list.

    Attributes:
        profile: Of this profile alone.
        kind: ``person`` or ``group`` alone.
        name: Of this person or group alone.
        ended: Those that are over, in place of those that are not.
        own: Only those of the one who asks.
        cursor: As the page before gave it.
        limit: Most of the page.
    """

    profile: str | None = None
    kind: str | None = None
    name: str | None = None
    ended: bool = False
    own: bool = False
    cursor: str | None = None
    limit: int = 30


def profiles_known(catalog: Catalog) -> list[str]:
    """Return the names of all profiles that somebody can be entitled to."""
    return sorted({one.name for one in (*catalog.profiles, *catalog.proposals)})


def holder_problem(kind: str, name: str) -> Problem | None:
    """Return what is wrong with the holder of an entitlement, None for nothing.

    Args:
        kind: Should be ``person`` or ``group``.
        name: Her or its name.
    """
    if kind not in (PERSON, GROUP):
        return Problem("kind", "must be person or group")
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        return Problem("name", f"must be a name of 1 to {LONGEST_NAME} characters that can be seen")
    return None


def profile_problem(profile: str, known: list[str]) -> Problem | None:
    """Return what is wrong with the name of a profile, None for nothing.

    Args:
        profile: The name.
        known: All names.
    """
    if profile in known:
        return None
    near = get_close_matches(shown(profile), known, n=1)
    return Problem("profile", f"there is no profile {shown(profile)!r}{f'; did you mean {near[0]}?' if near else ''}")


def until_problem(until: datetime, now: datetime, longest: timedelta) -> Problem | None:
    """Return what is wrong with an end, None for nothing.

    Args:
        until: When it shall end.
        now: The time that counts.
        longest: How far away an end may be.
    """
    if until.tzinfo is not None and now < until <= now + longest:
        return None
    return Problem("until", f"must be a time to come within {longest.days} days, with its zone")


def refuse(problems: list[Problem]) -> None:
    """Raise what is wrong, if anything is.

    Raises:
        InvalidInput: If there is a problem; it names the fields.
    """
    if problems:
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in problems), problems=problems)


class Entitlements:
    """Grants, shortens and lists entitlements.

    Args:
        database: Where they are.
        catalog: Knows the profiles and their owners.
        settings: How far away an end may be.
    """

    def __init__(self, database: Database, catalog: CatalogStore, settings: HubExt) -> None:
        self.database = database
        self.catalog = catalog
        self.settings = settings
        catalog.attach(database)

    @property
    def longest(self) -> timedelta:
        """How far away the end of an entitlement may be."""
        return timedelta(days=int(self.settings.entitlement_days))

    def grant(self, person: Person, grant: Grant) -> Entitlement:
        """Grant an entitlement.

        Args:
            person: Who grants it.
            grant: What.

        Raises:
            Forbidden: If she is neither the profile's owner nor a curator; that is audited.
            InvalidInput: If it cannot be; `problems` name the fields.
        """
        must_entitle(self.database, person, self.catalog.current(), grant.profile, "entitlement.grant")
        reason = check_words("reason", grant.reason, needed=True)
        with self.database.write() as session:
            now = self.catalog.now(agreed(session))
            catalog, _ = self.catalog.fresh(session)
            self._check(person, grant, catalog, now)
            return self.add(session, person, grant, now, reason=reason)

    def _check(self, person: Person, grant: Grant, catalog: Catalog, now: datetime) -> None:
        found = [
            profile_problem(grant.profile, profiles_known(catalog)),
            holder_problem(grant.kind, grant.name),
            until_problem(grant.until, now, self.longest),
        ]
        if (grant.kind, grant.name) == (PERSON, person.name):
            found.append(Problem("name", "must not be your own: ask another owner or a curator"))
        refuse([one for one in found if one is not None])

    def add(
        self,
        session: Session,
        person: Person,
        grant: Grant,
        now: datetime,
        *,
        reason: str,
        request_id: str | None = None,
    ) -> Entitlement:
        """Write an entitlement that was checked, with its act.

        Args:
            session: A write transaction.
            person: Who grants it.
            grant: What.
            now: The time that counts.
            reason: Why, as it is kept.
            request_id: The request that it answers.
        """
        until = grant.until.astimezone(UTC)
        row = Entitlement(
            profile=grant.profile,
            kind=grant.kind,
            name=grant.name,
            until=until,
            granted_until=until,
            reason=reason,
            granted_by=person.name,
            granted_at=now,
            request_id=request_id,
        )
        session.add(row)
        session.flush()
        record(session, person, "entitlement.grant", row, reason=reason, request=request_id)
        return row

    def shorten(self, person: Person, entitlement_id: str, reason: str, until: datetime | None = None) -> Entitlement:
        """Let an entitlement end earlier, or now.

        Args:
            person: Who shortens it.
            entitlement_id: Which.
            reason: Why.
            until: Its new end; None for now.

        Raises:
            NotFound: If there is none, or she may not know that there is.
            Forbidden: If she sees it and is neither the profile's owner nor a curator; that is audited.
            Conflict: If it is over already.
            InvalidInput: If the new end is no earlier one to come.
        """
        seen = self.get(person, entitlement_id)
        must_entitle(self.database, person, self.catalog.current(), seen.profile, "entitlement.shorten")
        words = check_words("reason", reason, needed=True)
        with self.database.write() as session:
            row = session.get_one(Entitlement, seen.id, with_for_update=True)
            now = self.catalog.now(agreed(session))
            if now >= row.until:
                raise Conflict("This entitlement is over already.")
            if until is not None and (until.tzinfo is None or not now <= until < row.until):
                refuse([Problem("until", f"must be a time to come before {row.until:%Y-%m-%d %H:%M} UTC")])
            row.until = until.astimezone(UTC) if until is not None else now
            row.shortened_by, row.shortened_at, row.shortened_why = person.name, now, words
            record(session, person, "entitlement.shorten", row, reason=words)
        return row

    def get(self, person: Person, entitlement_id: str) -> Entitlement:
        """Return an entitlement that a person may see.

        Raises:
            NotFound: If there is none, or she may not know that there is.
        """
        with self.database.read() as session:
            query = counted().where(Entitlement.id == entitlement_id[:32], self._seen_by(session, person))
            row = session.scalar(query) if entitlement_id.isascii() and "\x00" not in entitlement_id else None
        if row is None:
            raise NotFound("There is no such entitlement.")
        return row

    def listing(self, person: Person, wanted: Wanted) -> tuple[list[Entitlement], str | None]:
        """Return a page of the entitlements that a person may see: the next to end first; of those that are over,
        the last that ended.

        Args:
            person: Who asks. Curators, auditors and admins see all; owners those of their profiles; everybody her own.
            wanted: Which.

        Returns:
            The page, and the cursor of the next one.

        Raises:
            InvalidInput: If the cursor is none of ours.
        """
        with self.database.read() as session:
            now = self.catalog.now(agreed(session))
            seen = held_by(session, person.name, person.groups) if wanted.own else self._seen_by(session, person)
            query = counted().where(seen, *_filters(wanted))
            key = (Entitlement.until, Entitlement.id)
            if wanted.ended:
                query = query.where(Entitlement.until <= now).order_by(*(one.desc() for one in key))
            else:
                query = query.where(Entitlement.until > now).order_by(*key)
            if wanted.cursor is not None:
                query = query.where(_after(wanted.cursor, ended=wanted.ended))
            rows = list(session.scalars(query.limit(wanted.limit + 1)))
        page = rows[: wanted.limit]
        more = len(rows) > wanted.limit
        return page, write_cursor(_CURSOR, page[-1].until, page[-1].id) if more else None

    def after(self, person: Person, wanted: Wanted, last: str, most: int) -> list[Entitlement]:
        """Return some of the entitlements that a person may see, in the order of their ids.

        Args:
            person: Who asks.
            wanted: Which; `cursor` and `limit` mean nothing.
            last: Id of the one before them; empty to begin.
            most: How many.
        """
        with self.database.read() as session:
            now = self.catalog.now(agreed(session))
            seen = held_by(session, person.name, person.groups) if wanted.own else self._seen_by(session, person)
            over = Entitlement.until <= now if wanted.ended else Entitlement.until > now
            query = counted().where(seen, over, *_filters(wanted), Entitlement.id > last)
            return list(session.scalars(query.order_by(Entitlement.id).limit(most)))

    def _seen_by(self, session: Session, person: Person) -> ColumnElement[bool]:
        if may_read_all(person):
            return Entitlement.id.is_not(None)
        owned = owned_by(self.catalog.current(), person)
        return or_(held_by(session, person.name, person.groups), Entitlement.profile.in_(owned) if owned else false())


def _filters(wanted: Wanted) -> list[ColumnElement[bool]]:
    given = {Entitlement.profile: wanted.profile, Entitlement.kind: wanted.kind, Entitlement.name: wanted.name}
    return [column == value for column, value in given.items() if value is not None]


def _after(cursor: str, *, ended: bool) -> ColumnElement[bool]:
    until, last = read_cursor(_CURSOR, cursor, (datetime, str))
    if until is None:
        return false()
    if ended:
        return or_(Entitlement.until < until, (Entitlement.until == until) & (Entitlement.id < last))
    return or_(Entitlement.until > until, (Entitlement.until == until) & (Entitlement.id > last))


def record(session: Session, person: Person, action: str, row: Entitlement, **more: str | None) -> None:
    """Record what was done to an entitlement, and tell open pages.

    Args:
        session: The transaction of the change.
        person: Who did it.
        action: What.
        row: The entitlement.
        more: What else the record keeps.
    """
    about = {"entitlement": row.id, "kind": row.kind, "name": row.name, "until": row.until.isoformat()}
    kept = {key: value for key, value in more.items() if value}
    audit.record(session, person.name, action, ("profile", row.profile), detail={**about, **kept})
    audit.announce(session, TOPIC, {"profile": row.profile})
    if row.kind == PERSON:
        audit.announce(session, f"{TOPIC}:{row.name}", {"profile": row.profile})
