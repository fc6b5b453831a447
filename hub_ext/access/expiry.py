"""The end of an entitlement: announced before, and then of what runs by it: a warning, and the end after a grace.

New starts end at once by themselves: each decision looks at the time. A run that goes on is left to its end: it lasts
for its profile's maximum at most, and what it would lose cannot be kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.entitlements import TOPIC
from hub_ext.access.loading import PERSON, counted
from hub_ext.catalog.decide import Facts, may_use
from hub_ext.db.tables import DecisionRow, Entitlement, ServerStart
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import NotFound
from hub_ext.governance.state import agreed
from hub_ext.settings import HubExt

ACTOR = "service:keeper"
_OPEN = ("starting", "ready")
_BATCH = 500


class Hub(Protocol):
    """What is asked of the Hub; `hub_ext.web.hub.HubClient` is one."""

    async def groups_of(self, name: str) -> frozenset[str]:
        """Return the groups of somebody as they are now."""

    async def stop_server(self, user: str, server: str, why: str) -> bool:
        """Stop somebody's server; say whether the Hub does."""


@dataclass(frozen=True)
class _Open:
    """A server whose right may have ended."""

    start_id: str
    user: str
    server: str


class Expiry:
    """Looks for what ends.

    Args:
        decisions: Knows what is true.
        settings: How long before an end is reminded, and how long after it a server may go on.
    """

    def __init__(self, decisions: DecisionPoint, settings: HubExt) -> None:
        self.decisions = decisions
        self.database = decisions.database
        self.catalog = decisions.catalog
        self.settings = settings

    # Before the end.

    def remind(self) -> int:
        """Record, once each, that entitlements end soon, and tell open pages; return how many."""
        within = timedelta(days=float(self.settings.entitlement_reminder))
        with self.database.write() as session:
            now = self.catalog.now(agreed(session))
            query = counted().where(
                Entitlement.until > now, Entitlement.until <= now + within, Entitlement.reminded_at.is_(None)
            )
            rows = list(session.scalars(query.order_by(Entitlement.until, Entitlement.id).limit(_BATCH)))
            for row in rows:
                row.reminded_at = now
                about = {"entitlement": row.id, "kind": row.kind, "name": row.name, "until": row.until.isoformat()}
                audit.record(session, ACTOR, "entitlement.remind", ("profile", row.profile), detail=about)
                if row.kind == PERSON:
                    audit.announce(session, f"{TOPIC}:{row.name}", {"profile": row.profile})
        return len(rows)

    # After it.

    async def end_what_has_no_right(self, hub: Hub) -> int:
        """Warn those whose servers run by an entitlement that has ended, and stop the servers when the grace is over.

        Args:
            hub: Knows groups, and stops servers.

        Returns:
            How many were warned, pardoned or stopped.

        Raises:
            Unavailable: If database or Hub does not answer.
        """
        done = 0
        for one in await asyncio.to_thread(self._doubtful):
            try:
                groups = await hub.groups_of(one.user)
            except NotFound:
                groups = frozenset()
            done += await asyncio.to_thread(self._settle, one, groups)
        for due, why in await asyncio.to_thread(self._due):
            done += await hub.stop_server(due.user, due.server, why)  # the Hub writes the end down, with the reason
        return done

    def _doubtful(self) -> list[_Open]:
        """Return the servers that needed an entitlement which is over, and those that were warned."""
        with self.database.read() as session:
            now = self.catalog.now(agreed(session))
            query = (
                select(ServerStart.id, ServerStart.user, ServerStart.server)
                .join(DecisionRow, DecisionRow.id == ServerStart.decision_id)
                .outerjoin(Entitlement, Entitlement.id == DecisionRow.entitlement_id)
                .where(ServerStart.outcome.in_(_OPEN))
                .where(or_(Entitlement.until <= now, ServerStart.must_end_at.is_not(None)))
            )
            return [_Open(*row) for row in session.execute(query.order_by(ServerStart.id))]

    def _settle(self, one: _Open, groups: Collection[str]) -> int:
        """Warn, or take the warning back where she may use the profile by something else."""
        with self.database.write() as session:
            start = session.get(ServerStart, one.start_id, with_for_update=True)
            if start is None or start.outcome not in _OPEN:
                return 0
            facts = self.decisions.facts_now(session, groups, user=one.user)
            why = _why(start, facts)
            if (start.must_end_at is not None) == bool(why):
                return 0
            start.must_end_at = self._grace_from(facts.now) if why else None
            start.must_end_why = why
            action = "server.warn" if why else "server.pardon"
            about = {"start": start.id, "reason": why, "at": _iso(start.must_end_at)}
            _record(session, one, action, about)
        return 1

    def _grace_from(self, now: datetime) -> datetime:
        return now + timedelta(minutes=int(self.settings.entitlement_grace))

    def _due(self) -> list[tuple[_Open, str]]:
        with self.database.read() as session:
            now = self.catalog.now(agreed(session))
            columns = (ServerStart.id, ServerStart.user, ServerStart.server, ServerStart.must_end_why)
            query = select(*columns).where(ServerStart.outcome.in_(_OPEN), ServerStart.must_end_at <= now)
            return [(_Open(start, user, server), why) for start, user, server, why in session.execute(query)]


def _why(start: ServerStart, facts: Facts) -> str:
    """Return why a server may run no more; empty when it may."""
    versions = facts.catalog.versions(start.profile)
    if not versions:
        return ""
    denied = may_use(versions[-1], facts)
    return denied.message if denied is not None else ""


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _record(session: Session, one: _Open, action: str, about: dict[str, str | None]) -> None:
    subject = ("server", f"{one.user}/{one.server}" if one.server else one.user)
    kept = {name: value for name, value in about.items() if value}
    audit.record(session, ACTOR, action, subject, detail=kept)
    audit.announce(session, f"{TOPIC}:{one.user}", {"server": one.start_id})
