"""Whether a JSON value fits a fragment, by kind; what is wrong is said in words for analysts."""

from __future__ import annotations

import datetime as dt
import decimal
import difflib
import functools
import json
import math
import operator
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import ValidationError

from hub_ext.sharing.parameters.constraints import matcher
from hub_ext.sharing.parameters.kinds import LIMIT, WORDS, branches, is_nullable, is_storable, kind_of
from hub_ext.sharing.parameters.model import EXTENSION, Fragment, MisfitError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH: Final = 32
MAX_ITEMS: Final = 100_000
MAX_SHOWN: Final = 20  # choices in a message

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CLOCK: Final = r"\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"
_TIME: Final = re.compile(_CLOCK, re.ASCII)
_DATETIME: Final = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}[T ]{_CLOCK}(?P<zone>Z|[+-]\d{{2}}:\d{{2}})?", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d{1,60}(?:\.\d{0,60})?|\.\d{1,60})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_SECONDS: Final = dt.timedelta.max.total_seconds() - 1

_LIMITS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", operator.ge, "must be at least"),
    ("exclusiveMinimum", operator.gt, "must be more than"),
    ("maximum", operator.le, "must be at most"),
    ("exclusiveMaximum", operator.lt, "must be less than"),
)


def check(schema: Fragment, value: Any) -> Any:
    """Return a JSON value as it is stored and injected.

    A number without a fraction (``5.0``) is a whole number, as in JSON Schema; ``true`` never is a number.

    Args:
        schema: Fragment of one value.
        value: JSON, already screened (:func:`screen`).

    Raises:
        MisfitError: It does not fit; the text is the end of a sentence.
    """
    if value is None:
        if is_nullable(schema):
            return None
        raise MisfitError(f"must be {WORDS.get(kind_of(schema), 'one of its choices')}, not empty (null)")
    return _CHECKS[kind_of(schema)](schema, value)


def screen(value: Any) -> int:
    """Look through a value, without recursion, for what is no JSON or could do harm.

    Returns:
        Bytes of text in it.

    Raises:
        MisfitError: It holds some.
    """
    size = count = 0
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise MisfitError(f"is nested more than {MAX_DEPTH} levels deep")
        if count > MAX_ITEMS:
            raise MisfitError(f"holds more than {MAX_ITEMS:,} values")
        if type(item) is str:
            size += _text_size(item)
        elif type(item) is list:
            waiting += [(part, depth + 1) for part in item]
        elif type(item) is dict:
            waiting += [(key, depth) for key in item]
            waiting += [(part, depth + 1) for part in item.values()]
            if not all(type(key) is str for key in item):
                raise MisfitError("holds a key that is not text")
        elif item is not None and type(item) not in (bool, int, float):
            raise MisfitError(f"holds a value of the type {type(item).__name__[:40]}, which JSON does not have")
    return size


def _text_size(text: str) -> int:
    if not is_storable(text):
        raise MisfitError("holds a character that cannot be stored (NUL, or half of a character)")
    return len(text.encode())


def shown(value: Any) -> str:
    """Return a value as a short piece of JSON for a message."""
    text = (
        "a very large number" if type(value) is int and abs(value) > 10**40 else json.dumps(value, ensure_ascii=False)
    )
    return text if len(text) <= 40 else text[:39] + "…"


def nearest(word: str, words: list[str]) -> str:
    """Return a suggestion for a word that is none of the words, or nothing."""
    close = difflib.get_close_matches(word[:100], words, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _wrong(schema: Fragment, value: Any) -> MisfitError:
    told = "" if kind_of(schema) == "secret" else f", not {shown(value)}"
    return MisfitError(f"must be {WORDS[kind_of(schema)]}{told}")


def _within(schema: Fragment, number: Any, convert: Callable[[Any], Any] = lambda bound: bound) -> None:
    unit = schema[EXTENSION].get("unit")
    for keyword, holds, words in _LIMITS:
        if keyword in schema and not holds(number, convert(schema[keyword])):
            raise MisfitError(f"{words} {schema[keyword]}{f' {unit}' if unit else ''}")
    step = schema.get("multipleOf")
    if step is not None and decimal.Decimal(str(number)) % decimal.Decimal(str(step)) != 0:
        raise MisfitError(f"must be a multiple of {step}")


def _integer(schema: Fragment, value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _wrong(schema, value if not isinstance(value, float) else _finite(value))
    if abs(value) > LIMIT:
        raise MisfitError(f"must be between -{LIMIT} and {LIMIT}")
    _within(schema, value)
    number: int = value
    return number


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise MisfitError("must be a finite number; NaN and Infinity are none, and a number may not be above 1.7e308")
    return value


def _number(schema: Fragment, value: Any) -> float:
    if type(value) not in (int, float):
        raise _wrong(schema, value)
    try:
        number = _finite(float(value))
    except OverflowError:
        number = _finite(math.inf)
    _within(schema, number)
    return number


def _timedelta(schema: Fragment, value: Any) -> int | float:
    seconds = _number(schema, value)
    if abs(seconds) > _SECONDS:
        raise MisfitError(f"must be between -{_SECONDS:.0f} and {_SECONDS:.0f} seconds")
    return int(seconds) if seconds.is_integer() else seconds


def _decimal(schema: Fragment, value: Any) -> str:
    if type(value) is not str or not _DECIMAL.fullmatch(value.strip()):
        raise _wrong(schema, value)
    number = decimal.Decimal(value.strip())
    _within(schema, number, lambda bound: decimal.Decimal(str(bound)))
    return str(number)


def _string(schema: Fragment, value: Any) -> str:
    if type(value) is not str:
        raise _wrong(schema, value)
    if len(value) < schema.get("minLength", 0):
        raise MisfitError(f"must have at least {_counted(schema['minLength'], 'character')}")
    if len(value) > schema.get("maxLength", len(value)):
        raise MisfitError(f"must have at most {_counted(schema['maxLength'], 'character')}")
    if "pattern" in schema and not _matches(schema["pattern"], value):
        raise MisfitError(f"must be text that matches the pattern {schema['pattern']}")
    return value


@functools.lru_cache(maxsize=256)
def _matcher(pattern: str) -> Any:
    return matcher(pattern)


def _matches(pattern: str, value: str) -> bool:
    try:
        _matcher(pattern).validate_python(value)
    except ValidationError:
        return False
    return True


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _boolean(schema: Fragment, value: Any) -> bool:
    if type(value) is not bool:
        raise _wrong(schema, value)
    return value


def _moment(schema: Fragment, value: Any, pattern: re.Pattern[str], parse: Callable[[str], Any]) -> Any:
    if type(value) is not str or not pattern.fullmatch(value):
        raise _wrong(schema, value)
    try:
        return parse(value)
    except ValueError:
        raise MisfitError(f"must exist, and {shown(value)} does not") from None


def _date(schema: Fragment, value: Any) -> str:
    text: str = _moment(schema, value, _DATE, dt.date.fromisoformat).isoformat()
    earliest, latest = schema[EXTENSION].get("minimum", text), schema[EXTENSION].get("maximum", text)
    if text < earliest:
        raise MisfitError(f"must be {earliest} or later")
    if text > latest:
        raise MisfitError(f"must be {latest} or earlier")
    return text


def _datetime(schema: Fragment, value: Any) -> str:
    moment: dt.datetime = _moment(schema, value, _DATETIME, dt.datetime.fromisoformat)
    zone = schema[EXTENSION].get("zone", "any")
    if zone == "required" and moment.tzinfo is None:
        raise MisfitError("must end with its time zone, such as 2024-01-31T14:30:00+01:00, or Z for UTC")
    if zone == "none" and moment.tzinfo is not None:
        raise MisfitError("must be without a time zone, such as 2024-01-31T14:30:00")
    return moment.isoformat()


def _time(schema: Fragment, value: Any) -> str:
    moment: dt.time = _moment(schema, value, _TIME, dt.time.fromisoformat)
    return moment.isoformat()


def _choice(schema: Fragment, value: Any) -> Any:
    if type(value) is float and value.is_integer():
        value = int(value)
    choices = [choice for choice in schema["enum"] if choice is not None]
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    listed = ", ".join(str(choice) for choice in choices[:MAX_SHOWN]) + (", …" if len(choices) > MAX_SHOWN else "")
    close = nearest(value, [choice for choice in choices if isinstance(choice, str)]) if isinstance(value, str) else ""
    raise MisfitError(f"choose one of: {listed}{close}")


def _sized(schema: Fragment, count: int, names: tuple[str, str], noun: str) -> None:
    low, high = names
    if count < schema.get(low, 0):
        raise MisfitError(f"must have at least {_counted(schema[low], noun)}")
    if count > schema.get(high, count):
        raise MisfitError(f"must have at most {_counted(schema[high], noun)}")


def _list(schema: Fragment, value: Any) -> list[Any]:
    if type(value) is not list:
        raise _wrong(schema, value)
    _sized(schema, len(value), ("minItems", "maxItems"), "item")
    parts = schema.get("prefixItems") or [schema["items"]] * len(value)
    result = [
        _inside(f"item {number}", part, item) for number, (part, item) in enumerate(zip(parts, value, strict=True), 1)
    ]
    if schema.get("uniqueItems"):
        _unique(result)
    return result


def _unique(items: list[Any]) -> None:
    seen: set[str] = set()
    for number, item in enumerate(items, 1):
        if type(item) is dict:
            raise MisfitError(f"item {number} must be plain text, a number, or true or false")
        key = json.dumps(item, sort_keys=True)
        if key in seen:
            raise MisfitError(f"item {number} ({shown(item)}) is there twice")
        seen.add(key)


def _dict(schema: Fragment, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _wrong(schema, value)
    _sized(schema, len(value), ("minProperties", "maxProperties"), "entry")
    part = schema["additionalProperties"]
    return {key: _inside(f"“{key[:40]}”", part, item) for key, item in value.items()}


def _inside(where: str, schema: Fragment, value: Any) -> Any:
    try:
        return check(schema, value)
    except MisfitError as error:
        raise MisfitError(f"{where} {error}") from None


def _any(schema: Fragment, value: Any) -> Any:
    if "type" in schema and type(value) in (list, dict):
        raise MisfitError("must be plain text, a number, or true or false")
    if type(value) is list:
        return [_any({}, item) for item in value]
    if type(value) is dict:
        return {key: _any({}, item) for key, item in value.items()}
    if type(value) is float:
        return _finite(value)
    if type(value) is int and abs(value) > LIMIT:
        raise MisfitError(f"must have whole numbers between -{LIMIT} and {LIMIT} only")
    return value


def choose(schema: Fragment, value: Any) -> tuple[Fragment, Any]:
    """Return the part of a union that a value is of, and the value as that part has it.

    Parts are tried in the order in which they are written, but text last, since a date is text too, and a number first
    as what it is written as (5 as a whole number, 5.0 not).

    Raises:
        MisfitError: It is of none.
    """
    late = {"string": 2, "path": 2, "integer" if type(value) is float else "number": 1}
    problems: list[str] = []
    for branch in sorted(branches(schema), key=lambda part: late.get(kind_of(part), 0)):
        try:
            return branch, check(branch, value)
        except MisfitError as error:
            problems.append(str(error))
    raise MisfitError(" or ".join(dict.fromkeys(problems)))


def _union(schema: Fragment, value: Any) -> Any:
    return choose(schema, value)[1]


_CHECKS: Final[dict[str, Callable[[Fragment, Any], Any]]] = {
    "integer": _integer,
    "number": _number,
    "decimal": _decimal,
    "timedelta": _timedelta,
    "string": _string,
    "path": _string,
    "secret": _string,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "choice": _choice,
    "enum": _choice,
    "list": _list,
    "dict": _dict,
    "any": _any,
    "union": _union,
}
