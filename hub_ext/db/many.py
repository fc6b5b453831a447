"""Hundreds of names or rows at once, with one short statement each: what a list of parameters costs grows with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, String, TableValuedAlias, bindparam, func, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session

_Column = InstrumentedAttribute[str] | Column[str]
Pair = tuple[_Column, _Column]


def one_of(session: Session, columns: Pair, pairs: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """Return the condition that two columns are one of some pairs.

    On PostgreSQL the pairs are a table of two parameters, joined by hash or index: the plan that it keeps for a list in
    one parameter compares each row with each of them.

    Args:
        session: Of the database that is asked.
        columns: The columns.
        pairs: What they may be.
    """
    wanted = sorted(set(pairs))
    if session.get_bind().dialect.name == "sqlite":
        return tuple_(*columns).in_(wanted)
    return _in_table(columns, *(_array([pair[number] for pair in wanted]) for number in (0, 1)))


def one_of_given(dialect: str, columns: Pair, name: str) -> ColumnElement[bool]:
    """Return the same condition with parameters, for a statement that is made once; `given` has their values.

    Args:
        dialect: Of the database that is asked.
        columns: The columns.
        name: Of the parameters.
    """
    if dialect == "sqlite":
        return tuple_(*columns).in_(bindparam(name, expanding=True))
    return _in_table(columns, *(bindparam(f"{name}_{number}", type_=ARRAY(String)) for number in (0, 1)))


def given(dialect: str, name: str, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values of the parameters of `one_of_given`."""
    wanted = sorted(set(pairs))
    if dialect == "sqlite":
        return {name: wanted}
    return {f"{name}_{number}": [pair[number] for pair in wanted] for number in (0, 1)}


def _array(values: Sequence[str]) -> ColumnElement[Any]:
    return literal(list(values), ARRAY(String))


def _table(columns: Mapping[str, ColumnElement[Any]]) -> TableValuedAlias:
    return func.unnest(*columns.values()).table_valued(*columns).render_derived()


def _in_table(columns: Pair, first: ColumnElement[Any], second: ColumnElement[Any]) -> ColumnElement[bool]:
    listed = _table({"first": first, "second": second})
    return tuple_(*columns).in_(select(listed.c.first, listed.c.second))


def insert_many(
    session: Session,
    table: Any,
    each: Mapping[str, Sequence[str]],
    same: Mapping[str, Any] | None = None,
    *,
    stays: bool = False,
    replaced: str = "",
) -> None:
    """Insert rows that differ in a few columns.

    Args:
        session: A write transaction.
        table: The mapped class.
        each: Names of columns, and their values in each row.
        same: Columns that are the same in all rows.
        stays: A row that is there already stays as it is.
        replaced: A row that is there already gets this column anew.

    Raises:
        IntegrityError: If a row is there already, and nothing says what then.
    """
    columns, same = table.__table__.c, dict(same or {})
    if session.get_bind().dialect.name == "sqlite":
        rows = [dict(zip(each, values, strict=True)) | same for values in zip(*each.values(), strict=True)]
        session.connection().execute(_on_sqlite(table, replaced, stays), rows)
        return
    listed = _table({name: _array(values) for name, values in each.items()})
    constant = [literal(value, columns[name].type).label(name) for name, value in same.items()]
    query = select(*(listed.c[name] for name in each), *constant)
    statement = postgresql.insert(table.__table__).from_select([*each, *same], query, include_defaults=False)
    session.execute(_if_there(statement, table, replaced, stays=stays))


@cache
def _on_sqlite(table: Any, replaced: str, stays: bool) -> Any:
    """Return the insert, made once: to make one anew takes longer than to execute it."""
    return _if_there(sqlite.insert(table.__table__), table, replaced, stays=stays)


def _if_there(statement: Any, table: Any, replaced: str, *, stays: bool) -> Any:
    if replaced:
        keys = [column.name for column in table.__table__.primary_key]
        return statement.on_conflict_do_update(index_elements=keys, set_={replaced: statement.excluded[replaced]})
    return statement.on_conflict_do_nothing() if stays else statement
