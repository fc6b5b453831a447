"""Budgets as curators manage them, and as decisions reserve from them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, tuple_
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access import charges
from hub_ext.access.charges import Use
from hub_ext.access.owners import may_read_all
from hub_ext.catalog.budget import GIB, MEASURES, Amounts, Standing, Wanted, held_against
from hub_ext.catalog.decide import Decision, Purpose
from hub_ext.catalog.models import Spec
from hub_ext.catalog.room import room_of
from hub_ext.db.session import Database
from hub_ext.db.tables import Budget
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput, NotFound, Problem
from hub_ext.governance.rights import check_words, must_be
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.sharing.cursors import read_cursor, write_cursor

KINDS = ("person", "group", "everyone")
EVERYONE = "everyone"
TOPIC = "budgets"
_MOST = 10**9
_CURSOR = "budgets"


@dataclass(frozen=True)
class Limits:
    """What a curator allows; None: no limit of its own.

    Attributes:
        servers: At once.
        runs: At once, those that wait among them.
        cpu_hours: Core hours a month.
        memory_hours: GB hours a month.
        gpu_hours: GPU hours a month.
        storage_gb: GB of homes and results.
        soft: Percent of a limit from which a start warns.
        reason: Why.
    """

    servers: int | None = None
    runs: int | None = None
    cpu_hours: float | None = None
    memory_hours: float | None = None
    gpu_hours: float | None = None
    storage_gb: float | None = None
    soft: int = 80
    reason: str = ""


def wanted_of(spec: Spec, purpose: Purpose) -> Wanted:
    """Return what a server or run takes.

    Args:
        spec: What it is.
        purpose: A server, or a run.
    """
    return Wanted(purpose, room_of(spec), spec.lifetime.maximum / 60)


def usual_limits(settings: HubExt) -> Amounts:
    """Return the limits of each person where no curator says anything.

    Args:
        settings: The settings.
    """
    given = dict(settings.budget)
    storage = given.pop("storage_gb", None)
    return Amounts(**given, storage=None if storage is None else storage * GIB)


class Budgets:
    """Manages budgets, and reserves from them.

    Args:
        database: Where they are.
        settings: What each person may have where no curator says anything.
    """

    def __init__(self, database: Database, settings: HubExt) -> None:
        self.database = database
        self.settings = settings

    # At the decision.

    def reserve(
        self, session: Session, decision: Decision, groups: Collection[str], at: datetime, use_id: str | None
    ) -> Decision:
        """Hold a yes against the budgets that it counts against, and reserve from them, under their locks.

        Args:
            session: The transaction of the decision.
            decision: A yes.
            groups: Groups that the person is in now.
            at: The time of the clock.
            use_id: Of the start, or the run; None looks, and reserves nothing.

        Returns:
            The decision, with what to be warned of; or a no with its reasons.
        """
        assert decision.spec is not None  # noqa: S101  # a yes has one
        user = decision.request.user
        wanted = wanted_of(decision.spec, decision.request.purpose)
        found = charges.standings(session, user, groups, at, usual_limits(self.settings), lock=use_id is not None)
        reasons, warnings = held_against(found, wanted)
        if reasons:
            return replace(decision, reasons=tuple(reasons), spec=None, rendering=None)
        if use_id is not None:
            charges.reserve(session, Use(use_id, user, frozenset(groups)), wanted, found, at)
        return replace(decision, warnings=(*decision.warnings, *warnings))

    def standings(self, session: Session, user: str, groups: Collection[str], at: datetime) -> list[Standing]:
        """Return how a person, and each group with a budget that she is in, stands now.

        Args:
            session: Any transaction.
            user: Her name.
            groups: Her groups.
            at: The time of the clock.
        """
        return charges.standings(session, user, groups, at, usual_limits(self.settings))

    # What curators do.

    def set(self, person: Person, kind: str, name: str, limits: Limits) -> tuple[Budget, bool]:
        """Set a budget. One below what is in use stops nothing; nothing more starts until there is room.

        Args:
            person: Who sets it.
            kind: ``person``, ``group`` or ``everyone`` (each person, but for those with a budget of their own).
            name: Of the person or the group; ``everyone`` for everyone.
            limits: What may be had.

        Returns:
            The budget, and whether it is new.

        Raises:
            Forbidden: If she is no curator; that is audited.
            InvalidInput: If it cannot be; `problems` name the fields.
        """
        must_be(self.database, person, "curator", "budget.set", ("budget", f"{kind}:{name}"))
        reason = check_words("reason", limits.reason)
        _check(kind, name, limits)
        with self.database.write() as session:
            row = session.get(Budget, (kind, name), with_for_update=True)
            created = row is None
            before = None if row is None else as_dict(row)
            if row is None:
                row = Budget(kind=kind, name=name, changed_by=person.name)
                session.add(row)
            row.servers, row.runs = limits.servers, limits.runs
            row.cpu_hours, row.memory_hours, row.gpu_hours = limits.cpu_hours, limits.memory_hours, limits.gpu_hours
            row.storage = None if limits.storage_gb is None else round(limits.storage_gb * GIB)
            row.soft, row.reason, row.changed_by = limits.soft, reason, person.name
            row.changed_at = now()
            session.flush()
            detail = {"limits": as_dict(row), "before": before, "reason": reason}
            _record(session, person, "budget.set", kind, name, detail)
        return row, created

    def remove(self, person: Person, kind: str, name: str) -> None:
        """Remove a budget: its holder has no limits of its own any more.

        Raises:
            Forbidden: If she is no curator; that is audited.
            NotFound: If there is none.
        """
        must_be(self.database, person, "curator", "budget.remove", ("budget", f"{kind}:{name}"))
        with self.database.write() as session:
            row = session.get(Budget, (kind, name), with_for_update=True) if _plain(kind, name) else None
            if row is None:
                raise NotFound("There is no such budget.")
            session.delete(row)
            _record(session, person, "budget.remove", kind, name, {"before": as_dict(row)})

    def listing(self, person: Person, cursor: str | None = None, limit: int = 30) -> tuple[list[Budget], str | None]:
        """Return a page of the budgets that a person may see, by kind and name.

        Args:
            person: Who asks. Curators, auditors and admins see all; everybody those that count for her.
            cursor: As the page before gave it.
            limit: Most of the page.

        Raises:
            InvalidInput: If the cursor is none of ours.
        """
        query = select(Budget).where(_seen_by(person)).order_by(Budget.kind, Budget.name)
        if cursor is not None:
            query = query.where(tuple_(Budget.kind, Budget.name) > tuple_(*read_cursor(_CURSOR, cursor, (str, str))))
        with self.database.read() as session:
            rows = list(session.scalars(query.limit(limit + 1)))
        page = rows[:limit]
        return page, write_cursor(_CURSOR, page[-1].kind, page[-1].name) if len(rows) > limit else None

    def get(self, person: Person, kind: str, name: str) -> Budget:
        """Return a budget that a person may see.

        Raises:
            NotFound: If there is none, or she may not know that there is.
        """
        row = None
        if _plain(kind, name):
            with self.database.read() as session:
                row = session.scalar(select(Budget).where(Budget.kind == kind, Budget.name == name, _seen_by(person)))
        if row is None:
            raise NotFound("There is no such budget.")
        return row


def _seen_by(person: Person) -> ColumnElement[bool]:
    if may_read_all(person):
        return Budget.kind.is_not(None)
    hers = or_(and_(Budget.kind == "person", Budget.name == person.name), Budget.kind == EVERYONE)
    groups = sorted(person.groups)
    return or_(hers, and_(Budget.kind == "group", Budget.name.in_(groups))) if groups else hers


def _plain(kind: str, name: str) -> bool:
    return kind in KINDS and name.isprintable() and 0 < len(name) <= 255


def _check(kind: str, name: str, limits: Limits) -> None:
    problems = []
    if kind not in KINDS:
        problems.append(Problem("kind", f"must be one of {', '.join(KINDS)}"))
    elif kind == EVERYONE != name:
        problems.append(Problem("name", "must be everyone, for everyone"))
    elif not _plain(kind, name) or name != name.strip():
        problems.append(Problem("name", "must be a name of 1 to 255 characters that can be seen"))
    for field in ("servers", "runs", "cpu_hours", "memory_hours", "gpu_hours", "storage_gb"):
        value = getattr(limits, field)
        if value is not None and not (math.isfinite(value) and 0 <= value <= _MOST):
            problems.append(Problem(field, f"must be a number from 0 to {_MOST:,}, or left out"))
    if not 1 <= limits.soft <= 100:
        problems.append(Problem("soft", "must be a percentage from 1 to 100"))
    if problems:
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in problems), problems=problems)


def as_dict(row: Budget) -> dict[str, Any]:
    """Return the limits of a budget that are set, as JSON."""
    found: Mapping[str, Any] = {name: getattr(row, name) for name in (*MEASURES, "soft")}
    return {name: value for name, value in found.items() if value is not None}


def _record(session: Session, person: Person, action: str, kind: str, name: str, detail: dict[str, Any]) -> None:
    audit.record(session, person.name, action, ("budget", f"{kind}:{name}"), detail=detail)
    audit.announce(session, TOPIC, {"kind": kind, "name": name})
