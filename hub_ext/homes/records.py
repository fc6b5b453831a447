"""What is known of the homes of people who left: listed and confirmed by admins, kept true by the Hub."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import Account, LeftHome, Run, ServerStart
from hub_ext.db.types import now
from hub_ext.errors import Conflict, Forbidden, InvalidInput, NotFound
from hub_ext.governance.rights import must_be
from hub_ext.homes.places import Found
from hub_ext.people import Person
from hub_ext.runs.states import ACTIVE
from hub_ext.settings import HubExt

HUB = "service:hub"
READERS = ("auditor", "admin")
MOST = 100  # homes in one confirmation
_ADMIN = "admin"
_OPEN = ("starting", "ready")
_WAITS = ("confirmed", "removing")
_OVERLAP = timedelta(hours=1)  # clocks of several machines differ, and a transaction takes its time
_REMOVED_SHOWN = 50
_GONE = "It was not there any more."


@dataclass(frozen=True)
class Left:
    """That somebody has left.

    Attributes:
        at: Since when.
        why: What happened to her, in words.
    """

    at: datetime
    why: str


@dataclass(frozen=True)
class Kept:
    """A home of somebody who left, as it stands.

    Attributes:
        row: What is written down.
        removable_from: When it may be removed.
        removable: It may be confirmed now.
    """

    row: LeftHome
    removable_from: datetime
    removable: bool


class Homes:
    """The homes of people who left.

    Args:
        database: Where they are written down.
        settings: How long they are kept.
    """

    def __init__(self, database: Database, settings: HubExt) -> None:
        self.database = database
        self._kept = timedelta(days=float(settings.home_kept_days))

    # For admins.

    def listing(self, person: Person) -> list[Kept]:
        """Return all homes that are kept or being removed, those of who left first in front; then the last removed.

        Raises:
            Forbidden: If the caller is neither auditor nor admin.
        """
        if not any(person.has_role(role) for role in READERS):
            raise Forbidden("The homes of people who left are seen by auditors and admins.")
        at = now()
        with self.database.read() as session:
            open_ = select(LeftHome).where(LeftHome.state != "removed").order_by(LeftHome.left_at, LeftHome.name)
            done = select(LeftHome).where(LeftHome.state == "removed").order_by(LeftHome.removed_at.desc())
            rows = [*session.scalars(open_), *session.scalars(done.limit(_REMOVED_SHOWN))]
        return [self._kept_as(row, at) for row in rows]

    def _kept_as(self, row: LeftHome, at: datetime) -> Kept:
        begins = row.left_at + self._kept
        return Kept(row, begins, row.state == "kept" and not row.hindrance and at >= begins)

    def confirm(self, person: Person, names: Sequence[str]) -> list[Kept]:
        """Let homes be removed: all of them, or none where one may not be. The Hub does it within a minute.

        Args:
            person: Who confirms it.
            names: Whose; each is named.

        Raises:
            Forbidden: If the caller is no admin; that is audited.
            InvalidInput: If there is no name, or too many, or one twice.
            NotFound: If somebody of these has not left, or has no home.
            Conflict: If one of them is not to be removed now, or somebody confirmed it before.
        """
        about = ", ".join(names)[:200] if len(names) <= MOST else f"{len(names)} homes"
        must_be(self.database, person, _ADMIN, "home.confirm", ("home", about))
        _check(names)
        at = now()
        with self.database.write() as session:
            ordered = select(LeftHome).where(LeftHome.name.in_(names)).order_by(LeftHome.name).with_for_update()
            rows = {row.name: row for row in session.scalars(ordered) if row.state != "removed"}
            found = [self._confirm(person, rows.get(name), name, at) for name in names]
            for row in found:
                detail = {"place": row.place, "size": row.size, "left_at": row.left_at.isoformat(), "why": row.why}
                audit.record(session, person.name, "home.confirm", ("home", row.name), detail=detail)
        return [self._kept_as(row, at) for row in found]

    def _confirm(self, person: Person, row: LeftHome | None, name: str, at: datetime) -> LeftHome:
        if row is None:
            raise NotFound(f"{name[:80]!r} has not left, or left no home.", hint="Nothing was confirmed. Look again.")
        if row.state in _WAITS:
            raise Conflict(f"{row.confirmed_by} confirmed the removal of the home of {name} before.")
        kept = self._kept_as(row, at)
        if row.hindrance:
            raise Conflict(f"The home of {name} cannot be removed here. {row.hindrance}")
        if not kept.removable:
            raise Conflict(f"The home of {name} is kept until {kept.removable_from:%Y-%m-%d %H:%M} UTC.")
        row.state, row.confirmed_at, row.confirmed_by = "confirmed", at, person.name
        return row

    # For the Hub.

    def started_since(self, since: datetime | None) -> set[str]:
        """Return who started a server; a home is made by that alone.

        Args:
            since: Only those who did from then on; None for all.
        """
        query = select(ServerStart.user).distinct()
        if since is not None:
            query = query.where(ServerStart.asked_at >= since - _OVERLAP)
        with self.database.read() as session:
            return set(session.scalars(query))

    def gone(self, names: Collection[str]) -> dict[str, Left]:
        """Return who of these is blocked here, or let in by the provider no more."""
        found = {}
        with self.database.read() as session:
            gone = or_(Account.blocked_at.is_not(None), Account.gone_at.is_not(None))
            for row in session.scalars(select(Account).where(gone)):
                if row.name in names:
                    found[row.name] = _left(row)
        return found

    def noted(self) -> dict[str, bool]:
        """Return whose homes are kept or being removed, and of which it was not ours to remove when it was found."""
        with self.database.read() as session:
            query = select(LeftHome.name, LeftHome.state, LeftHome.hindrance).where(LeftHome.state != "removed")
            return {name: state == "kept" and bool(hindrance) for name, state, hindrance in session.execute(query)}

    def note(self, name: str, left: Left, found: Found) -> None:
        """Write down that somebody left a home."""
        with self.database.write() as session:
            row = session.get(LeftHome, name, with_for_update=True)
            if row is not None and row.state != "removed":
                return
            if row is None:
                row = LeftHome(name=name)
                session.add(row)
            row.left_at, row.why, row.place, row.size = left.at, left.why, found.place, found.size
            row.state, row.hindrance, row.identity = "kept", found.hindrance, ""
            row.confirmed_at, row.confirmed_by, row.removed_at = None, "", None
            _announce(session, row)

    def found_again(self, name: str, found: Found | None) -> None:
        """Write down what became of a home that was not ours to remove.

        Args:
            name: Whose.
            found: How it is now; None: somebody has removed it.
        """
        with self.database.write() as session:
            row = session.get(LeftHome, name, with_for_update=True)
            if row is None or row.state != "kept":
                return
            if found is None:
                _remove(session, row, _GONE)
            else:
                row.place, row.size, row.hindrance = found.place, found.size, found.hindrance

    def returned(self, name: str) -> None:
        """Write down that somebody is back, and has her home as it was; not of one that was about to be taken."""
        with self.database.write() as session:
            row = session.get(LeftHome, name, with_for_update=True)
            if row is None or row.state not in ("kept", "confirmed"):
                return
            if row.state == "confirmed":
                detail = {"confirmed_by": row.confirmed_by, "place": row.place}
                audit.record(session, HUB, "home.keep", ("home", name), detail=detail | {"why": "came back"})
            _announce(session, row)
            session.delete(row)

    def waiting(self) -> list[tuple[str, str]]:
        """Return whose homes are to be removed, each with what exactly an earlier try was about to take."""
        with self.database.read() as session:
            query = select(LeftHome.name, LeftHome.identity).where(LeftHome.state.in_(_WAITS))
            query = query.order_by(LeftHome.confirmed_at, LeftHome.name)
            return [(name, identity) for name, identity in session.execute(query)]

    def busy(self, name: str) -> str:
        """Return what of somebody's has not ended yet, in words; empty for nothing."""
        with self.database.read() as session:
            servers = select(ServerStart.id).where(ServerStart.user == name, ServerStart.outcome.in_(_OPEN)).limit(1)
            runs = select(Run.id).where(Run.caller == name, Run.state.in_(["queued", *ACTIVE])).limit(1)
            if session.scalar(servers) is not None:
                return "A server of hers has not ended yet."
            return "A run of hers has not ended yet." if session.scalar(runs) is not None else ""

    def begin(self, name: str, identity: str) -> bool:
        """Write down what is about to be taken; return False where nobody wants that any more."""
        with self.database.write() as session:
            row = session.get(LeftHome, name, with_for_update=True)
            if row is None or row.state not in _WAITS:
                return False
            row.state, row.identity, row.hindrance = "removing", identity, ""
            return True

    def stays(self, name: str, why: str) -> None:
        """Write down why a home that is to be removed is there still; it is tried again.

        Args:
            name: Whose.
            why: In words for an admin.
        """
        with self.database.write() as session:
            row = session.get(LeftHome, name, with_for_update=True)
            if row is None or row.state not in _WAITS:
                return
            if row.hindrance != why:
                audit.record(session, HUB, "home.remove", ("home", name), outcome="failed", detail={"why": why})
                _announce(session, row)
            row.state, row.hindrance, row.identity = "confirmed", why, ""

    def removed(self, name: str, *, before: bool = False) -> None:
        """Write down that a home is no more.

        Args:
            name: Whose.
            before: It was gone already.
        """
        with self.database.write() as session:
            row = session.get(LeftHome, name, with_for_update=True)
            if row is not None and row.state in _WAITS:
                _remove(session, row, _GONE if before else "")


def _left(row: Account) -> Left:
    if row.blocked_at is not None:
        return Left(row.blocked_at, f"blocked by {row.blocked_by}: {row.blocked_why}")
    assert row.gone_at is not None  # noqa: S101  # as it was asked for
    return Left(row.gone_at, "the sign-in provider does not let this account in any more")


def _remove(session: Session, row: LeftHome, why: str) -> None:
    row.state, row.removed_at, row.hindrance, row.identity = "removed", now(), why, ""
    detail = {"place": row.place, "size": row.size, "confirmed_by": row.confirmed_by, "why": why}
    kept = {key: value for key, value in detail.items() if value}
    audit.record(session, HUB, "home.remove", ("home", row.name), detail=kept)
    _announce(session, row)


def _announce(session: Session, row: LeftHome) -> None:
    """Tell the open page of whoever confirmed it."""
    if row.confirmed_by:
        audit.announce(session, f"access:{row.confirmed_by}", {"home": row.name})


def _check(names: Iterable[str]) -> None:
    names = list(names)
    if not names:
        raise InvalidInput.of("names", "choose at least one home")
    if len(names) > MOST:
        raise InvalidInput.of("names", f"has {len(names)} names; at most {MOST} go at once")
    if len(set(names)) != len(names):
        raise InvalidInput.of("names", "names somebody twice")
    if not all(name.isprintable() and 0 < len(name) <= 255 for name in names):
        raise InvalidInput.of("names", "has what cannot be a name")
