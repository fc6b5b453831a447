"""The decision point with its surroundings: loads the facts, decides, and records what was decided."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.catalog.decide import Decision, Facts, Purpose, Request, decide
from hub_ext.catalog.loading import Catalog, load
from hub_ext.catalog.options import shown
from hub_ext.db.session import Database
from hub_ext.db.tables import DecisionRow
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput, Problem
from hub_ext.governance.environments import environment_images
from hub_ext.settings import HubExt

_KEYS = {"profile", "version", "options"}
_MOST_UNKNOWN = 20  # keys that are not known are named up to this many
_LONGEST_RECORD = 8000  # characters of JSON of a request that are kept


class CatalogStore:
    """The snapshot of the catalog that this process uses.

    Args:
        settings: Says which folder holds the profile files.
    """

    def __init__(self, settings: HubExt) -> None:
        self._folder = settings.profiles
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None

    def current(self) -> Catalog:
        """Return the snapshot, read at first use."""
        with self._lock:
            if self._catalog is None:
                self._catalog = load(self._folder)
            return self._catalog


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

    def facts(self, groups: Iterable[str]) -> Facts:
        """Load what is true now.

        Args:
            groups: Groups of the person, as the Hub says them now.
        """
        catalog = self.catalog.current()
        environments = environment_images(self.settings) if catalog.enclave.spec.local else None
        return Facts(now(), frozenset(groups), catalog, environments)

    def decide(self, session: Session, request: Request, groups: Iterable[str], object_id: str) -> tuple[Decision, str]:
        """Decide and record it in the transaction of what depends on it.

        Args:
            session: That transaction.
            request: What is asked for.
            groups: Groups of the person, as the Hub says them now.
            object_id: The server's name, or the workflow of the run.

        Returns:
            The decision and its id. On a denial the caller still commits, so that the record stays.
        """
        decision = decide(request, self.facts(groups))
        profile = decision.profile.name if decision.profile else shown(request.profile)
        row = DecisionRow(
            user=request.user,
            purpose=request.purpose,
            object_id=object_id[:255],
            request=_storable(request.as_dict()),
            allowed=decision.allowed,
            reasons=[reason.as_dict() for reason in decision.reasons],
            spec=decision.spec.model_dump(mode="json", by_alias=True) if decision.spec else None,
            profile=profile,
            profile_version=decision.profile.version if decision.profile else None,
            profile_digest=decision.profile.digest if decision.profile else None,
            snapshot=decision.snapshot,
        )
        session.add(row)
        session.flush()
        audit.record(
            session,
            request.user,
            f"{request.purpose}.decide",
            (request.purpose, object_id or request.user),
            outcome="allowed" if decision.allowed else "denied",
            detail={"decision": row.id, "profile": profile, "reasons": row.reasons},
        )
        return decision, row.id

    def last_allowed(self, session: Session, user: str, server: str) -> dict[str, Any] | None:
        """Return the options of the last start of a server that was allowed; they come back after a denial."""
        query = select(DecisionRow.request).where(
            DecisionRow.user == user,
            DecisionRow.purpose == "server",
            DecisionRow.object_id == server,
            DecisionRow.allowed,
        )
        return session.scalar(query.order_by(DecisionRow.id.desc()).limit(1))


def _storable(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request as it can be kept: hostile ones may be huge, or hold what JSON does not."""
    try:
        size = len(json.dumps(request, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return {"unreadable": True}
    return request if size <= _LONGEST_RECORD else {"too_large": size}
