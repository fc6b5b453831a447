"""The decision point with its surroundings: loads the facts, decides, and records what was decided."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.budgets import Budgets
from hub_ext.access.loading import REMEMBERED, load_entitlements
from hub_ext.catalog.decide import Decision, Facts, Purpose, Request, RuleException, decide
from hub_ext.catalog.entitled import Entitled, entitling
from hub_ext.catalog.options import shown
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.session import Database
from hub_ext.db.tables import DecisionRow
from hub_ext.db.types import new_id, now
from hub_ext.errors import InvalidInput, Problem
from hub_ext.governance.environments import local_images
from hub_ext.governance.exceptions import load_exceptions
from hub_ext.governance.state import Agreed
from hub_ext.governance.store import CatalogStore
from hub_ext.maintenance import check_writable
from hub_ext.settings import HubExt
from hub_ext.signin.accounts import standing_of

__all__ = ["CatalogStore", "DecisionPoint", "parse_request"]

_INSERT = insert(DecisionRow).inline()  # made once, since each start inserts one
_KEYS = {"profile", "version", "options"}
_MOST_UNKNOWN = 20  # keys that are not known are named up to this many
_LONGEST_RECORD = 8000  # characters of JSON of a request that are kept


def parse_request(user: str, purpose: Purpose, body: object) -> Request:
    """Return what somebody asked for as a request.

    Args:
        user: Who asks.
        purpose: A server, or a run.
        body: ``{"profile": name, "version": n (optional), "options": {…} (optional)}`` and nothing else.

    Raises:
        InvalidInput: If it is anything else; `problems` name the fields.
    """
    if not isinstance(body, dict) or not body:
        raise InvalidInput.of("profile", "choose a profile: nothing starts without one")
    unknown = [shown(key) for key in body if key not in _KEYS]
    problems = [
        Problem(key, "is not known here; a start has profile, version and options") for key in unknown[:_MOST_UNKNOWN]
    ]
    name, version, options = body.get("profile"), body.get("version"), body.get("options", {})
    if not isinstance(name, str) or not name:
        problems.append(Problem("profile", "must be the name of a profile"))
    if version is not None and not (type(version) is int and 1 <= version < 2**31):
        problems.append(Problem("version", "must be the number of a version, or left out"))
    if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
        problems.append(Problem("options", "must be an object of option names and values"))
    if problems:
        text = "; ".join(f"{problem.field} {problem.message}" for problem in problems)
        raise InvalidInput(f"The start cannot be understood: {text}.", problems=problems)
    return Request(user, purpose, str(name), version, dict(options))


@dataclass
class Surroundings:
    """What decisions of one moment have in common.

    Attributes:
        catalog: The snapshot, with every change that was committed.
        agreed: What all processes agree on.
    """

    catalog: Catalog
    agreed: Agreed
    _exceptions: dict[str, list[RuleException]] = field(default_factory=dict)

    def exceptions(self, session: Session, profile: str) -> list[RuleException]:
        """Return those of a profile that had not ended at the time that was kept last.

        Args:
            session: The transaction of the decisions.
            profile: Its name.
        """
        if profile not in self._exceptions:
            self._exceptions[profile] = load_exceptions(session, self.agreed.clock, profile)
        return self._exceptions[profile]


class DecisionPoint:
    """Decides, for servers and runs alike.

    Args:
        database: Where decisions are recorded.
        catalog: The profiles.
        settings: Which local environments exist.
    """

    def __init__(self, database: Database, catalog: CatalogStore, settings: HubExt) -> None:
        self.database = database
        self.catalog = catalog
        self.settings = settings
        self.budgets = Budgets(database, settings)
        catalog.attach(database)
        catalog.prefetch(lambda: local_images(settings, catalog.current().enclave))

    def facts(self, groups: Iterable[str]) -> Facts:
        """Return what is true now, to show it: it asks the database nothing, and may be a second old.

        Args:
            groups: Groups of the person, as the Hub says them now.
        """
        return self._facts(groups, self.catalog.current())

    def facts_of(self, user: str, groups: Iterable[str]) -> Facts:
        """Return what is true of a person now, to show it: her entitlements and versions as they were committed.

        Args:
            user: Her name.
            groups: Her groups, as the Hub says them now.

        Raises:
            Unavailable: If the database does not answer.
        """
        groups = frozenset(groups)
        with self.database.read() as session:
            catalog, before = self.catalog.fresh(session)
            known = load_entitlements(session, user, groups, self.catalog.now(before) - REMEMBERED)
        return replace(self._facts(groups, catalog, before), entitlements=known)

    def facts_now(
        self, session: Session, groups: Iterable[str], profile: str | None = None, *, user: str = ""
    ) -> Facts:
        """Load what is true now, with everything that was committed.

        Args:
            session: Any transaction.
            groups: Groups of the person, as the Hub says them now.
            profile: The one that is asked about; None for all.
            user: Name of the person; without it, her entitlements are left out.
        """
        groups = frozenset(groups)
        catalog, before = self.catalog.fresh(session)
        at = self.catalog.now(before)
        valid = [one for one in load_exceptions(session, before.clock, profile) if one.until > at]
        known = load_entitlements(session, user, groups, at - REMEMBERED) if user else ()
        return replace(self._facts(groups, catalog, before, valid), entitlements=known)

    def _facts(
        self,
        groups: Iterable[str],
        catalog: Catalog,
        before: Agreed | None = None,
        exceptions: Iterable[RuleException] = (),
    ) -> Facts:
        environments = local_images(self.settings, catalog.enclave)
        return Facts(self.catalog.now(before), frozenset(groups), catalog, environments, tuple(exceptions))

    def look(self, session: Session) -> Surroundings:
        """Return what decisions of this moment have in common.

        Args:
            session: The transaction of the decisions.

        Raises:
            ReadOnlyNow: If nothing starts now.
        """
        check_writable(session)
        return Surroundings(*self.catalog.fresh(session))

    def decide(
        self,
        session: Session,
        request: Request,
        groups: Iterable[str],
        object_id: str,
        use_id: str | None = None,
        around: Surroundings | None = None,
    ) -> tuple[Decision, str]:
        """Decide, reserve budget, and record it in the transaction of what depends on it.

        Args:
            session: That transaction.
            request: What is asked for.
            groups: Groups of the person, as the Hub says them now.
            object_id: The server's name, or the workflow of the run.
            use_id: Id of the start or the run that budget is reserved for; None reserves nothing.
            around: From `look` in this very transaction, which keeps every other writer out.

        Returns:
            The decision and its id. On a denial the caller still commits, so that the record stays.

        Raises:
            ReadOnlyNow: If nothing starts now.
        """
        around = around or self.look(session)
        catalog, before = around.catalog, around.agreed
        known = around.exceptions(session, shown(request.profile))
        at = self.catalog.now(before)
        groups = frozenset(groups)
        facts = self._facts(groups, catalog, before, [one for one in known if one.until > at])
        hers = load_entitlements(session, request.user, groups, min(before.clock, at - REMEMBERED))
        unchecked = standing_of(session, request.user).unchecked(self.settings, now())
        facts = replace(facts, entitlements=hers, unchecked=unchecked)
        decision = decide(request, facts)
        ended = any(before.clock < one <= at for one in _ends(catalog, known, hers))
        self.catalog.keep(session, catalog, at, before, ended=ended)
        if decision.allowed:
            decision = self.budgets.reserve(session, decision, groups, self.catalog.clock(), use_id)
        return decision, self._record(session, request, decision, object_id, needed_entitlement(decision, facts))

    def _record(
        self, session: Session, request: Request, decision: Decision, object_id: str, entitlement: str | None
    ) -> str:
        profile = decision.profile.name if decision.profile else shown(request.profile)
        decision_id, reasons = new_id("d"), [reason.as_dict() for reason in decision.reasons]
        row = {
            "id": decision_id,
            "user_name": request.user,
            "purpose": request.purpose,
            "object_id": object_id[:255],
            "request": _storable(request.as_dict()),
            "allowed": decision.allowed,
            "reasons": reasons,
            "spec": decision.spec.model_dump(mode="json", by_alias=True) if decision.spec else None,
            "profile": profile,
            "profile_version": decision.profile.version if decision.profile else None,
            "profile_digest": decision.profile.digest if decision.profile else None,
            "snapshot": decision.snapshot,
            "image": decision.image[:400],
            "warnings": [warning.as_dict() for warning in decision.warnings],
            "exceptions": list(decision.exceptions),
            "entitlement_id": entitlement,
        }
        session.connection().execute(_INSERT, row)
        audit.record(
            session,
            request.user,
            f"{request.purpose}.decide",
            (request.purpose, object_id or request.user),
            outcome="allowed" if decision.allowed else "denied",
            detail={"decision": decision_id, "profile": profile, "reasons": reasons} | _beside(decision, entitlement),
        )
        return decision_id

    def last_allowed(self, session: Session, user: str, server: str) -> dict[str, Any] | None:
        """Return the options of the last start of a server that was allowed; they come back after a denial."""
        query = select(DecisionRow.request).where(
            DecisionRow.user == user,
            DecisionRow.purpose == "server",
            DecisionRow.object_id == server,
            DecisionRow.allowed,
        )
        return session.scalar(query.order_by(DecisionRow.id.desc()).limit(1))


def needed_entitlement(decision: Decision, facts: Facts) -> str | None:
    """Return the id of the entitlement that a yes needed; None where a group sufficed, and for a no.

    Args:
        decision: The decision.
        facts: What it was taken on.
    """
    if not decision.allowed or decision.profile is None:
        return None
    if facts.groups.intersection(decision.profile.spec.access.groups):
        return None
    needed = entitling(facts.entitlements, decision.profile.name, facts.now)
    return needed.id if needed else None


def _beside(decision: Decision, entitlement: str | None) -> dict[str, Any]:
    """Return what was allowed in spite of something, for the record of acts."""
    found = {
        "warnings": [warning.as_dict() for warning in decision.warnings],
        "exceptions": list(decision.exceptions),
        "entitlement": entitlement,
    }
    return {name: value for name, value in found.items() if value}


def _ends(
    catalog: Catalog, exceptions: Iterable[RuleException], entitlements: Iterable[Entitled]
) -> Iterator[datetime]:
    """Yield when what a decision rests on ends."""
    yield from (one.until for one in exceptions)
    yield from (one.until for one in entitlements)
    yield from (one.removal_at for one in catalog.standings.values() if one.removal_at is not None)


def _storable(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request as it can be kept: hostile ones may be huge, or hold what JSON does not."""
    try:
        size = len(json.dumps(request, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return {"unreadable": True}
    return request if size <= _LONGEST_RECORD else {"too_large": size}
