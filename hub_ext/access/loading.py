"""The entitlements of a person, as decisions look at them: loaded with one query."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, bindparam, or_, select
from sqlalchemy.orm import Session

from hub_ext.catalog.entitled import Entitled, Kind
from hub_ext.db.many import given, one_of, one_of_given
from hub_ext.db.tables import Entitlement, EntitlementImport

PERSON: Kind = "person"
GROUP: Kind = "group"

# How long one that has ended is still told of: "your access ended on …".
REMEMBERED = timedelta(days=30)


def held_by(session: Session, user: str, groups: Collection[str]) -> ColumnElement[bool]:
    """Return the condition on `Entitlement` that it is a person's, or of a group that she is in.

    Args:
        session: Of the database that is asked.
        user: Her name.
        groups: Her groups.
    """
    return one_of(session, (Entitlement.kind, Entitlement.name), _holders(user, groups))


def _holders(user: str, groups: Collection[str]) -> list[tuple[str, str]]:
    return [(PERSON, user), *((GROUP, name) for name in groups)]


def counted() -> Select[Entitlement]:
    """Return the query of entitlements that count: those of a file only once the whole file is there."""
    joined = select(Entitlement).outerjoin(EntitlementImport, EntitlementImport.id == Entitlement.import_id)
    return joined.where(or_(Entitlement.import_id.is_(None), EntitlementImport.done_at.is_not(None)))


def load_entitlements(session: Session, user: str, groups: Collection[str], after: datetime) -> tuple[Entitled, ...]:
    """Return the entitlements of a person that end after a time.

    Args:
        session: Any transaction.
        user: Her name.
        groups: Groups that she is in.
        after: Those that had ended by then are left out.
    """
    dialect = session.get_bind().dialect.name
    values = {"after": after} | given(dialect, "holders", _holders(user, groups))
    rows = session.connection().execute(_load_query(dialect), values)
    return tuple(
        Entitled(id_, profile, cast(Kind, kind), name, until, by) for id_, profile, kind, name, until, by in rows
    )


@cache
def _load_query(dialect: str) -> Select[str, str, str, str, datetime, str]:
    """Return the query of each decision, made once: to make it anew takes longer than to execute it."""
    mine: Any = Entitlement.__table__
    files: Any = EntitlementImport.__table__
    columns = (mine.c.id, mine.c.profile, mine.c.kind, mine.c.name, mine.c.until, mine.c.granted_by)
    whole = or_(mine.c.import_id.is_(None), files.c.done_at.is_not(None))  # as `counted` says it
    hers = one_of_given(dialect, (mine.c.kind, mine.c.name), "holders")
    query = select(*columns).select_from(mine.outerjoin(files, files.c.id == mine.c.import_id))
    return query.where(whole, hers, mine.c.until > bindparam("after")).order_by(mine.c.id)
