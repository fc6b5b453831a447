"""Engines of a kind write each statement as SQL once for all of them, not each for itself.

A process of ours has one engine; the tests make thousands, and half of what a small test did was writing the same SQL.
"""

from __future__ import annotations

import functools

import sqlalchemy
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from hub_ext.db import session

_MANY = 3000


def _kind(dialect: DefaultDialect) -> tuple[object, ...]:
    """Return what the SQL of a dialect depends on; what a server said of itself is known once it was asked."""
    said = (
        getattr(dialect, name, None) for name in ("server_version_info", "_backslash_escapes", "default_schema_name")
    )
    return (type(dialect), dialect.paramstyle, *said)


def share() -> None:
    """Let the engines of all databases of this process share what they have written."""
    DefaultDialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
    DefaultDialect.__eq__ = lambda self, other: (
        self is other
        or (  # type: ignore[method-assign]
            isinstance(other, DefaultDialect) and _kind(self) == _kind(other)
        )
    )
    options = {"compiled_cache": LRUCache(_MANY)}
    session.create_engine = functools.partial(sqlalchemy.create_engine, execution_options=options)
