"""Annotations become fragments of JSON Schema. Read from the syntax tree; nothing is evaluated."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from hub_ext.sharing.parameters import constraints
from hub_ext.sharing.parameters.kinds import (
    LIMIT,
    MAX_CHOICES,
    branches,
    fragment,
    is_nullable,
    is_storable,
    kind_of,
    mapping,
    nullable,
    sequence,
)
from hub_ext.sharing.parameters.model import EXTENSION, Fragment, MisfitError, NeedsRunningError, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_ext.sharing.parameters.literals import Literals
    from hub_ext.sharing.parameters.scope import Scope

MAX_PARTS: Final = 10_000  # of all annotations of a cell: second names can double what they stand for, again and again

_SIMPLE: Final[dict[str, tuple[str, Fragment, dict[str, Any]]]] = {
    "int": ("integer", {}, {}),
    "float": ("number", {}, {}),
    "str": ("string", {}, {}),
    "bool": ("boolean", {}, {}),
    "object": ("any", {}, {}),
    "typing.Any": ("any", {}, {}),
    "datetime.date": ("date", {}, {}),
    "datetime.datetime": ("datetime", {}, {"zone": "any"}),
    "datetime.time": ("time", {}, {}),
    "datetime.timedelta": ("timedelta", {}, {}),
    "decimal.Decimal": ("decimal", {}, {}),
    **dict.fromkeys(("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"), ("path", {}, {})),
    **dict.fromkeys(("pathlib.PurePosixPath", "pydantic.FilePath", "pydantic.DirectoryPath"), ("path", {}, {})),
    "pydantic.AwareDatetime": ("datetime", {}, {"zone": "required"}),
    "pydantic.NaiveDatetime": ("datetime", {}, {"zone": "none"}),
    "pydantic.StrictInt": ("integer", {}, {}),
    "pydantic.StrictFloat": ("number", {}, {}),
    "pydantic.StrictStr": ("string", {}, {}),
    "pydantic.StrictBool": ("boolean", {}, {}),
    **{
        f"pydantic.{sign}{name}": (kind, {keyword: 0}, {})
        for name, kind in (("Int", "integer"), ("Float", "number"))
        for sign, keyword in (
            ("Positive", "exclusiveMinimum"),
            ("Negative", "exclusiveMaximum"),
            ("NonNegative", "minimum"),
            ("NonPositive", "maximum"),
        )
    },
}
_SEQUENCES: Final = {
    "list": "list",
    "set": "set",
    "frozenset": "frozenset",
    **dict.fromkeys(("List", "Sequence", "MutableSequence", "Iterable", "Collection"), "list"),
    "Set": "set",
    "MutableSet": "set",
    "AbstractSet": "set",
    "FrozenSet": "frozenset",
}
_MAPPINGS: Final = {"dict", "typing.Dict", "typing.Mapping", "typing.MutableMapping"}
_TUPLES: Final = {"tuple", "typing.Tuple"}
KNOWN: Final = (
    "int, float, str, bool, date, datetime, time, timedelta, Decimal, Path, SecretStr, list, tuple, set, dict, "
    "Literal, Enum, Optional, Union, Annotated"
)


def _sequence_kind(name: str) -> str | None:
    return _SEQUENCES.get(name.removeprefix("typing.")) if "." not in name or name.startswith("typing.") else None


class Annotations:
    """Reads annotations.

    Args:
        scope: What the names in the cell stand for.
        literals: Reads the values inside of Literal and Annotated.
    """

    def __init__(self, scope: Scope, literals: Literals) -> None:
        self._scope = scope
        self._literals = literals
        self._left = MAX_PARTS
        self._generic: dict[str, Callable[[list[ast.expr]], Fragment]] = {
            "typing.Optional": lambda items: nullable(self.read(_only(items, "Optional"))),
            "typing.Union": self._union,
            "typing.Literal": self._literal,
            "typing.Annotated": self._annotated,
            "typing.Final": lambda items: self.read(_only(items, "Final")),
            **dict.fromkeys(_MAPPINGS, self._mapping),
            **dict.fromkeys(_TUPLES, self._tuple),
        }

    def read(self, node: ast.expr) -> Fragment:
        """Return the schema that an annotation stands for.

        Raises:
            MisfitError: It cannot be a parameter; the text says why and what to write.
        """
        self._left -= 1
        if self._left < 0:
            raise MisfitError("has an annotation that is too long when written out; use a simpler one")
        if isinstance(node, ast.Constant):
            return self._quoted(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._union(_alternatives(node))
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        return self._name(node)

    def is_type(self, node: ast.expr | None) -> bool:
        """Whether an assigned expression gives a type a second name (`Size = Literal["s", "m"]`)."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return all(isinstance(part, ast.Constant) or self.is_type(part) for part in _alternatives(node))
        if isinstance(node, ast.Subscript):
            name = self._scope.resolve(node.value)
            return name in self._generic or _sequence_kind(name) is not None
        if not isinstance(node, ast.Name | ast.Attribute):
            return False
        name = self._scope.resolve(node)
        own = isinstance(node, ast.Name) and (node.id in self._scope.enums or node.id in self._scope.aliases)
        return own or name in _SIMPLE or name in self._generic or _sequence_kind(name) is not None

    def _quoted(self, value: Any) -> Fragment:
        if value is None:
            return fragment("null")
        if not isinstance(value, str):
            raise MisfitError(f"has an annotation that is no type; use one of {KNOWN}")
        if value == "NoneType":
            return fragment("null")
        try:
            return self.read(ast.parse(value.strip(), mode="eval").body)
        except (SyntaxError, ValueError, MemoryError) as error:
            if isinstance(error, MisfitError):
                raise
            raise MisfitError("has an annotation in quotes that is not valid Python; write it without quotes") from None

    def _name(self, node: ast.expr) -> Fragment:
        name = self._scope.resolve(node)
        if isinstance(node, ast.Name) and node.id in self._scope.enums:
            return self._scope.enums[node.id].fragment
        if isinstance(node, ast.Name) and node.id in self._scope.aliases:
            return self.read(self._scope.aliases[node.id])
        if name.split(".")[-1] == "SecretStr":
            return self._literals.secret(node)
        if name in _SIMPLE:
            kind, keywords, extension = _SIMPLE[name]
            return fragment(kind, keywords, **extension)
        if collection := _sequence_kind(name):
            return sequence(collection, None)
        if name in _MAPPINGS:
            return mapping(None)
        if name in _TUPLES:
            return sequence("tuple", None)
        raise MisfitError(self._unknown(node, name))

    def _unknown(self, node: ast.expr, name: str) -> str:
        shown = written(node)
        if name in self._generic:
            return f"is annotated {shown} without saying of what; write `{shown}[…]`"
        if self._scope.is_imported(node):
            return (
                f"is annotated {shown}, which is imported: its choices cannot be known without running it. "
                f"Define an Enum in this cell, use Literal[…], or one of {KNOWN}"
            )
        return f"is annotated {shown}, which cannot be asked for in a form; use one of {KNOWN}"

    def _subscript(self, node: ast.Subscript) -> Fragment:
        items = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        name = self._scope.resolve(node.value)
        if name in self._generic:
            return self._generic[name](items)
        if collection := _sequence_kind(name):
            return sequence(collection, self._item(_only(items, written(node.value)), collection))
        raise MisfitError(self._unknown(node, name))

    def _item(self, node: ast.expr, collection: str = "list") -> Fragment:
        item = self.read(node)
        if kind_of(item) == "secret":
            raise MisfitError("holds secrets in a collection; give each secret a parameter of its own")
        if kind_of(item) == "null":
            return fragment("any")
        unhashable = kind_of(item) == "dict" or (
            kind_of(item) == "list" and item[EXTENSION].get("collection") not in ("tuple", "frozenset")
        )
        if collection in ("set", "frozenset") and unhashable:
            raise MisfitError("is a set of lists or dicts, which Python does not have; use list[…]")
        return item

    def _mapping(self, items: list[ast.expr]) -> Fragment:
        if len(items) != 2 or kind_of(self.read(items[0])) not in ("string", "any"):
            raise MisfitError("must have text as keys, since a form has no other; write `dict[str, …]`")
        return mapping(self._item(items[1]))

    def _tuple(self, items: list[ast.expr]) -> Fragment:
        if len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is ...:
            return sequence("tuple", self._item(items[0]))
        parts = [self._item(item) for item in items]
        size = len(parts)
        return fragment(
            "list", {"prefixItems": parts, "items": False, "minItems": size, "maxItems": size}, collection="tuple"
        )

    def _union(self, items: list[ast.expr]) -> Fragment:
        found: list[Fragment] = []
        null = False
        for part in [self.read(item) for item in items]:
            null = null or is_nullable(part)
            options = branches(part) if kind_of(part) == "union" else [_without_null(part)]
            found += [option for option in options if kind_of(option) != "null" and option not in found]
        if not found:
            return fragment("null")
        if len(found) > 1 and any(kind_of(part) == "secret" for part in found):
            raise MisfitError("may be a secret or something else; annotate it SecretStr, or SecretStr | None")
        if any(kind_of(part) == "any" for part in found):
            return fragment("any")
        whole = found[0] if len(found) == 1 else fragment("union", {"anyOf": found})
        return nullable(whole) if null else whole

    def _literal(self, items: list[ast.expr]) -> Fragment:
        if len(items) > MAX_CHOICES:
            raise MisfitError(f"has more than {MAX_CHOICES} choices; use str or int, and check it in the notebook")
        choices: list[Any] = []
        for item in items:
            try:
                value = self._literals.value(item)
            except NeedsRunningError:
                value = ...
            if not (value is None or (type(value) in (str, int, bool) and is_storable(value))):
                raise MisfitError(
                    f"has a choice that is not plain text, a number up to {LIMIT:,}, true or false, or None"
                )
            if not any(type(value) is type(other) and value == other for other in choices):
                choices.append(value)
        whole = fragment("choice", {"enum": [value for value in choices if value is not None]})
        return nullable(whole) if None in choices else whole

    def _annotated(self, items: list[ast.expr]) -> Fragment:
        whole = self.read(items[0])
        for item in items[1:]:
            whole = constraints.apply(whole, item, self._scope, self._literals)
        return constraints.checked(whole)


def _only(items: list[ast.expr], name: str) -> ast.expr:
    if len(items) != 1:
        raise MisfitError(f"is annotated {name}[…] with {len(items)} types; it takes one")
    return items[0]


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """Return a, b, c of `a | b | c`."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.insert(0, node.right)
        node = node.left
    return [node, *found]


def _without_null(schema: Fragment) -> Fragment:
    if not schema[EXTENSION].get("nullable"):
        return schema
    result = {**schema, EXTENSION: {key: value for key, value in schema[EXTENSION].items() if key != "nullable"}}
    if isinstance(result.get("type"), list):
        result["type"] = result["type"][0]
    if "enum" in result:
        result["enum"] = [value for value in result["enum"] if value is not None]
    return result
