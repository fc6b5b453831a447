"""What stands beside the type in `Annotated[…]`: bounds, lengths, patterns and words for the form."""

from __future__ import annotations

import ast
import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import SchemaError, SchemaValidator, core_schema

from hub_ext.sharing.parameters.kinds import NUMERIC, is_storable, kind_of
from hub_ext.sharing.parameters.model import EXTENSION, Fragment, MisfitError, NeedsRunningError, written

if TYPE_CHECKING:
    from hub_ext.sharing.parameters.literals import Literals
    from hub_ext.sharing.parameters.scope import Scope

MAX_PATTERN: Final = 500

_CALLS: Final[dict[str, tuple[str, ...]]] = {  # what is understood → its arguments by position
    "pydantic.Field": ("default",),
    "pydantic.StringConstraints": (),
    "annotated_types.Ge": ("ge",),
    "annotated_types.Gt": ("gt",),
    "annotated_types.Le": ("le",),
    "annotated_types.Lt": ("lt",),
    "annotated_types.Interval": (),
    "annotated_types.MultipleOf": ("multiple_of",),
    "annotated_types.MinLen": ("min_length",),
    "annotated_types.MaxLen": ("max_length",),
    "annotated_types.Len": ("min_length", "max_length"),
    "typing.Doc": ("description",),
}
BOUNDS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_LENGTHS: Final = {
    ("min_length", "string"): "minLength",
    ("max_length", "string"): "maxLength",
    ("min_length", "secret"): "minLength",
    ("max_length", "secret"): "maxLength",
    ("min_length", "list"): "minItems",
    ("max_length", "list"): "maxItems",
    ("min_length", "dict"): "minProperties",
    ("max_length", "dict"): "maxProperties",
}
_WORDS: Final = {"title": "title", "description": "description", "documentation": "description"}
_WITHOUT_EFFECT: Final = frozenset({"examples", "repr", "frozen", "deprecated", "strict", "json_schema_extra"})


def apply(schema: Fragment, node: ast.expr, scope: Scope, literals: Literals) -> Fragment:
    """Return the schema with what one more item of `Annotated[…]` says.

    Raises:
        MisfitError: It is not understood, so that a bound its author relies on would not be checked.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {**schema, "description": _text("description", node.value)}
    name = scope.resolve(node.func) if isinstance(node, ast.Call) else ""
    if not isinstance(node, ast.Call) or name not in _CALLS or len(node.args) > len(_CALLS[name]):
        raise MisfitError(
            f"is annotated with `{written(node)}`, which is not known here; use Field(ge=…, le=…, "
            "min_length=…, max_length=…, pattern=…, description=…)"
        )
    words = dict(zip(_CALLS[name], node.args, strict=False))
    words |= {str(word.arg): word.value for word in node.keywords}
    for key, expression in words.items():
        try:
            value = literals.value(expression)
        except NeedsRunningError:
            value = ...
        schema = _one(schema, key, value)
    return schema


def _one(schema: Fragment, key: str, value: Any) -> Fragment:
    kind = kind_of(schema)
    if key in _WITHOUT_EFFECT or (value is None and key in (*BOUNDS, "min_length", "max_length", "pattern")):
        return schema
    if value is ...:
        raise MisfitError(f"has {key}= that is no literal; write the value itself")
    if key in _WORDS:
        return {**schema, _WORDS[key]: _text(key, value)}
    if key in BOUNDS and kind == "date":
        return _date_bound(schema, key, value)
    if key in BOUNDS and kind in NUMERIC:
        return {**schema, BOUNDS[key]: _number(key, value)}
    if (key, kind) in _LENGTHS and type(value) is int and value >= 0:
        return {**schema, _LENGTHS[key, kind]: value}
    if key == "pattern" and kind == "string":
        return {**schema, "pattern": _pattern(value)}
    if key == "default":
        raise MisfitError("has its default inside of Annotated[…]; write it after the `=`")
    raise MisfitError(f"has {key}=, which does not go with its type or is not known here; leave it out")


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not is_storable(value):
        raise MisfitError(f"has a {key} that is not plain text; write it in quotes")
    return " ".join(value.split())


def _number(key: str, value: Any) -> int | float:
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 2**63:
        raise MisfitError(f"has {key}= that is not a number; write one")
    if key == "multiple_of" and value <= 0:
        raise MisfitError("has multiple_of= that is not above zero; write a positive number")
    number: int | float = value
    return number


def _date_bound(schema: Fragment, key: str, value: Any) -> Fragment:
    """Bounds of dates are ours: JSON Schema has none."""
    day = dt.timedelta(days=1)
    shift = {"ge": dt.timedelta(), "le": dt.timedelta(), "gt": day, "lt": -day}.get(key)
    if type(value) is not dt.date or shift is None:
        raise MisfitError(f"has {key}= that is no date; write date(2024, 1, 31)")
    try:
        bound = (value + shift).isoformat()
    except OverflowError:
        raise MisfitError(f"has {key}= that leaves no date; write another") from None
    name = "minimum" if key in ("ge", "gt") else "maximum"
    return {**schema, EXTENSION: {**schema[EXTENSION], name: bound}}


def _pattern(value: Any) -> str:
    """Return a pattern that both Python and the matcher that is used here (linear in time) understand."""
    if not isinstance(value, str) or len(value) > MAX_PATTERN:
        raise MisfitError(f"has a pattern that is not text of at most {MAX_PATTERN} characters")
    try:
        re.compile(value)
        matcher(value)
    except (re.error, SchemaError, OverflowError, RecursionError, ValueError):
        raise MisfitError(
            "has a pattern that cannot be used; write a plain regular expression, without look-around and references"
        ) from None
    return value


def matcher(pattern: str) -> SchemaValidator:
    """Return what searches text for a pattern in time linear to its length, as pydantic does for `pattern=`."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def checked(schema: Fragment) -> Fragment:
    """Return the schema, once its bounds leave something between them.

    Raises:
        MisfitError: They do not.
    """
    pairs = [
        ("minimum", "maximum"),
        ("minimum", "exclusiveMaximum"),
        ("exclusiveMinimum", "maximum"),
        ("exclusiveMinimum", "exclusiveMaximum"),
        ("minLength", "maxLength"),
        ("minItems", "maxItems"),
        ("minProperties", "maxProperties"),
    ]
    for place in (schema, schema[EXTENSION]):
        for low, high in pairs:
            if low in place and high in place and not _leaves_some(place[low], place[high], low + high):
                raise MisfitError("has bounds that leave no value between them; the lower one comes first")
    return schema


def _leaves_some(low: Any, high: Any, names: str) -> bool:
    return bool(low < high if "exclusive" in names else low <= high)
