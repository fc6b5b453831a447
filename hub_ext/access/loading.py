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

_MINE: Any = Entitlement.__table__
_FILES: Any = EntitlementImport.__table__
_COUNTS = or_(_MINE.c.import_id.is_(None), _FILES.c.done_at.is_not(None))  # those of a file once all of it is there


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
    return joined.where(_COUNTS)


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
    mine = _MINE.c
    columns = (mine.id, mine.profile, mine.kind, mine.name, mine.until, mine.granted_by)
    hers = one_of_given(dialect, (mine.kind, mine.name), "holders")
    query = select(*columns).select_from(_MINE.outerjoin(_FILES, _FILES.c.id == mine.import_id))
    return query.where(_COUNTS, hers, mine.until > bindparam("after")).order_by(mine.id)
