"""Defaults as JSON: a Python value, as the cell has it, becomes what the schema stores."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import pathlib
from typing import TYPE_CHECKING, Any, Final

from hub_ext.sharing.parameters.checks import choose
from hub_ext.sharing.parameters.kinds import LIMIT, WORDS, branches, is_nullable, is_storable, kind_of
from hub_ext.sharing.parameters.literals import SecretDefault
from hub_ext.sharing.parameters.model import EXTENSION, Fragment, MisfitError, UnwritableError
from hub_ext.sharing.parameters.scope import EnumMember

if TYPE_CHECKING:
    from collections.abc import Callable


_TYPES: Final = {pathlib.PurePosixPath: "Path", EnumMember: "Enum"}


def encode(schema: Fragment, value: Any) -> Any:
    """Return a default as JSON.

    Args:
        schema: Fragment that it has to fit.
        value: What the cell sets.

    Raises:
        MisfitError: Its type is another than the annotation's.
        UnwritableError: It fits, and JSON has no way to write it.
    """
    if value is None and is_nullable(schema):
        return None
    return _ENCODERS[kind_of(schema)](schema, value)


def _wrong(schema: Fragment) -> MisfitError:
    if "enum" in schema:
        return MisfitError(f"has a default that is none of its choices: {', '.join(map(str, schema['enum'][:20]))}")
    return MisfitError(f"has a default that does not fit its type, which is {WORDS[kind_of(schema)]}")


def _exact(*types: type) -> Callable[[Fragment, Any], Any]:
    def check(schema: Fragment, value: Any) -> Any:
        if type(value) not in types:
            raise _wrong(schema)
        return _plain(value)

    return check


def _plain(value: Any) -> Any:
    """Return a value that JSON has, down to its last item, unchanged."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if any(type(key) is not str for key in value):
            raise UnwritableError("keys that are not text")
        return {_plain(key): _plain(item) for key, item in value.items()}
    if value is not None and type(value) not in (bool, int, float, str):
        if isinstance(value, SecretDefault):
            raise MisfitError("holds a secret among other values; give the secret a parameter of its own")
        raise UnwritableError(f"a value of the type {_TYPES.get(type(value), type(value).__name__)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UnwritableError("a number that is not finite")
    if isinstance(value, int) and abs(value) > LIMIT:
        raise MisfitError(f"has a default beyond ±{LIMIT:,}; write a smaller number")
    if isinstance(value, str) and not is_storable(value):
        raise MisfitError("has a default with a NUL or half of a character in it; write plain text")
    return value


def _text(*types: type, convert: Callable[[Any], Any] = str) -> Callable[[Fragment, Any], Any]:
    def check(schema: Fragment, value: Any) -> Any:
        if type(value) not in types:
            raise _wrong(schema)
        return _plain(convert(value))

    return check


def _decimal(schema: Fragment, value: Any) -> str:
    if type(value) is not decimal.Decimal:
        raise _wrong(schema)
    if not value.is_finite():
        raise UnwritableError("a number that is not finite")
    return str(value)


def _seconds(value: dt.timedelta) -> int | float:
    seconds = value.total_seconds()
    if dt.timedelta(seconds=seconds) != value:
        raise UnwritableError("a span of time too long for its microseconds")
    return int(seconds) if seconds.is_integer() else seconds


def _secret(schema: Fragment, value: Any) -> Any:
    if not isinstance(value, SecretDefault) and type(value) is not str:
        raise _wrong(schema)
    raise UnwritableError("a secret")


def _member(schema: Fragment, value: Any) -> Any:
    same = isinstance(value, EnumMember) and value.fragment[EXTENSION]["enum_class"] == schema[EXTENSION]["enum_class"]
    if not same:
        raise _wrong(schema)
    return value.value


def _choice(schema: Fragment, value: Any) -> Any:
    if not any(type(choice) is type(value) and choice == value for choice in schema["enum"]):
        raise _wrong(schema)
    return value


def _list(schema: Fragment, value: Any) -> Any:
    collection = schema[EXTENSION].get("collection", "list")
    if type(value).__name__ != collection:
        raise _wrong(schema)
    parts = schema.get("prefixItems")
    if parts is None:
        # The order of a set of texts changes from process to process; the schema of a version does not.
        ordered = (
            value if collection in ("list", "tuple") else sorted(value, key=lambda item: (str(type(item)), str(item)))
        )
        return [encode(schema["items"], item) for item in ordered]
    if len(parts) != len(value):
        raise MisfitError(f"has a default with {len(value)} items and an annotation with {len(parts)}")
    return [encode(part, item) for part, item in zip(parts, value, strict=True)]


def _dict(schema: Fragment, value: Any) -> Any:
    if type(value) is not dict:
        raise _wrong(schema)
    if any(type(key) is not str for key in value):
        raise UnwritableError("keys that are not text")
    return {_plain(key): encode(schema["additionalProperties"], item) for key, item in value.items()}


def _any(_schema: Fragment, value: Any) -> Any:
    return _plain(value)


def _union(schema: Fragment, value: Any) -> Any:
    for branch in branches(schema):
        try:
            encoded = encode(branch, value)
        except MisfitError:
            continue
        if choose(schema, encoded)[0] is not branch:
            raise UnwritableError("text that reads as another of its types")
        return encoded
    raise MisfitError("has a default that is of none of the types of its annotation")


_ENCODERS: Final[dict[str, Callable[[Fragment, Any], Any]]] = {
    "integer": _exact(int),
    "number": _exact(int, float),
    "decimal": _decimal,
    "timedelta": _text(dt.timedelta, convert=_seconds),
    "string": _exact(str),
    "boolean": _exact(bool),
    "date": _text(dt.date, convert=dt.date.isoformat),
    "datetime": _text(dt.datetime, convert=dt.datetime.isoformat),
    "time": _text(dt.time, convert=dt.time.isoformat),
    "path": _text(pathlib.PurePosixPath),
    "secret": _secret,
    "choice": _choice,
    "enum": _member,
    "list": _list,
    "dict": _dict,
    "any": _any,
    "union": _union,
}
