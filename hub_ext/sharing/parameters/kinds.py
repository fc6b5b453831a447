"""The kinds of value that a parameter may have, as fragments of JSON Schema. The one list of them."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import pathlib
from typing import Any, Final

from hub_ext.sharing.parameters.model import EXTENSION, Fragment

LIMIT: Final = 2**63 - 1  # whole numbers that every database and JSON reader can hold
MAX_CHOICES: Final = 500
MAX_SECRET: Final = 64 * 2**10  # characters; a value has to fit into one environment variable

BASE: Final[dict[str, Fragment]] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "decimal": {"type": "string"},
    "timedelta": {"type": "number"},  # seconds
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},  # with or without a zone: see `zone`
    "time": {"type": "string"},
    "path": {"type": "string", "minLength": 1, "maxLength": 4096},
    "secret": {"type": "string", "writeOnly": True, "format": "password", "maxLength": MAX_SECRET},
    "choice": {},
    "enum": {},
    "list": {"type": "array"},
    "dict": {"type": "object"},
    "any": {},
    "null": {"type": "null"},  # only a part of a union while an annotation is read
    "union": {},
}
NUMERIC: Final = frozenset({"integer", "number", "decimal", "timedelta"})

WORDS: Final = {
    "integer": "a whole number, such as 5",
    "number": "a number, such as 1.5",
    "decimal": 'a decimal number in quotes, such as "12.50"',
    "timedelta": "a number of seconds, such as 90",
    "string": "text",
    "boolean": "true or false",
    "date": "a date, such as 2024-01-31",
    "datetime": "a date and time, such as 2024-01-31T14:30:00",
    "time": "a time of day, such as 14:30",
    "path": "the path of a file or folder",
    "secret": "text",
    "list": 'a list, such as ["a", "b"]',
    "dict": 'an object, such as {"a": 1}',
}

_BY_TYPE: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    decimal.Decimal: "decimal",
    dt.date: "date",
    dt.datetime: "datetime",
    dt.time: "time",
    dt.timedelta: "timedelta",
    pathlib.PurePosixPath: "path",
    type(None): "any",
}


def is_storable(value: str | int) -> bool:
    """Whether databases, JSON and environment variables can hold it: no NUL, no half character, no huge number."""
    if isinstance(value, int):
        return -LIMIT <= value <= LIMIT
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def fragment(kind: str, keywords: Fragment | None = None, **extension: Any) -> Fragment:
    """Return the schema of a kind, with more keywords and more in its ``x-hub-ext``."""
    return {**copy.deepcopy(BASE[kind]), **(keywords or {}), EXTENSION: {"kind": kind, **extension}}


def kind_of(schema: Fragment) -> str:
    """Return the kind of a fragment."""
    return str(schema[EXTENSION]["kind"])


def is_nullable(schema: Fragment) -> bool:
    """Whether null (Python's ``None``) is a value of the fragment."""
    return kind_of(schema) in ("any", "null") or schema[EXTENSION].get("nullable") is True


def nullable(schema: Fragment) -> Fragment:
    """Return the fragment with null as one more value."""
    if is_nullable(schema):
        return schema
    result = {**schema, EXTENSION: {**schema[EXTENSION], "nullable": True}}
    if "type" in result:
        result["type"] = [result["type"], "null"]
    if "enum" in result:
        result["enum"] = [*result["enum"], None]
    if "anyOf" in result:
        result["anyOf"] = [*result["anyOf"], {"type": "null"}]
    return result


def branches(schema: Fragment) -> list[Fragment]:
    """Return what a union may be, without null."""
    return [branch for branch in schema["anyOf"] if EXTENSION in branch]


def fragment_of(value: Any) -> Fragment | None:
    """Return the fragment that a default stands for, or None for a value of no known kind."""
    kind = _BY_TYPE.get(type(value))
    if kind == "datetime":
        return fragment(kind, zone="required" if value.tzinfo else "none")
    if kind is not None:
        return fragment(kind)
    if type(value) in (list, tuple, set, frozenset):
        return sequence(type(value).__name__, _common([fragment_of(item) for item in value]))
    if type(value) is dict:
        return mapping(_plainly([fragment_of(item) for item in value.values()]))
    special = getattr(value, "fragment", None)
    return special if isinstance(special, dict) else None


def sequence(collection: str, items: Fragment | None) -> Fragment:
    """Return the fragment of a list, tuple, set or frozenset."""
    items = items or fragment("any")
    extension = {} if collection == "list" else {"collection": collection}
    if collection not in ("set", "frozenset"):
        return fragment("list", {"items": items}, **extension)
    if kind_of(items) == "any":  # a set can hold no lists or objects
        items = {"type": ["string", "number", "boolean", "null"], **items}
    return fragment("list", {"items": items, "uniqueItems": True}, **extension)


def mapping(values: Fragment | None) -> Fragment:
    """Return the fragment of a dict with text keys."""
    return fragment("dict", {"additionalProperties": values or fragment("any")})


def _common(found: list[Fragment | None]) -> Fragment | None:
    """Return the one fragment that all have, or a number where they are numbers."""
    known = [item for item in found if item is not None and kind_of(item) != "secret"]
    if not known or len(known) < len(found):
        return None
    if all(item == known[0] for item in known):
        return known[0]
    if {kind_of(item) for item in known} == {"integer", "number"}:
        return fragment("number")
    return None


def _plainly(found: list[Fragment | None]) -> Fragment | None:
    """Return None (any JSON) for the values of a dict, unless all are of one kind that JSON has not: settings vary."""
    common = _common(found)
    json_kinds = {"integer", "number", "string", "boolean", "list", "dict", "any"}
    return None if common is None or kind_of(common) in json_kinds else common
