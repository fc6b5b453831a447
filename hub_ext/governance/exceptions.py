"""Exceptions: a rule that a profile need not meet, for some people, until a time. Each has an owner and a reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.catalog.decide import RuleException
from hub_ext.catalog.options import shown
from hub_ext.db.session import Database
from hub_ext.db.tables import PolicyException, ProfileVersion
from hub_ext.errors import Conflict, InvalidInput, NotFound, Problem
from hub_ext.governance.rights import check_words, must_be
from hub_ext.governance.state import agreed, changed, wait_for_others
from hub_ext.governance.store import CatalogStore
from hub_ext.people import Person

TOPIC = "exceptions"
LONGEST = timedelta(days=366)
_MOST = 100  # names in one exception


def load_exceptions(session: Session, after: datetime, profile: str | None = None) -> list[RuleException]:
    """Return the exceptions that were not revoked and end after a time.

    Args:
        session: Any transaction.
        after: Those that had ended by then are left out.
        profile: Of which profile; None for all.
    """
    values = {"after": after} if profile is None else {"after": after, "profile": profile}
    rows = session.connection().execute(_load_query(profile is not None), values)
    return [
        RuleException(id_, profile, rule, until, frozenset(users), frozenset(groups), owner)
        for id_, profile, rule, until, users, groups, owner in rows
    ]


@cache
def _load_query(of_one: bool) -> Select[str, str, str, datetime, list[str], list[str], str]:
    """Return the query of each decision, made once: to make it anew takes longer than to execute it."""
    table: Any = PolicyException.__table__.c
    columns = (table.id, table.profile, table.rule, table.until, table.users, table.group_names, table.owner)
    query = select(*columns).where(table.until > bindparam("after"), table.revoked_at.is_(None))
    if of_one:
        query = query.where(table.profile == bindparam("profile"))
    return query.order_by(table.id)


@dataclass(frozen=True)
class Wish:
    """An exception that somebody wants.

    Attributes:
        profile: Name of the profile.
        rule: Id of the rule.
        reason: Why.
        until: When it ends, with its zone; at most a year from now.
        users: For whom; with no groups either, for everybody who may use the profile.
        groups: For whose members.
        owner: Who answers for it; empty: who grants it.
    """

    profile: str
    rule: str
    reason: str
    until: datetime
    users: Collection[str] = ()
    groups: Collection[str] = ()
    owner: str = ""


class Exceptions:
    """Grants and revokes exceptions.

    Args:
        database: Where they are.
        catalog: Knows profiles and rules.
    """

    def __init__(self, database: Database, catalog: CatalogStore) -> None:
        self.database = database
        self.catalog = catalog
        catalog.attach(database)

    def grant(self, person: Person, wish: Wish) -> PolicyException:
        """Grant an exception.

        Args:
            person: Who grants it.
            wish: What.

        Raises:
            Forbidden: If she is no curator; that is audited.
            InvalidInput: If it cannot be; `problems` name the fields.
        """
        must_be(self.database, person, "curator", "exception.grant", ("profile", wish.profile))
        reason = check_words("reason", wish.reason, needed=True)
        owner = check_words("owner", wish.owner)[:255] or person.name
        with self.database.write() as session:
            wait_for_others(session)
            now = self.catalog.now(agreed(session))
            self._check(session, person, wish, now)
            row = PolicyException(
                profile=wish.profile,
                rule=wish.rule,
                users=sorted(set(wish.users)),
                groups=sorted(set(wish.groups)),
                reason=reason,
                owner=owner,
                until=wish.until.astimezone(UTC),
                created_by=person.name,
                created_at=now,
            )
            session.add(row)
            session.flush()
            about = {"rule": row.rule, "until": row.until.isoformat(), "reason": reason, "owner": owner}
            detail = {"exception": row.id, **about, "users": row.users, "groups": row.groups}
            audit.record(session, person.name, "exception.grant", ("profile", row.profile), detail=detail)
            audit.announce(session, TOPIC, {"id": row.id, "profile": row.profile})
            changed(session)
        return row

    def _check(self, session: Session, person: Person, wish: Wish, now: datetime) -> None:
        problems = []
        catalog, _ = self.catalog.fresh(session)
        rules = [] if catalog.policy.unreadable else [rule.id for rule in catalog.policy.rules]
        known = sorted({one.name for one in (*catalog.profiles, *catalog.proposals)} | _proposed(session))
        for field, value, names in (("rule", wish.rule, rules), ("profile", wish.profile, known)):
            if value not in names:
                near = get_close_matches(shown(value), names, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                problems.append(Problem(field, f"there is no {field} {shown(value)!r}{hint}"))
        if wish.until.tzinfo is None or not now < wish.until <= now + LONGEST:
            problems.append(Problem("until", f"must be a time to come within {LONGEST.days} days, with its zone"))
        for field, given in (("users", wish.users), ("groups", wish.groups)):
            if len(given) > _MOST or any(not one or len(one) > 255 or not one.isprintable() for one in given):
                problems.append(Problem(field, f"must be at most {_MOST} names"))
        if person.name in wish.users:
            problems.append(Problem("users", "must not name yourself: ask another curator"))
        if problems:
            text = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
            raise InvalidInput(text, problems=problems)

    def revoke(self, person: Person, exception_id: str, reason: str) -> PolicyException:
        """End an exception now; it is never opened again.

        Args:
            person: Who ends it.
            exception_id: Which.
            reason: Why.

        Raises:
            Forbidden: If she is no curator; that is audited.
            NotFound: If there is no such exception.
            Conflict: If it is over already.
        """
        must_be(self.database, person, "curator", "exception.revoke", ("exception", exception_id))
        words = check_words("reason", reason, needed=True)
        with self.database.write() as session:
            wait_for_others(session)
            row = session.get(PolicyException, exception_id[:32]) if exception_id.isascii() else None
            if row is None:
                raise NotFound("There is no such exception.")
            now = self.catalog.now(agreed(session))
            if row.revoked_at is not None or now >= row.until:
                raise Conflict("This exception is over already.")
            row.revoked_at, row.revoked_by = now, person.name
            detail = {"exception": row.id, "rule": row.rule, "reason": words}
            audit.record(session, person.name, "exception.revoke", ("profile", row.profile), detail=detail)
            audit.announce(session, TOPIC, {"id": row.id, "profile": row.profile})
            changed(session)
        return row

    def listing(self, profile: str | None = None, *, ended: bool = False) -> list[PolicyException]:
        """Return exceptions, those that end first before the others.

        Args:
            profile: Of which profile; None for all.
            ended: Also those that are over.
        """
        with self.database.read() as session:
            query = select(PolicyException).order_by(PolicyException.until, PolicyException.id)
            if profile is not None:
                query = query.where(PolicyException.profile == profile)
            if not ended:
                now = self.catalog.now(agreed(session))
                query = query.where(PolicyException.until > now, PolicyException.revoked_at.is_(None))
            return list(session.scalars(query))


def _proposed(session: Session) -> set[str]:
    return set(session.scalars(select(ProfileVersion.name).distinct()))
