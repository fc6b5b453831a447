"""What a browser sends for the form of a workflow becomes JSON values.

What cannot be read stays text, so that `validate` names it.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any, Final

from hub_ext.sharing.parameters.kinds import branches, is_nullable, kind_of
from hub_ext.sharing.parameters.model import EXTENSION, Fragment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INTEGER: Final = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_TRUE: Final = frozenset({"on", "true", "1", "yes"})
_FALSE: Final = frozenset({"", "off", "false", "0", "no"})
_ABSENT: Final = object()


def from_form(schema: dict[str, Any], fields: Mapping[str, list[str]], *, complete: bool = True) -> dict[str, Any]:
    """Return the JSON values that a form means, for :func:`hub_ext.sharing.parameters.validate`.

    Args:
        schema: The stored schema of the version.
        fields: The texts of each field, by name of the parameter. Names that begin with ``_`` (a form's own) are
            passed over; any other that is no parameter is kept, so that `validate` names it.
        complete: The form had a field for each parameter, so that a checkbox without a value is false. Off for a part
            of them, as on a command line.

    Returns:
        Values by name. A field left empty is null where the parameter has null, the empty text where it is text with
        a default, and otherwise left out, so that its default counts.
    """
    result: dict[str, Any] = {}
    for name, fragment in schema["properties"].items():
        texts = fields.get(name, [])
        value = _field(fragment, texts, required=name in schema["required"], complete=complete)
        if value is not _ABSENT:
            result[name] = value
    others = {name: texts for name, texts in fields.items() if name not in schema["properties"]}
    return result | {name: texts[-1] if texts else "" for name, texts in others.items() if not name.startswith("_")}


def _field(fragment: Fragment, texts: list[str], *, required: bool, complete: bool) -> Any:
    kind = kind_of(fragment)
    if not texts:
        plain_box = kind == "boolean" and not is_nullable(fragment) and "computed" not in fragment[EXTENSION]
        if complete and plain_box:
            return False
        if complete and kind == "list" and kind_of(fragment.get("items") or fragment) in ("choice", "enum"):
            return []  # nothing chosen of several
        return _ABSENT
    if kind == "list" and (len(texts) > 1 or kind_of(fragment.get("items") or fragment) in ("choice", "enum")):
        return _several(fragment, texts)
    text = texts[-1]
    if not text.strip():
        return _empty(fragment, text, required=required)
    return _READERS[kind](fragment, text)


def _empty(fragment: Fragment, text: str, *, required: bool) -> Any:
    kind = kind_of(fragment)
    if "computed" in fragment[EXTENSION] or kind == "secret":
        return _ABSENT
    if "" in fragment.get("enum", ()):
        return ""
    if is_nullable(fragment):
        return None
    if kind == "string" and not required:
        return _string(fragment, text)
    return False if kind == "boolean" else _ABSENT


def _several(fragment: Fragment, texts: list[str]) -> Any:
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        return _json(fragment, texts[0])
    parts = fragment.get("prefixItems") or [fragment["items"]] * len(texts)
    if len(parts) != len(texts):
        return texts
    return [_READERS[kind_of(part)](part, text) for part, text in zip(parts, texts, strict=True)]


def _string(_fragment: Fragment, text: str) -> str:
    return text.replace("\r\n", "\n")  # as browsers send the lines of a text area


def _trimmed(_fragment: Fragment, text: str) -> str:
    return text.strip()


def _number(_fragment: Fragment, text: str) -> Any:
    trimmed = text.strip()
    if _INTEGER.fullmatch(trimmed):
        return int(trimmed)
    return float(trimmed) if _NUMBER.fullmatch(trimmed) else text


def _boolean(_fragment: Fragment, text: str) -> Any:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else text


def _datetime(fragment: Fragment, text: str) -> str:
    """Return a time; a browser's has no zone, so that where one is required it is read as UTC."""
    trimmed = text.strip()
    if fragment[EXTENSION].get("zone") == "required":
        try:
            if dt.datetime.fromisoformat(trimmed).tzinfo is None:
                return trimmed + "+00:00"
        except ValueError:
            return trimmed
    return trimmed


def _choice(fragment: Fragment, text: str) -> Any:
    for choice in fragment["enum"]:
        if choice == text or (not isinstance(choice, str) and json.dumps(choice) == text.strip().lower()):
            return choice
    return text


def _json(_fragment: Fragment, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _union(fragment: Fragment, text: str) -> Any:
    """Return JSON where it is meant as such, else the text: `5` of `int | str` is a number, `abc` is text."""
    kinds = {kind_of(branch) for branch in branches(fragment)}
    value = _json(fragment, text)
    wanted = {
        bool: {"boolean", "choice"},
        int: {"integer", "number", "timedelta", "choice"},
        float: {"integer", "number", "timedelta"},
        list: {"list"},
        dict: {"dict"},
        str: kinds,
    }
    return value if kinds & wanted.get(type(value), set()) else _string(fragment, text)


_READERS: Final[dict[str, Callable[[Fragment, str], Any]]] = {
    **dict.fromkeys(("integer", "number", "timedelta"), _number),
    **dict.fromkeys(("date", "time", "decimal"), _trimmed),
    **dict.fromkeys(("string", "path", "secret"), _string),
    **dict.fromkeys(("list", "dict", "any"), _json),
    "boolean": _boolean,
    "datetime": _datetime,
    "choice": _choice,
    "enum": _choice,
    "union": _union,
}
