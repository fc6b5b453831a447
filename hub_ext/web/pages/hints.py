"""What is said below a field of a form, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from hub_ext.sharing.parameters.kinds import is_nullable, kind_of
from hub_ext.sharing.parameters.model import EXTENSION


def is_computed(fragment: Mapping[str, Any]) -> bool:
    """Return whether the notebook works the value out where none is given."""
    return "computed" in fragment[EXTENSION]


def hints(fragment: dict[str, Any], widget: str) -> Iterable[str]:
    """Yield the sentences below a field: help, bounds, how to write it, and what happens when it is left empty.

    Args:
        fragment: JSON Schema of the parameter.
        widget: How it is shown.
    """
    if fragment.get("description"):
        yield _sentence(str(fragment["description"]))
    bounds = _bounds(fragment)
    if bounds:
        yield bounds
    if fragment.get("pattern"):
        yield f"Matches the pattern {fragment['pattern']}"
    shape = _shape(fragment, widget)
    if shape:
        yield shape
    computed = fragment[EXTENSION].get("computed")
    if computed is not None and kind_of(fragment) != "secret":
        yield f"Left empty, the notebook works it out: {computed}"
    elif computed is not None:
        yield "Left empty, the notebook's own is used."
    elif is_nullable(fragment) and widget != "select":
        yield "May be left empty."


def _sentence(text: str) -> str:
    return text if text[-1:] in ".!?…:" else f"{text}."


def _shape(fragment: dict[str, Any], widget: str) -> str:
    kind = kind_of(fragment)
    if kind == "datetime":
        zones = {"required": "In UTC.", "any": "Such as 2024-01-31T14:30:00+01:00; the zone may be left out."}
        return zones.get(fragment[EXTENSION].get("zone", "any"), "")
    if widget == "lines":
        return "One a line."
    if widget == "json" and kind == "list":
        return 'As JSON, such as ["a", "b"].'
    if kind == "dict":
        return 'As JSON, such as {"a": 1}.'
    if kind == "secret":
        return "It is kept out of the notebook, the report and the log, and deleted when the run ends."
    if kind == "any":
        return "A number, a text, or JSON."
    return ""


def _bounds(fragment: dict[str, Any]) -> str:
    unit = f" {fragment[EXTENSION]['unit']}" if fragment[EXTENSION].get("unit") else ""
    if kind_of(fragment) == "date":
        low, high = (_day(fragment[EXTENSION].get(name)) for name in ("minimum", "maximum"))
    else:
        low, high = (_number(fragment.get(name)) for name in ("minimum", "maximum"))
    above, below = (_number(fragment.get(name)) for name in ("exclusiveMinimum", "exclusiveMaximum"))
    if low and high:
        return f"From {low} to {high}{unit}."
    parts = [
        f"more than {above}" if above else (f"at least {low}" if low else ""),
        f"less than {below}" if below else (f"at most {high}" if high else ""),
    ]
    words = " and ".join(part for part in parts if part)
    return f"{words[0].upper()}{words[1:]}{unit}." if words else _lengths(fragment)


def _lengths(fragment: dict[str, Any]) -> str:
    for low, high, noun in (("minItems", "maxItems", "items"), ("minLength", "maxLength", "characters")):
        if kind_of(fragment) in ("path", "secret") or (low not in fragment and high not in fragment):
            continue
        if low in fragment and high in fragment:
            return f"From {fragment[low]} to {fragment[high]} {noun}."
        return f"At least {fragment[low]} {noun}." if low in fragment else f"At most {fragment[high]:,} {noun}."
    return ""


def _number(value: Any) -> str:
    return "" if value is None else (f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value}")


def _day(value: Any) -> str:
    return f"{date.fromisoformat(value):%-d %B %Y}" if value else ""
