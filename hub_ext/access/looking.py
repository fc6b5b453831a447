"""What a page shows a person of her access: facts, budgets, what she asked for, and what ends soon."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from hub_ext.access.loading import REMEMBERED
from hub_ext.catalog.budget import Standing
from hub_ext.catalog.decide import Facts
from hub_ext.catalog.entitled import Entitled, entitling
from hub_ext.catalog.models import Profile
from hub_ext.db.tables import AccessRequest
from hub_ext.decisions import DecisionPoint

_SHOWN = 200  # requests of one person that are looked at
_WAITING = "waiting"


@dataclass(frozen=True)
class Look:
    """What is true of a person, to show it.

    Attributes:
        facts: Catalog, groups, entitlements and the time that counts.
        standings: Her budget, and those of groups that count for her.
        requests: Of each profile that she asked for lately, her last request.
    """

    facts: Facts
    standings: tuple[Standing, ...] = ()
    requests: Mapping[str, AccessRequest] = field(default_factory=dict)


def look(decisions: DecisionPoint, user: str, groups: Collection[str]) -> Look:
    """Return what is true of a person now, read in one transaction.

    Args:
        decisions: Knows what is true.
        user: Her name.
        groups: Her groups, as the Hub says them now.

    Raises:
        Unavailable: If the database does not answer.
    """
    with decisions.database.read() as session:
        facts = decisions.facts_now(session, groups, user=user)
        standings = decisions.budgets.standings(session, user, groups, decisions.catalog.clock())
        return Look(facts, tuple(standings), last_requests(session, user, facts.now))


def last_requests(session: Session, user: str, now: datetime) -> dict[str, AccessRequest]:
    """Return the last request of a person for each profile: those that wait, and those that were answered lately.

    Args:
        session: Any transaction.
        user: Her name.
        now: The time that counts.
    """
    lately = func.coalesce(AccessRequest.answered_at, AccessRequest.asked_at) > now - REMEMBERED
    query = select(AccessRequest).where(
        AccessRequest.user == user, or_(AccessRequest.state == _WAITING, lately), AccessRequest.state != "withdrawn"
    )
    newest = query.order_by(AccessRequest.asked_at.desc(), AccessRequest.id.desc()).limit(_SHOWN)
    found: dict[str, AccessRequest] = {}
    for row in session.scalars(newest):
        found.setdefault(row.profile, row)
    return found


@dataclass(frozen=True)
class Ending:
    """An entitlement by which a person uses a profile, and that ends soon.

    Attributes:
        profile: What she uses by it.
        entitlement: What ends, the last of several.
    """

    profile: Profile
    entitlement: Entitled


def ending(facts: Facts, within: timedelta) -> list[Ending]:
    """Return what a person will lose soon: profiles that no group of hers may use, the next to end first.

    Args:
        facts: What is true of her.
        within: How soon.
    """
    found = []
    for profile in facts.catalog.newest():
        held = ends_soon(profile, facts, within)
        if held is not None:
            found.append(Ending(profile, held))
    return sorted(found, key=lambda one: one.entitlement.until)


def ends_soon(profile: Profile, facts: Facts, within: timedelta) -> Entitled | None:
    """Return the entitlement that a person needs for a profile, when it ends soon.

    Args:
        profile: The profile.
        facts: What is true of her.
        within: How soon.
    """
    held = needed(profile, facts)
    return held if held is not None and held.until <= facts.now + within else None


def needed(profile: Profile, facts: Facts) -> Entitled | None:
    """Return the entitlement without which a person could not use a profile; None where a group suffices."""
    if facts.groups.intersection(profile.spec.access.groups):
        return None
    return entitling(facts.entitlements, profile.name, facts.now)
