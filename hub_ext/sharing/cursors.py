"""Cursors: where the next page of a list begins. Opaque to whoever holds one; what is not ours is refused."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from hub_ext.errors import InvalidInput

_LONGEST = 2000


def write_cursor(kind: str, *values: str | int | datetime | None) -> str:
    """Return a cursor.

    Args:
        kind: The list and order that it is good for.
        values: Where the next page begins.
    """
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    text = json.dumps([kind, *plain], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(kind: str, cursor: str, shape: tuple[type, ...]) -> list[Any]:
    """Return the values of a cursor.

    Args:
        kind: As it was written.
        cursor: What somebody sent.
        shape: Type of each value: ``str``, ``int``, or ``datetime`` (which may be None).

    Raises:
        InvalidInput: If it is not a cursor of this kind.
    """
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(found, list) or len(found) != len(shape) + 1 or found[0] != kind:
            raise ValueError
        return [_value(value, wanted) for value, wanted in zip(found[1:], shape, strict=True)]
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidInput.of(
            "cursor", "is not one that this list gave for this order; leave it out to begin at the first page"
        ) from None


def _value(value: Any, wanted: type) -> Any:
    if wanted is datetime:
        return None if value is None else _time(value)
    if wanted is int and type(value) is int and 0 <= value < 2**31:
        return value
    if wanted is str and isinstance(value, str):
        value.encode()  # what cannot be encoded cannot be compared by a database, nor can NUL
        if "\x00" not in value:
            return value
    raise ValueError


def _time(value: Any) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else None
    if at is None or at.tzinfo is None or not 1970 <= at.year <= 9000:
        raise ValueError
    return at
