"""A form's fields from the JSON Schema of a version, and its values back from what a browser sent. Pure.

Names of fields: ``p.<name>`` is a parameter as `from_form` reads it; ``l.<name>`` a list, typed one item a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any

from hub_ext.errors import Problem
from hub_ext.sharing.parameters import from_form
from hub_ext.sharing.parameters.kinds import is_nullable, kind_of
from hub_ext.sharing.parameters.model import EXTENSION
from hub_ext.web.pages.hints import hints, is_computed

PARAMETER, LINES = "p.", "l."

_MOST_RADIOS = 4
_RADIO_TEXT = 48  # characters of all choices together that still fit beside each other
_MOST_BOXES = 12
_MULTILINE = 120  # characters of a text from which on it gets several lines
_LINE_KINDS = {"string", "path", "integer", "number", "decimal", "date"}
_NUMBER_KINDS = {"integer", "number", "timedelta"}
_FLOAT = re.compile(r"-?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # what an input of the type number can hold


@dataclass(frozen=True)
class Choice:
    """One choice of a field."""

    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True)
class Field:
    """One field of a form, ready for its template.

    Attributes:
        name: Name that the browser sends it under.
        id: Its id in the page.
        label: What it is called.
        widget: Type of an `input`, or ``select``, ``radio``, ``checkboxes``, ``textarea``.
        value: Text in it.
        hints: Help, bounds and what happens when it is left empty; sentences.
        unit: Unit behind the field.
        mark: A word beside the label: ``optional`` or ``needed``.
        required: Whether the browser insists on it.
        error: What is wrong with what was typed.
        choices: For widgets with choices.
        checked: For a checkbox.
        attributes: More attributes of the `input`.
        rows: Lines of a text area.
        code: Whether it holds JSON.
        stacked: Whether its choices stand below each other.
        shown_for: ``name=value`` of the choice that it belongs to; it is shown with that alone.
    """

    name: str
    id: str
    label: str
    widget: str = "text"
    value: str = ""
    hints: tuple[str, ...] = ()
    unit: str = ""
    mark: str = ""
    required: bool = False
    error: str = ""
    choices: tuple[Choice, ...] = ()
    checked: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 3
    code: bool = False
    stacked: bool = False
    shown_for: str = ""


def fields(
    schema: dict[str, Any],
    *,
    typed: Mapping[str, list[str]] | None = None,
    values: Mapping[str, Any] | None = None,
    problems: Iterable[Problem] = (),
) -> list[Field]:
    """Return the fields for a version's parameters.

    Args:
        schema: Its stored schema.
        typed: What a browser sent for this form; it is kept as it was typed, except for secrets.
        values: JSON values to begin with (of an earlier run); defaults fill in the rest.
        problems: What is wrong with what was typed.
    """
    errors: dict[str, str] = {}
    for problem in problems:
        errors.setdefault(problem.field.removeprefix("parameters."), problem.message)
    made = []
    order = sorted(schema["properties"].items(), key=lambda item: item[1][EXTENSION].get("order", 0))
    for name, fragment in order:
        one = _field(name, fragment, required=name in schema["required"])
        value = (values or {}).get(name, fragment.get("default"))
        given = name in (values or {}) or "default" in fragment
        one = _begin(one, fragment, value if given else None)
        if typed is not None:
            one = _keep(one, fragment, typed)
        made.append(replace(one, error=errors.get(name, "")))
    return made


def read(schema: dict[str, Any], typed: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the JSON values that a browser's form means; `validate` says what is wrong with them.

    Args:
        schema: The stored schema.
        typed: All fields of the form.
    """
    texts = {name.removeprefix(PARAMETER): found for name, found in typed.items() if name.startswith(PARAMETER)}
    for name, found in typed.items():
        if not name.startswith(LINES):
            continue
        parameter = name.removeprefix(LINES)
        fragment = schema["properties"].get(parameter, {})
        texts[parameter] = [_lines_as_json(fragment, found[-1], required=parameter in schema["required"])]
    return from_form(schema, texts)


def field_id(name: str) -> str:
    """Return the id, in the page, of the field of a parameter."""
    return f"p-{name}"


# --- what a parameter looks like --------------------------------------------------------------------------------------


def _field(name: str, fragment: dict[str, Any], *, required: bool) -> Field:
    optional = is_nullable(fragment) or is_computed(fragment)
    widget = _widget(fragment, required=required)
    prefix = LINES if widget == "lines" else PARAMETER
    return Field(
        name=prefix + name,
        id=field_id(name),
        label=str(fragment.get("title") or name),
        widget="textarea" if widget in ("lines", "json") else widget,
        hints=tuple(hints(fragment, widget)),
        unit=str(fragment[EXTENSION].get("unit", "")),
        mark="needed" if required else ("optional" if optional else ""),
        required=required and widget not in ("checkbox", "checkboxes", "radio"),
        attributes=_attributes(fragment, widget),
        code=widget == "json",
    )


def _widget(fragment: dict[str, Any], *, required: bool) -> str:
    kind = kind_of(fragment)
    if kind in ("choice", "enum"):
        return _choice_widget(fragment, required=required)
    if kind == "boolean":
        return "select" if is_nullable(fragment) or is_computed(fragment) else "checkbox"
    if kind == "list":
        return _list_widget(fragment)
    if kind == "string":
        long = fragment[EXTENSION].get("multiline") or len(str(fragment.get("default") or "")) > _MULTILINE
        return "textarea" if long else "text"
    plain = {"date": "date", "secret": "password", "dict": "json", "time": "time"}
    if kind == "datetime":
        return "text" if fragment[EXTENSION].get("zone") == "any" else "datetime-local"
    return "number" if kind in _NUMBER_KINDS else plain.get(kind, "text")


def _choice_widget(fragment: dict[str, Any], *, required: bool) -> str:
    choices = [str(choice) for choice in fragment["enum"] if choice is not None]
    few = len(choices) <= _MOST_RADIOS and sum(map(len, choices)) <= _RADIO_TEXT
    always_one = not required and not is_nullable(fragment) and not is_computed(fragment)
    return "radio" if few and always_one else "select"


def _list_widget(fragment: dict[str, Any]) -> str:
    items = fragment.get("items")
    if items is None or "prefixItems" in fragment:
        return "json"
    kind = kind_of(items)
    if kind in ("choice", "enum") and not is_nullable(items):
        few = len(items["enum"]) <= _MOST_BOXES and not is_nullable(fragment) and not is_computed(fragment)
        return "checkboxes" if few else "json"
    default = fragment.get("default") or []
    plain = kind in _LINE_KINDS and not is_nullable(items) and all(_fits_a_line(item) for item in default)
    return "lines" if plain else "json"


def _fits_a_line(item: Any) -> bool:
    return not isinstance(item, str) or (item == item.strip() and item != "" and len(item.splitlines()) == 1)


def _attributes(fragment: dict[str, Any], widget: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kind = kind_of(fragment)
    if widget == "number":
        found = {"min": fragment.get("minimum"), "max": fragment.get("maximum")}
        found["step"] = fragment.get("multipleOf", 1 if kind == "integer" else "any")
        found["inputmode"] = "numeric" if kind == "integer" else "decimal"
    elif widget == "date":
        found = {"min": fragment[EXTENSION].get("minimum"), "max": fragment[EXTENSION].get("maximum")}
    elif widget in ("time", "datetime-local"):
        found = {"step": 1}
    elif widget in ("text", "password"):
        found = {"minlength": fragment.get("minLength"), "maxlength": fragment.get("maxLength")}
        if kind in ("path", "decimal", "union", "any", "datetime"):
            found |= {"spellcheck": "false", "autocapitalize": "off"}
    falls_back = widget in ("text", "number") and kind != "string" and fragment.get("default") is not None
    if falls_back and not is_nullable(fragment) and not is_computed(fragment):
        found["placeholder"] = f"{fragment['default']}"  # what counts when it is left empty
    return {name: value for name, value in found.items() if value is not None}


# --- what is in it ----------------------------------------------------------------------------------------------------


def _begin(one: Field, fragment: dict[str, Any], value: Any) -> Field:
    """Return a field with a JSON value in it; None for an empty one."""
    if one.widget == "password":
        return one
    if one.widget == "checkbox":
        return replace(one, checked=value is True)
    if one.widget in ("select", "radio"):
        return replace(one, choices=_choices(one, fragment, None if value is None else _choice_text(value)))
    if one.widget == "checkboxes":
        chosen = {_choice_text(item) for item in value or ()}
        return replace(one, choices=_boxes(fragment, chosen))
    return _with_text(one, fragment, _text(one, fragment, value))


def _keep(one: Field, fragment: dict[str, Any], typed: Mapping[str, list[str]]) -> Field:
    """Return a field with what was typed into it."""
    texts = typed.get(one.name, [])
    if one.widget == "password":
        return one
    if one.widget == "checkbox":
        return replace(one, checked=bool(texts) and texts[-1].lower() in ("on", "true", "1", "yes"))
    if one.widget == "checkboxes":
        return replace(one, choices=_boxes(fragment, set(texts)))
    if not texts:
        return one
    if one.widget in ("select", "radio"):
        return replace(one, choices=_choices(one, fragment, texts[-1]))
    return _with_text(one, fragment, texts[-1].replace("\r\n", "\n"))


def _with_text(one: Field, fragment: dict[str, Any], text: str) -> Field:
    """Return a field with a text; where a picker cannot hold it, as a plain one, so that nothing typed is lost."""
    if one.widget == "textarea":
        lines = text.count("\n") + len(text) // 80 + 1
        return replace(one, value=text, rows=min(12, max(3, lines + 1)))
    if text and not _holds(one.widget, text):
        return replace(one, value=text, widget="text", attributes={"spellcheck": "false"})
    if kind_of(fragment) == "string" and "\n" in text:
        return replace(one, value=text, widget="textarea", attributes={})
    return replace(one, value=text)


def _holds(widget: str, text: str) -> bool:
    """Return whether a browser's input can show a text at all."""
    if widget == "number":
        return _FLOAT.fullmatch(text) is not None
    parsers: dict[str, Any] = {"date": date, "datetime-local": datetime, "time": time}
    if widget not in parsers:
        return True
    try:
        parsed = parsers[widget].fromisoformat(text)
    except ValueError:
        return False
    return getattr(parsed, "tzinfo", None) is None and not getattr(parsed, "microsecond", 0)


def _text(one: Field, fragment: dict[str, Any], value: Any) -> str:
    if value is None:
        return ""
    kind = kind_of(fragment)
    if one.name.startswith(LINES):
        if all(_fits_a_line(item) for item in value):
            return "\n".join(str(item) for item in value)
        return json.dumps(value, ensure_ascii=False)
    if kind in ("list", "dict"):
        return json.dumps(value, ensure_ascii=False, indent=2 if len(str(value)) > 60 else None)
    if kind in ("any", "union"):
        return value if isinstance(value, str) and not _is_json(value) else json.dumps(value, ensure_ascii=False)
    if one.widget == "datetime-local":
        return _without_zone(value)
    return str(value).removesuffix(".0") if kind in _NUMBER_KINDS else str(value)


def _without_zone(text: str) -> str:
    """Return a moment as its picker shows it: in UTC, where it has a zone."""
    moment = datetime.fromisoformat(text)
    return (moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment).isoformat()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _choice_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _choices(one: Field, fragment: dict[str, Any], chosen: str | None) -> tuple[Choice, ...]:
    listed = ["true", "false"] if kind_of(fragment) == "boolean" else [_choice_text(c) for c in fragment["enum"]]
    labels = {"true": "Yes", "false": "No"} if kind_of(fragment) == "boolean" else {"": "(empty)"}
    found = [Choice(text, labels.get(text, text), text == chosen) for text in listed if text != "null"]
    if one.widget == "select" and (one.required or one.mark == "optional") and "" not in listed:
        label = "Choose…" if one.required else "(worked out)" if is_computed(fragment) else "(none)"
        found.insert(0, Choice("", label, not chosen))
    return tuple(found)


def _boxes(fragment: dict[str, Any], chosen: set[str]) -> tuple[Choice, ...]:
    texts = [_choice_text(choice) for choice in fragment["items"]["enum"]]
    return tuple(Choice(text, text or "(empty)", text in chosen) for text in texts)


# --- and back ---------------------------------------------------------------------------------------------------------


def _lines_as_json(fragment: dict[str, Any], text: str, *, required: bool) -> str:
    """Return a list that was typed one item a line as JSON; JSON itself stays."""
    if text.lstrip().startswith("[") and _is_json(text):
        return text
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        empty = required or (fragment and (is_nullable(fragment) or is_computed(fragment)))
        return "" if empty else "[]"
    kind = kind_of(fragment["items"]) if fragment.get("items") else "string"
    return json.dumps([_number_or_text(line) if kind in ("integer", "number") else line for line in lines])


def _number_or_text(line: str) -> Any:
    try:
        value = json.loads(line)
    except ValueError:
        return line
    return value if type(value) in (int, float) else line
