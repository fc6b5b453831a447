"""A database as lines of JSON, and back: any of ours, also from SQLite to PostgreSQL and the other way round.

A table is one file: its first line is the list of its columns, each other one a row. A time is ``{"time": ISO 8601}``,
bytes are ``{"bytes": base64}``, a JSON value is ``{"json": value}``; all else is itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from sqlalchemy import JSON, Connection, DateTime, Engine, MetaData, Table, func, inspect, select, text
from sqlalchemy.dialects.postgresql import JSONB

_BATCH = 500
_VERSIONS = "alembic_version"
_Convert = Callable[[Any], Any]


def is_empty(engine: Engine) -> bool:
    """Return whether a database has no tables."""
    return not inspect(engine).get_table_names()


def reflected(connection: Connection, without: Iterable[str] = ()) -> list[Table]:
    """Return the tables of a database as it is, each after those that it refers to.

    Args:
        connection: To it.
        without: Names of those that are left out.
    """
    found = MetaData()
    found.reflect(connection)
    left_out = {_VERSIONS, *without}
    tables = [table for table in found.sorted_tables if table.name not in left_out]
    for column in (column for table in tables for column in table.columns):
        if isinstance(column.type, JSON):  # None is no value here, never JSON's null
            column.type = JSONB(none_as_null=True) if isinstance(column.type, JSONB) else JSON(none_as_null=True)
    return tables


def dump(connection: Connection, table: Table) -> Iterator[bytes]:
    """Yield a table as lines.

    Args:
        connection: A transaction that sees one moment.
        table: From `reflected`.
    """
    yield _line([column.name for column in table.columns])
    query = select(table).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=_BATCH).execute(query):
        yield _line([_plain(value) for value in row])


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, bytes | memoryview):
        return {"bytes": base64.b64encode(bytes(value)).decode()}
    return {"json": value} if isinstance(value, dict | list) else value


def load(connection: Connection, table: Table, lines: IO[bytes]) -> int:
    """Put lines into a table, in place of what is in it; return how many rows.

    Args:
        connection: A transaction.
        table: From `reflected`, of the same revision.
        lines: From `dump`.

    Raises:
        ValueError: If they are not of this table.
    """
    names = json.loads(lines.readline() or b"null")
    if not isinstance(names, list) or not set(names) <= set(table.columns.keys()):
        msg = f"the columns of {table.name} are others"
        raise ValueError(msg)
    convert = {name: _conversion(table.columns[name].type) for name in names}
    count, batch = 0, []
    for line in lines:
        batch.append(_row(names, json.loads(line), convert))
        if len(batch) == _BATCH:
            count += _insert(connection, table, batch)
            batch = []
    count += _insert(connection, table, batch)
    return count


def _row(names: list[str], values: list[Any], convert: Mapping[str, _Convert]) -> dict[str, Any]:
    return {name: convert[name](value) for name, value in zip(names, values, strict=True)}


def _conversion(kind: Any) -> _Convert:
    zoned = isinstance(kind, DateTime) and bool(kind.timezone)

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ((what, content),) = value.items()
        if what == "bytes":
            return base64.b64decode(content)
        if what != "time":
            return content
        moment = datetime.fromisoformat(content)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return aware if zoned else aware.replace(tzinfo=None)

    return convert


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
    if rows:
        connection.execute(table.insert(), rows)
    return len(rows)


def clear(connection: Connection, tables: Iterable[Table]) -> None:
    """Delete what a migration has put into new tables."""
    for table in reversed(list(tables)):
        connection.execute(table.delete())


def count_on(connection: Connection, tables: Iterable[Table]) -> None:
    """Let the numbers that PostgreSQL gives out go on behind those that were put in."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key.columns:
            name = {"table": f'"{table.name}"', "column": column.name}
            sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), name)
            last = connection.scalar(select(func.max(column))) if sequence else None
            if last is not None:
                connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})
