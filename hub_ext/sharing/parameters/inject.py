"""Values become the source of the cell that is injected. This is the one way from what people type to code.

Nothing is pasted: each value goes through `source`, which writes literals of exact built-in types and calls of a few
known constructors, reached by `__import__` so that they work whatever the notebook imported.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hub_ext.errors import InvalidInput
from hub_ext.sharing.parameters.checks import check, choose
from hub_ext.sharing.parameters.kinds import kind_of
from hub_ext.sharing.parameters.model import EXTENSION, Fragment, MisfitError
from hub_ext.sharing.parameters.names import environment_name, is_name
from hub_ext.sharing.parameters.values import check_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DATETIME: Final = '__import__("datetime")'


@dataclass(frozen=True)
class Injection:
    """What puts the values of a run into a notebook.

    Attributes:
        source: Python source of the cell to inject, a line for each value; empty if there are none. Holds no secret.
        secrets: Name of the environment variable that the cell reads, by name of each secret parameter.
    """

    source: str
    secrets: dict[str, str] = field(default_factory=dict)


def injection(schema: dict[str, Any], values: Mapping[str, Any]) -> Injection:
    """Return the cell that sets values.

    Args:
        schema: The stored schema of the version.
        values: As :func:`hub_ext.sharing.parameters.validate` returned them.

    Raises:
        InvalidInput: The schema is not one of ours, or a value does not fit it.
    """
    check_schema(schema)
    lines: list[str] = []
    secrets: dict[str, str] = {}
    for name, fragment in schema["properties"].items():
        if name not in values:
            continue
        try:
            value = check(fragment, values[name])
        except MisfitError as error:
            raise InvalidInput.of(f"parameters.{name}", str(error)) from None
        if kind_of(fragment) == "secret" and value is not None:
            secrets[name] = environment_name(name)
            lines.append(f"{name} = {_secret(fragment, secrets[name])}")
        else:
            lines.append(f"{name} = {source(fragment, value)}")
    return Injection("\n".join(lines), secrets)


def _secret(fragment: Fragment, variable: str) -> str:
    text = f'__import__("os").environ[{variable!r}]'
    return f'__import__("pydantic").SecretStr({text})' if fragment[EXTENSION].get("class") == "pydantic" else text


def source(fragment: Fragment, value: Any) -> str:
    """Return the Python expression of a value that `check` returned.

    Raises:
        TypeError: It is of a type that is never written.
    """
    return "None" if value is None else _SOURCES[kind_of(fragment)](fragment, value)


def _literal(_fragment: Fragment, value: Any) -> str:
    """Return a literal of exact built-in types: a subclass could write anything as its repr."""
    if type(value) is list:
        return f"[{', '.join(_literal(_fragment, item) for item in value)}]"
    if type(value) is dict:
        pairs = (f"{_literal(_fragment, key)}: {_literal(_fragment, item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if value is not None and type(value) not in (bool, int, float, str):
        raise TypeError(f"no literal for {type(value).__name__}")
    if type(value) is float and not math.isfinite(value):
        raise TypeError("no literal for a number that is not finite")
    return repr(value)


def _date(_fragment: Fragment, value: Any) -> str:
    day = dt.date.fromisoformat(value)
    return f"{_DATETIME}.date({day.year}, {day.month}, {day.day})"


def _datetime(_fragment: Fragment, value: Any) -> str:
    moment = dt.datetime.fromisoformat(value)
    return f"{_DATETIME}.datetime.fromisoformat({moment.isoformat()!r})"


def _time(_fragment: Fragment, value: Any) -> str:
    moment = dt.time.fromisoformat(value)
    return f"{_DATETIME}.time.fromisoformat({moment.isoformat()!r})"


def _timedelta(_fragment: Fragment, value: Any) -> str:
    span = dt.timedelta(seconds=value)
    return f"{_DATETIME}.timedelta({span.days}, {span.seconds}, {span.microseconds})"


def _decimal(_fragment: Fragment, value: Any) -> str:
    return f'__import__("decimal").Decimal({str(decimal.Decimal(value))!r})'


def _path(_fragment: Fragment, value: Any) -> str:
    return f'__import__("pathlib").Path({_literal(_fragment, value)})'


def _enum(fragment: Fragment, value: Any) -> str:
    name = fragment[EXTENSION]["enum_class"]
    if not is_name(name):
        raise TypeError("no name of a class")
    key = _literal(fragment, value)
    return f"{name}[{key}]" if fragment[EXTENSION].get("enum_by") == "name" else f"{name}({key})"


def _list(fragment: Fragment, value: Any) -> str:
    parts = fragment.get("prefixItems") or [fragment["items"]] * len(value)
    items = [source(part, item) for part, item in zip(parts, value, strict=True)]
    inside = ", ".join(items)
    collection = fragment[EXTENSION].get("collection", "list")
    if collection == "list":
        return f"[{inside}]"
    if collection == "tuple":
        return f"({inside},)" if len(items) == 1 else f"({inside})"
    braces = f"{{{inside}}}" if items else "{*()}"  # `set()` may be hidden by a parameter of that name
    return braces if collection == "set" else f'__import__("builtins").frozenset({braces})'


def _dict(fragment: Fragment, value: Any) -> str:
    part = fragment["additionalProperties"]
    pairs = (f"{_literal(fragment, key)}: {source(part, item)}" for key, item in value.items())
    return f"{{{', '.join(pairs)}}}"


def _union(fragment: Fragment, value: Any) -> str:
    branch, own = choose(fragment, value)
    return source(branch, own)


_SOURCES: Final[dict[str, Callable[[Fragment, Any], str]]] = {
    **dict.fromkeys(("integer", "number", "string", "boolean", "choice", "any"), _literal),
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "timedelta": _timedelta,
    "decimal": _decimal,
    "path": _path,
    "enum": _enum,
    "list": _list,
    "dict": _dict,
    "union": _union,
}
