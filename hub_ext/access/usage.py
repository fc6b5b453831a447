"""What was used, by person, group and month: what has ended, and what goes on, as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_, union_all
from sqlalchemy.orm import Session

from hub_ext.access.charges import accrued, counted, counts, next_month
from hub_ext.access.csv_text import lines_of
from hub_ext.access.owners import may_read_all
from hub_ext.catalog.budget import month_of
from hub_ext.db.session import Database
from hub_ext.db.tables import BudgetCharge, BudgetMeter
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput
from hub_ext.people import Person
from hub_ext.sharing.cursors import read_cursor, write_cursor

_CURSOR = "usage"
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_BATCH = 1000
COLUMNS = ("month", "kind", "name", "servers", "runs", "cpu_hours", "memory_hours", "gpu_hours", "storage_gb")


@dataclass(frozen=True)
class Usage:
    """What somebody used in a month.

    Attributes:
        month: Such as 2026-11, in UTC.
        kind: ``person`` or ``group``.
        name: Her or its name.
        servers: How many ended in it; in the present month, with those that run.
        runs: Likewise.
        cpu_hours: Core hours.
        memory_hours: GiB hours.
        gpu_hours: GPU hours.
        storage: Bytes of homes and results; of the present month alone, as it is now.
    """

    month: str
    kind: str
    name: str
    servers: int
    runs: int
    cpu_hours: float
    memory_hours: float
    gpu_hours: float
    storage: int

    def cells(self) -> list[str]:
        """Return it as a row of `COLUMNS`."""
        hours = [f"{value:.3f}" for value in (self.cpu_hours, self.memory_hours, self.gpu_hours)]
        counts_ = [str(self.servers), str(self.runs)]
        return [self.month, self.kind, self.name, *counts_, *hours, f"{self.storage / 2**30:.3f}"]


def first_of(month: str) -> datetime:
    """Return the beginning of a month.

    Args:
        month: Such as 2026-11.

    Raises:
        InvalidInput: If it is none.
    """
    if not _MONTH.fullmatch(month):
        raise InvalidInput.of("month", "must be a month such as 2026-11")
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)


class UsageReport:
    """Reports what was used.

    Args:
        database: Where it is counted.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def listing(
        self,
        person: Person,
        month: str | None = None,
        *,
        kind: str | None = None,
        cursor: str | None = None,
        limit: int = 30,
    ) -> tuple[list[Usage], str | None]:
        """Return a page of who used what in a month, by kind and name.

        Args:
            person: Who asks. Curators, auditors and admins see all; everybody herself, and the groups she is in.
            month: The month; None for the present one.
            kind: ``person`` or ``group`` alone.
            cursor: As the page before gave it.
            limit: Most of the page.

        Raises:
            InvalidInput: If month or cursor is none.
        """
        after = read_cursor(_CURSOR, cursor, (str, str)) if cursor is not None else None
        at = now()
        with self.database.read() as session:
            rows = self._rows(session, person, month or month_of(at), at, limit + 1, kind=kind, after=after)
        page = rows[:limit]
        return page, write_cursor(_CURSOR, page[-1].kind, page[-1].name) if len(rows) > limit else None

    def history(self, person: Person, kind: str, name: str, months: int = 12) -> list[Usage]:
        """Return what somebody used in each of the last months, the oldest first; nothing is all zeros.

        Args:
            person: Who asks.
            kind: ``person`` or ``group``.
            name: Her or its name.
            months: How many.
        """
        at = now()
        found = []
        with self.database.read() as session:
            for month in last_months(at, months):
                rows = self._rows(session, person, month, at, 1, kind=kind, name=name)
                found.append(rows[0] if rows else Usage(month, kind, name, 0, 0, 0.0, 0.0, 0.0, 0))
        return found

    def export(self, person: Person, month: str, kind: str | None = None) -> Iterator[bytes]:
        """Yield who used what in a month, as CSV.

        Args:
            person: Who asks.
            month: The month.
            kind: ``person`` or ``group`` alone.

        Raises:
            InvalidInput: If it is no month.
        """
        first_of(month)
        yield from lines_of([list(COLUMNS)])
        after = None
        while True:
            with self.database.read() as session:
                rows = self._rows(session, person, month, now(), _BATCH, kind=kind, after=after)
            yield b"".join(lines_of(row.cells() for row in rows))
            if len(rows) < _BATCH:
                return
            after = [rows[-1].kind, rows[-1].name]

    def _rows(
        self,
        session: Session,
        person: Person,
        month: str,
        at: datetime,
        limit: int,
        *,
        kind: str | None = None,
        name: str | None = None,
        after: list[str] | None = None,
    ) -> list[Usage]:
        rows = session.execute(_of_month(month, at, _Which(person, kind, name, after)).limit(limit))
        return [
            Usage(
                month,
                found_kind,
                found_name,
                int(servers),
                int(runs),
                float(cpu) / 3600,
                float(memory) / 3600,
                float(gpu) / 3600,
                int(storage),
            )
            for found_kind, found_name, servers, runs, cpu, memory, gpu, storage in rows
        ]


@dataclass(frozen=True)
class _Which:
    """Whose usage."""

    person: Person
    kind: str | None = None
    name: str | None = None
    after: list[str] | None = None

    def conditions(self, table: type[BudgetCharge] | type[BudgetMeter]) -> list[ColumnElement[bool]]:
        """Return the conditions on charges or meters."""
        found = [] if may_read_all(self.person) else [_hers(self.person, table)]
        found += [] if self.kind is None else [table.kind == self.kind]
        found += [] if self.name is None else [table.name == self.name]
        return found + ([] if self.after is None else [tuple_(table.kind, table.name) > tuple_(*self.after)])


def _hers(person: Person, table: type[BudgetCharge] | type[BudgetMeter]) -> ColumnElement[bool]:
    hers = and_(table.kind == "person", table.name == person.name)
    groups = sorted(person.groups)
    return or_(hers, and_(table.kind == "group", table.name.in_(groups))) if groups else hers


def _of_month(month: str, at: datetime, which: _Which) -> Select[Any]:
    """Return the query of what was used in a month: what goes on counts as far as it was in it."""
    first = first_of(month)
    present = month == month_of(at)
    charge, meter, nothing = BudgetCharge, BudgetMeter, literal(0)
    end = min(at, next_month(first)).timestamp()
    servers, runs = (counted(purpose) if present else nothing for purpose in ("server", "run"))
    hours = [func.sum(one * accrued(first.timestamp(), end)) for one in (charge.cpu, charge.memory, charge.gpu)]
    storage = func.sum(charge.storage) if present else nothing
    names = ("kind", "name", "servers", "runs", "cpu", "memory", "gpu", "storage")
    going = (charge.kind, charge.name, servers, runs, *hours, storage)
    open_ = select(*(column.label(name) for name, column in zip(names, going, strict=True)))
    open_ = open_.where(*which.conditions(charge), counts(at.timestamp())).group_by(charge.kind, charge.name)
    over = (meter.kind, meter.name, meter.servers, meter.runs, meter.cpu, meter.memory, meter.gpu, nothing)
    ended = select(*over).where(meter.month == month, *which.conditions(meter))
    both = union_all(open_, ended).subquery()
    sums = [func.sum(both.c[name]) for name in names[2:]]
    summed = select(both.c.kind, both.c.name, *sums).group_by(both.c.kind, both.c.name)
    used = [one > 0 for one in sums]
    return summed.having(or_(*used)).order_by(both.c.kind, both.c.name)


def last_months(at: datetime, count: int) -> list[str]:
    """Return months up to the present one, the oldest first.

    Args:
        at: The time.
        count: How many.
    """
    found = [month_of(at)]
    while len(found) < count:
        found.append(month_of(first_of(found[-1]) - timedelta(days=1)))
    return found[::-1]
