"""What a person may use, until when and why, and how she stands with her budgets: her own view, and others' of her."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from hub_ext.access.budgets import Budgets, wanted_of
from hub_ext.catalog.budget import Standing, Wanted, held_against
from hub_ext.catalog.decide import Facts, may_use
from hub_ext.catalog.entitled import Entitled, entitling
from hub_ext.catalog.models import Profile
from hub_ext.catalog.reason import Reason
from hub_ext.decisions import DecisionPoint


@dataclass(frozen=True)
class Usable:
    """How a profile stands with a person.

    Attributes:
        profile: The version that a start gets.
        denied: Why she may not use it; None when she may.
        groups: Groups of hers by which she may.
        entitlement: The entitlement by which she may, the last to end; also beside a group.
        wanted: What a start with the usual options takes.
        full: Why a start does not fit into a budget now; empty when it does.
    """

    profile: Profile
    denied: Reason | None
    groups: tuple[str, ...]
    entitlement: Entitled | None
    wanted: Wanted
    full: tuple[Reason, ...] = ()

    @property
    def until(self) -> datetime | None:
        """Until when she may use it; None without an end, and where she may not."""
        return self.entitlement.until if self.entitlement is not None and not self.groups else None


@dataclass(frozen=True)
class Mine:
    """What a person may use, and her budgets.

    Attributes:
        now: The time that counts.
        profiles: Every profile, those that she may use first.
        standings: Her budget, and those of groups that count for her.
    """

    now: datetime
    profiles: tuple[Usable, ...]
    standings: tuple[Standing, ...]


def usable(facts: Facts, standings: Collection[Standing]) -> list[Usable]:
    """Return how every profile stands with a person; those that she may use first, in their order.

    Args:
        facts: What is true of her.
        standings: How her budgets stand.
    """
    found = []
    for profile in facts.catalog.newest():
        wanted = wanted_of(profile.spec, "server")
        denied = may_use(profile, facts)
        groups = tuple(group for group in profile.spec.access.groups if group in facts.groups)
        entitled = entitling(facts.entitlements, profile.name, facts.now)
        full = tuple(held_against(standings, wanted)[0]) if denied is None else ()
        found.append(Usable(profile, denied, groups, entitled, wanted, full))
    return sorted(found, key=lambda one: one.denied is not None)


def mine(decisions: DecisionPoint, user: str, groups: Collection[str]) -> Mine:
    """Return what a person may use, and her budgets.

    Args:
        decisions: Knows what is true.
        user: Her name.
        groups: Her groups, as the Hub says them now.

    Raises:
        Unavailable: If the database does not answer.
    """
    facts = decisions.facts_of(user, groups)
    found = load_standings(decisions.budgets, user, groups, decisions.catalog.clock())
    return Mine(facts.now, tuple(usable(facts, found)), tuple(found))


def load_standings(budgets: Budgets, user: str, groups: Collection[str], at: datetime) -> list[Standing]:
    """Return how the budgets of a person stand, in a transaction of its own.

    Args:
        budgets: The budgets.
        user: Her name.
        groups: Her groups.
        at: The time of the clock.

    Raises:
        Unavailable: If the database does not answer.
    """
    with budgets.database.read() as session:
        return budgets.standings(session, user, groups, at)
