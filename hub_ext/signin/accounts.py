"""Whose a name is, and since when its groups are known: what our database holds of sign-ins. Called in threads."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import Account, Lease, ProviderSession, Run, UsedOnce
from hub_ext.db.types import now
from hub_ext.errors import Conflict, Forbidden
from hub_ext.runs.states import ACTIVE
from hub_ext.settings import HubExt
from hub_ext.signin.names import subject_of

OTHERS_ASKED = "others_asked"  # the lease of a Hub that asks somebody else's authenticator about people

_SESSIONS_KEPT = timedelta(days=30)
_REMEMBERED = timedelta(hours=3)  # longer than anything that is good once is good at all
_SIGN_IN = "person.sign_in"
_COLUMNS = Account.__table__.c
_STANDING = select(
    _COLUMNS.groups, _COLUMNS.groups_at, _COLUMNS.subject, _COLUMNS.issuer, _COLUMNS.away_since, _COLUMNS.blocked_at
).where(_COLUMNS.name == bindparam("name"))  # asked at each decision
_AT_ONCE = 1000  # names in one query


@dataclass(frozen=True)
class Arrival:
    """Somebody as the provider describes her.

    Attributes:
        issuer: The provider.
        sub: Her account there.
        subject: Who she is there; the same for two accounts of one person.
        name: What she is to be called here, if the account has no name yet.
        groups: Groups that she is in now.
        session: The provider's name of her session there; empty where it names none.
        at_hub: The Hub's user of this name, or of one that differs from it in case alone; empty if there is none.
    """

    issuer: str
    sub: str
    subject: str
    name: str
    groups: tuple[str, ...]
    session: str = ""
    at_hub: str = ""


class Accounts:
    """Accounts, as the Hub writes them down.

    Args:
        database: Where they are.
        settings: Who may take a name that the Hub knew before.
    """

    def __init__(self, database: Database, settings: HubExt) -> None:
        self.database = database
        self.settings = settings

    def sign_in(self, arrival: Arrival) -> str:
        """Write down that somebody signs in, and return her name: the account's own, whatever it is called now.

        Raises:
            Conflict: If the name belongs to another account, or to nobody that one could be sure of.
            Forbidden: If she is blocked.
            Unavailable: If the database does not answer.
        """
        try:
            try:
                return self._sign_in(arrival)
            except IntegrityError:  # two at once; the other one has the name now
                return self._sign_in(arrival)
        except (Conflict, Forbidden) as error:
            self.refused(arrival.name, error.detail)
            raise

    def _sign_in(self, arrival: Arrival) -> str:
        with self.database.write() as session:
            mine = select(Account).where(Account.issuer == arrival.issuer, Account.sub == arrival.sub)
            row = session.scalar(mine.with_for_update())
            if row is None:
                row = self._new(session, arrival)
            if row.blocked_at is not None:
                raise Forbidden("You are blocked here.", hint="Ask an admin of this platform.")
            row.subject = subject_of(arrival.issuer, arrival.subject)
            row.groups, row.groups_at, row.away_since, row.gone_at = list(arrival.groups), now(), None, None
            row.signed_in_at = row.groups_at
            _remember_session(session, arrival, row.name)
            detail = {"subject": row.subject, "groups": row.groups[:200]}
            audit.record(session, row.name, _SIGN_IN, ("person", row.name), detail=detail)
            return row.name

    def _new(self, session: Session, arrival: Arrival) -> Account:
        taken = session.get(Account, arrival.name, with_for_update=True)
        if taken is not None and taken.issuer == arrival.issuer:
            raise Conflict(
                f"The name {arrival.name} belongs to another account already; the two names differ at most in case or "
                "in their Unicode form.",
                hint="Nothing of the other account is yours. Ask an admin for a name of your own (sign_in_names).",
            )
        if arrival.at_hub not in ("", arrival.name):
            raise Conflict(
                f"The Hub knows {arrival.at_hub}, a name that differs from {arrival.name} at most in case or in its "
                "Unicode form.",
                hint="Ask an admin for a name of your own (sign_in_names), or to remove the other one.",
            )
        known = bool(arrival.at_hub) or (taken is not None and bool(taken.issuer))
        if known and not self._may_adopt(arrival):
            raise Conflict(
                f"The Hub knows the name {arrival.name} from before this sign-in, and cannot know that it is yours.",
                hint="Ask an admin to give it to your account (sign_in_names, or sign_in_adopt for all).",
            )
        row = taken or Account(name=arrival.name)
        row.issuer, row.sub, row.subject = arrival.issuer, arrival.sub, arrival.subject
        session.add(row)
        return row

    def _may_adopt(self, arrival: Arrival) -> bool:
        return bool(self.settings.sign_in_adopt) or arrival.sub in self.settings.sign_in_names

    def refused(self, name: str, why: str) -> None:
        """Write down that somebody could not sign in.

        Args:
            name: What she would be called; empty when that is not known.
            why: In words.
        """
        with self.database.write() as session:
            who = name[:255] or "unknown"
            audit.record(session, who, _SIGN_IN, ("person", who), outcome="denied", detail={"why": why})

    def confirm(self, name: str, arrival: Arrival) -> bool:
        """Write down that the provider still knows her, with her groups of now; return whether she may stay.

        Args:
            name: Her name here.
            arrival: As the provider describes her now.

        Raises:
            Unavailable: If the database does not answer.
        """
        with self.database.write() as session:
            row = session.get(Account, name, with_for_update=True)
            if row is None or (row.issuer, row.sub) != (arrival.issuer, arrival.sub) or row.blocked_at is not None:
                return False
            before = set(row.groups)
            row.subject = subject_of(arrival.issuer, arrival.subject)
            row.groups, row.groups_at, row.away_since, row.gone_at = list(arrival.groups), now(), None, None
            if before != set(arrival.groups):
                lost, won = sorted(before - set(arrival.groups)), sorted(set(arrival.groups) - before)
                detail = {"lost": lost[:200], "won": won[:200]}
                audit.record(session, "service:hub", "person.groups_change", ("person", name), detail=detail)
            return True

    def not_confirmed(self, name: str, *, away: bool) -> bool:
        """Write down that the groups of somebody could not be checked; return whether what is known may still be used.

        Args:
            name: Her name here.
            away: The provider does not answer; else it gives no refresh tokens.

        Raises:
            Unavailable: If the database does not answer.
        """
        with self.database.write() as session:
            row = session.get(Account, name, with_for_update=True)
            if row is None or row.groups_at is None or row.blocked_at is not None:
                return False
            if away and row.away_since is None:
                row.away_since = now()
            return now() - row.groups_at <= timedelta(hours=float(self.settings.groups_age_hours))

    def name_of(self, issuer: str, sub: str, session_id: str) -> str | None:
        """Return the name of an account, or of whoever began a session at the provider; None if there is none.

        Args:
            issuer: The provider.
            sub: The account there, empty if it is not known.
            session_id: The provider's name of the session, empty if it is not known.
        """
        with self.database.read() as session:
            if sub:
                return session.scalar(select(Account.name).where(Account.issuer == issuer, Account.sub == sub))
            row = session.get(ProviderSession, digest(issuer, session_id))
            return row.name if row is not None else None

    def use(self, kind: str, *what: str) -> bool:
        """Use something that is good once; return False when it was used before.

        Args:
            kind: What it is.
            what: What identifies it.
        """
        try:
            with self.database.write() as session:
                session.execute(delete(UsedOnce).where(UsedOnce.until < now()))
                session.add(UsedOnce(id=digest(kind, *what), until=now() + _REMEMBERED))
        except IntegrityError:
            return False
        return True

    def due(self, holders: Collection[str], age: float) -> Due:
        """Return about whom something may have to be done.

        Args:
            holders: Names of those who hold a token or a server.
            age: Seconds after which the provider is asked again.
        """
        oldest = now() - timedelta(seconds=age)
        with self.database.read() as session:
            runs = select(Run.caller).where(Run.state.in_(["queued", *ACTIVE]), Run.cancel_requested_at.is_(None))
            running = set(session.scalars(runs.distinct()))
            blocked = set(session.scalars(select(Account.name).where(Account.blocked_at.is_not(None))))
            old: list[str] = []
            names = sorted(holders)
            for first in range(0, len(names), _AT_ONCE):
                some = names[first : first + _AT_ONCE]
                query = select(Account.name).where(Account.name.in_(some), Account.issuer != "")
                old += session.scalars(query.where(Account.groups_at < oldest, Account.blocked_at.is_(None)))
        return Due(old, blocked, running)

    def others_are_asked(self) -> bool:
        """Return whether a Hub asks an authenticator that is somebody else's about people who do nothing."""
        with self.database.read() as session:
            lease = session.get(Lease, OTHERS_ASKED)
            return lease is not None and lease.expires_at > now()

    def standing(self, name: str) -> Standing:
        """Return what is known of somebody.

        Args:
            name: Her name here.
        """
        with self.database.read() as session:
            return standing_of(session, name)


@dataclass(frozen=True)
class Due:
    """About whom something has to be done.

    Attributes:
        old: Whom the provider has to be asked about.
        blocked: Who is blocked here.
        running: Who has runs that have not ended, and are not asked to.
    """

    old: list[str]
    blocked: set[str]
    running: set[str]


@dataclass(frozen=True)
class Standing:
    """What is known of somebody's sign-in; all empty where she has no account of a provider.

    Attributes:
        subject: Who she is; empty: her name says it.
        groups: As the provider said last; None where none has said anything.
        groups_at: When.
        away_since: Since when it could not be asked.
        blocked: She is blocked here.
    """

    subject: str = ""
    groups: frozenset[str] | None = None
    groups_at: datetime | None = None
    away_since: datetime | None = None
    blocked: bool = False

    def unchecked(self, settings: HubExt, at: datetime) -> str:
        """Return why nothing may be started on these groups, in words; empty when something may.

        Args:
            settings: How old groups may be, and what to do while the provider is away.
            at: The time.
        """
        if self.blocked:
            return "This account is blocked here."
        if self.groups_at is None:
            return ""
        if at - self.groups_at > timedelta(hours=float(settings.groups_age_hours)):
            hours = f"{settings.groups_age_hours:g}"
            return f"The sign-in provider has not confirmed these groups for more than {hours} hours: sign in again."
        if self.away_since is not None and settings.sign_in_when_away == "deny":
            return "The sign-in provider does not answer, so nobody can say which groups you are in now."
        return ""


def standing_of(session: Session, name: str) -> Standing:
    """Return what is known of somebody.

    Args:
        session: Any transaction.
        name: Her name here.
    """
    row = session.connection().execute(_STANDING, {"name": name}).one_or_none()
    if row is None:
        return Standing()
    groups = frozenset(row.groups) if row.groups_at is not None else None
    subject = row.subject if row.issuer else ""
    return Standing(subject, groups, row.groups_at, row.away_since, row.blocked_at is not None)


def _remember_session(session: Session, arrival: Arrival, name: str) -> None:
    session.execute(delete(ProviderSession).where(ProviderSession.begun_at < now() - _SESSIONS_KEPT))
    if not arrival.session:
        return
    key = digest(arrival.issuer, arrival.session)
    row = session.get(ProviderSession, key) or ProviderSession(id=key)
    row.name, row.begun_at = name, now()
    session.add(row)


def digest(*parts: str) -> str:
    """Return a text of 64 characters that stands for some texts, and for no others."""
    whole = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def allowed_in(groups: Iterable[str], allowed: Iterable[str]) -> bool:
    """Return whether somebody with these groups may sign in.

    Args:
        groups: Hers.
        allowed: Those that may; ``*`` for everyone whom the provider signs in.
    """
    allowed = set(allowed)
    return "*" in allowed or bool(allowed.intersection(groups))
