"""Column types and identifiers that every table shares."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def now() -> datetime:
    """Return the present time, with its zone (UTC)."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """Return a new identifier: prefix, milliseconds since 1970 and 80 random bits in Crockford's base 32.

    It sorts by time, fits a Kubernetes name, and is not to be guessed.

    Args:
        prefix: One or two letters that say what it identifies (``r`` run, ``w`` workflow, …).
    """
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    digits = [_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}-{''.join(digits)}"


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time; aware in Python, UTC in the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Store UTC; a naive time is a mistake of ours.

        Raises:
            ValueError: If the value has no zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a time without a zone was about to be stored"
            raise ValueError(msg)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give SQLite's naive times their zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
