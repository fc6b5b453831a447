"""What is in use: reserved at the decision under a lock, confirmed when it runs, metered when it has ended.

A charge stands for a server, a run, a home or kept results, once for the person and once for each group with a budget
that she was in at the decision. It is released in the transaction that writes the end down, so that nothing counts
twice or never; `keeper.py` finds what a crash or somebody else's hand left behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Double,
    Update,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from hub_ext.catalog.budget import GIB, Amounts, HolderKind, Standing, Wanted, month_of
from hub_ext.db.many import given, insert_many, one_of, one_of_given
from hub_ext.db.tables import Budget, BudgetCharge, BudgetHolder, BudgetMeter

# How long a reservation of a server holds without word of it: longer than any start takes.
RESERVED = timedelta(hours=1)

Holder = tuple[HolderKind, str]
_PURPOSES = ("server", "run")


@dataclass(frozen=True)
class Use:
    """Who uses something.

    Attributes:
        id: Of the server's start, or of the run.
        user: Whose it is.
        groups: Groups that she is in now.
    """

    id: str
    user: str
    groups: frozenset[str]


def standings(
    session: Session,
    user: str,
    groups: Collection[str],
    at: datetime,
    usual: Amounts,
    *,
    lock: bool = False,
) -> list[Standing]:
    """Return how a person, and every group with a budget that she is in, stands.

    Args:
        session: Any transaction; one that writes, to lock.
        user: Her name.
        groups: Groups that she is in.
        at: The time.
        usual: Limits of each person where no row says anything.
        lock: Keep others from reserving for the same holders until this transaction ends.
    """
    budgets = _budgets(session, user, groups)
    everyone = budgets.pop(("everyone", "everyone"), None)
    usual = _limits(everyone).over(usual) if everyone is not None else usual
    holders: list[Holder] = [("person", user)]
    holders += [("group", name) for kind, name in budgets if kind == "group"]
    own = budgets.get(("person", user))
    if lock and (len(holders) > 1 or own is not None or usual != Amounts()):
        _lock(session, holders)
    used, homes = _used(session, holders, at)
    home = homes.get(user, 0)
    found = [_standing(("person", user), [row for row in (own, everyone) if row is not None], used, at, home)]
    found[0] = replace(found[0], limits=found[0].limits.over(usual))
    return found + [_standing(holder, [budgets[holder]], used, at, home) for holder in holders[1:]]


def _standing(holder: Holder, rows: list[Any], used: dict[Holder, Amounts], at: datetime, home: int) -> Standing:
    """Return how a holder stands; of several budgets the first counts."""
    kind, name = holder
    limits = _limits(rows[0]) if rows else Amounts()
    soft = rows[0].soft if rows else 80
    return Standing(kind, name, limits, used.get(holder, _amounts()), soft, month_of(at), home)


def _budgets(session: Session, user: str, groups: Collection[str]) -> dict[tuple[str, str], Any]:
    holders = [("person", user), ("everyone", "everyone"), *(("group", name) for name in groups)]
    kind = session.get_bind().dialect.name
    query, values = _budgets_query(kind), given(kind, "holders", holders)
    return {(row.kind, row.name): row for row in session.connection().execute(query, values)}


# The statements of each decision are made once: to make one anew takes longer than to execute it.


@cache
def _budgets_query(dialect: str) -> Any:
    table: Any = Budget.__table__.c
    limits = (table.servers, table.runs, table.cpu_hours, table.memory_hours, table.gpu_hours, table.storage)
    query: Any = select(table.kind, table.name, table.soft, *limits)
    return query.where(one_of_given(dialect, (table.kind, table.name), "holders")).order_by(table.kind, table.name)


def _limits(row: Any) -> Amounts:
    return Amounts(row.servers, row.runs, row.cpu_hours, row.memory_hours, row.gpu_hours, row.storage)


def _lock(session: Session, holders: list[Holder]) -> None:
    """Lock the rows of holders, all in one order, so that nobody waits for somebody who waits for her."""
    wanted = sorted(holders)
    columns = (BudgetHolder.kind, BudgetHolder.name)
    query = select(*columns).where(one_of(session, columns, wanted)).order_by(*columns).with_for_update()
    known = {(kind, name) for kind, name in session.execute(query)}
    missing = [holder for holder in wanted if holder not in known]
    if missing:
        insert_many(session, BudgetHolder, _columns(missing), stays=True)
        session.execute(query).all()


def _columns(holders: Iterable[Holder]) -> dict[str, list[str]]:
    known = list(holders)
    return {"kind": [kind for kind, _ in known], "name": [name for _, name in known]}


def _insert(session: Session, table: Any) -> Any:
    """Return the insert of this database's kind, which knows conflicts."""
    kind = session.get_bind().dialect.name
    return sqlite.insert(table) if kind == "sqlite" else postgresql.insert(table)


def _used(session: Session, holders: list[Holder], at: datetime) -> tuple[dict[Holder, Amounts], dict[str, int]]:
    """Return what holders use, from one look at charges and meters; and the bytes of the person's home."""
    dialect = session.get_bind().dialect.name
    values = {"now": at.timestamp(), "first": _first_of(at).timestamp(), "month": month_of(at)}
    rows = session.connection().execute(_used_query(dialect), values | given(dialect, "holders", holders))
    found: dict[Holder, Amounts] = {}
    homes: dict[str, int] = {}
    for kind, name, servers, runs, cpu, memory, gpu, storage, home in rows:
        holder = (cast(HolderKind, kind), str(name))
        hours = (float(cpu) / 3600, float(memory) / 3600, float(gpu) / 3600)
        more = _amounts(int(servers), int(runs), *hours, int(storage))
        found[holder] = _sum(found[holder], more) if holder in found else more
        if kind == "person" and home:
            homes[name] = int(home)
    return found, homes


@cache
def _used_query(dialect: str) -> CompoundSelect[Any]:
    charge, meter = BudgetCharge, BudgetMeter
    now, first = (bindparam(name, type_=Double) for name in ("now", "first"))
    charged = (
        select(charge.kind, charge.name, *_open_amounts(now, first))
        .where(one_of_given(dialect, (charge.kind, charge.name), "holders"), counts(now))
        .group_by(charge.kind, charge.name)
    )
    nothing = literal(0)
    metered = select(
        meter.kind, meter.name, nothing, nothing, meter.cpu, meter.memory, meter.gpu, nothing, nothing
    ).where(one_of_given(dialect, (meter.kind, meter.name), "holders"), meter.month == bindparam("month"))
    return union_all(charged, metered)


def _open_amounts(now: ColumnElement[float], first: ColumnElement[float]) -> list[ColumnElement[Any]]:
    charge = BudgetCharge
    lasted = accrued(first, now)
    hours = [func.sum(amount * lasted) for amount in (charge.cpu, charge.memory, charge.gpu)]
    home = func.sum(case((charge.purpose == "home", charge.storage), else_=0))
    return [*(counted(purpose) for purpose in _PURPOSES), *hours, func.sum(charge.storage), home]


def accrued(first: float | ColumnElement[float], end: float | ColumnElement[float]) -> ColumnElement[float]:
    """Return the seconds that a charge has lasted between two times (seconds since 1970); never less than none."""
    since = BudgetCharge.since
    begins = case((since < first, first), else_=since)
    return case((since.is_(None), 0.0), (begins > end, 0.0), else_=end - begins)


def counted(purpose: str) -> ColumnElement[int]:
    """Return how many charges are of a purpose."""
    return func.sum(case((BudgetCharge.purpose == purpose, 1), else_=0))


def counts(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Return the condition on charges that they count at a time: reservations end."""
    return or_(BudgetCharge.expires.is_(None), BudgetCharge.expires > now)


def _amounts(
    servers: int = 0, runs: int = 0, cpu: float = 0.0, memory: float = 0.0, gpu: float = 0.0, storage: int = 0
) -> Amounts:
    return Amounts(servers, runs, cpu, memory, gpu, storage)


def _sum(one: Amounts, other: Amounts) -> Amounts:
    names = ("servers", "runs", "cpu_hours", "memory_hours", "gpu_hours", "storage")
    return Amounts(**{name: (one.of(name) or 0) + (other.of(name) or 0) for name in names})


# Reserving and releasing.


def reserve(session: Session, use: Use, wanted: Wanted, found: Iterable[Standing], at: datetime) -> None:
    """Write down what a start or a run takes; the standings were read under the lock in this transaction.

    Args:
        session: The transaction of the decision.
        use: Who uses it.
        wanted: What it takes.
        found: The standings that it was held against.
        at: The time.
    """
    found = list(found)
    expires = (at + RESERVED).timestamp() if wanted.purpose == "server" else None
    room = wanted.room
    values: dict[str, Any] = {"cpu": room.cpu, "memory": room.memory / GIB, "gpu": room.gpu, "storage": 0}
    values |= {"use_id": use.id, "purpose": wanted.purpose, "expires": expires}
    insert_many(session, BudgetCharge, _columns((one.kind, one.name) for one in found), values)
    grown = [one for one in found if room.home > one.home] if wanted.purpose == "server" else []
    if grown:
        values = {"cpu": 0.0, "memory": 0.0, "gpu": 0, "storage": room.home}
        values |= {"use_id": f"home:{use.user}", "purpose": "home"}
        holders = _columns((one.kind, one.name) for one in grown)
        insert_many(session, BudgetCharge, holders, values, replaced="storage")


def charge_again(session: Session, use_id: str, user: str, wanted: Wanted, since: datetime | None) -> None:
    """Count something for its person that goes on and is not counted.

    Args:
        session: A write transaction.
        use_id: Of the start, or the run.
        user: Whose it is.
        wanted: What it takes.
        since: From when hours count; None for one that does not run yet.
    """
    room = wanted.room
    values = {"use_id": use_id, "kind": "person", "name": user, "purpose": wanted.purpose, "storage": 0}
    values |= {"cpu": room.cpu, "memory": room.memory / GIB, "gpu": room.gpu}
    values["since"] = since.timestamp() if since is not None else None
    session.execute(_insert(session, BudgetCharge.__table__).values(**values).on_conflict_do_nothing())


def _add(session: Session, use: str, holder: Holder, storage: int) -> None:
    """Write down results that are kept, in addition to those that there are."""
    kind, name = holder
    values = {"use_id": use, "kind": kind, "name": name, "purpose": "results", "cpu": 0.0, "memory": 0.0, "gpu": 0}
    statement = _insert(session, BudgetCharge.__table__).values(**values, storage=storage)
    total = BudgetCharge.__table__.c.storage + storage
    session.execute(statement.on_conflict_do_update(index_elements=["use_id", "kind", "name"], set_={"storage": total}))


def confirm(session: Session, use_id: str, at: datetime) -> None:
    """Let hours count from now on: the server answers, or the run has begun.

    Args:
        session: The transaction that says so.
        use_id: Of the start, or the run.
        at: Since when.
    """
    session.connection().execute(_confirm_statement(), {"use": use_id, "at": at.timestamp()})


@cache
def _confirm_statement() -> Update:
    table: Any = BudgetCharge.__table__
    query = update(table).where(table.c.use_id == bindparam("use"), table.c.since.is_(None))
    return query.values(since=bindparam("at"), expires=None)


def release(session: Session, use_id: str, at: datetime) -> bool:
    """Give back what a start or a run took, and meter its hours, in the months that they were in.

    Args:
        session: The transaction that writes its end down.
        use_id: Of the start, or the run.
        at: When it ended.

    Returns:
        Whether there was anything to give back; the second time there is not.
    """
    table = BudgetCharge.__table__.c
    gone = delete(BudgetCharge).where(BudgetCharge.use == use_id)
    columns = (table.kind, table.name, table.purpose, table.cpu, table.memory, table.gpu, table.since)
    rows = session.execute(gone.returning(*columns).execution_options(synchronize_session=False)).all()
    for row in sorted(rows, key=lambda one: (one.kind, one.name)):
        _meter(session, row, at)
    return bool(rows)


def _meter(session: Session, row: Any, at: datetime) -> None:
    if row.since is None:
        return
    pieces = list(_by_month(datetime.fromtimestamp(row.since, UTC), at))
    for month, seconds in pieces:
        last = month == pieces[-1][0]
        more = {
            "servers": int(last and row.purpose == "server"),
            "runs": int(last and row.purpose == "run"),
            "cpu": row.cpu * seconds,
            "memory": row.memory * seconds,
            "gpu": row.gpu * seconds,
        }
        statement = _insert(session, BudgetMeter.__table__).values(kind=row.kind, name=row.name, month=month, **more)
        sums = {name: BudgetMeter.__table__.c[name] + value for name, value in more.items()}
        session.execute(statement.on_conflict_do_update(index_elements=["kind", "name", "month"], set_=sums))


def _first_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(at: datetime) -> datetime:
    """Return the beginning of the month after a time, in UTC."""
    return _first_of(_first_of(at) + timedelta(days=32))


def _by_month(since: datetime, until: datetime) -> Iterable[tuple[str, float]]:
    """Yield months and the seconds of a time that were in each; a clock that was set back makes none."""
    at = since
    while True:
        end = min(until, next_month(at))
        yield month_of(at), max(0.0, (end - at).total_seconds())
        if end >= until:
            return
        at = end


def keep_results(session: Session, run_id: str, user: str, size: int) -> None:
    """Count the results of a run as storage, of whom the run counts against; before it is released.

    Args:
        session: The transaction that writes its end down.
        run_id: The run.
        user: Whose it is.
        size: Bytes.
    """
    if not size:
        return
    charge = BudgetCharge
    rows = session.execute(select(charge.kind, charge.name).where(charge.use == run_id)).all()
    holders = sorted({("person", user), *((kind, name) for kind, name in rows)})
    for kind, name in holders:
        _add(session, f"results:{user}", (cast(HolderKind, kind), name), size)
