"""What the default of a parameter is, worked out from the syntax tree. Nothing of the notebook is run.

Only the constructors and operators in the tables here are called, on values of exact built-in types, with bounds on
how large a number may become on the way.
"""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import math
import operator
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hub_ext.sharing.parameters.kinds import BASE
from hub_ext.sharing.parameters.model import EXTENSION, Fragment, MisfitError, NeedsRunningError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_ext.sharing.parameters.scope import Scope

MAX_BITS: Final = 512  # of a whole number on the way; the result has its own, smaller bound


@dataclass(frozen=True)
class SecretDefault:
    """The default of a secret. Only what is said about it is kept, never the text.

    Attributes:
        written: There is text in the cell, which everybody who may read the notebook can read.
        fragment: Its schema.
    """

    written: bool
    fragment: Fragment


_CALLS: Final[dict[str, Callable[..., Any]]] = {
    "datetime.date": dt.date,
    "datetime.date.fromisoformat": dt.date.fromisoformat,
    "datetime.datetime": dt.datetime,
    "datetime.datetime.fromisoformat": dt.datetime.fromisoformat,
    "datetime.time": dt.time,
    "datetime.time.fromisoformat": dt.time.fromisoformat,
    "datetime.timedelta": dt.timedelta,
    "datetime.timezone": dt.timezone,
    "decimal.Decimal": decimal.Decimal,
    **dict.fromkeys(
        ("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath"), pathlib.PurePosixPath
    ),
    **{kind.__name__: kind for kind in (bool, dict, float, frozenset, int, list, set, str, tuple)},
}
_CONSTANTS: Final[dict[str, Any]] = {
    "datetime.timezone.utc": dt.UTC,
    "datetime.UTC": dt.UTC,
    **{f"math.{name}": getattr(math, name) for name in ("e", "inf", "nan", "pi", "tau")},
    **{f"numpy.{name}": getattr(math, name) for name in ("e", "inf", "nan", "pi")},
}
_OPERATORS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_NUMBERS: Final = (int, float)
_TIMES: Final = (dt.date, dt.datetime, dt.timedelta)


class Literals:
    """Reads values out of expressions.

    Args:
        scope: What the names in the cell stand for.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._readers: dict[type[ast.expr], Callable[[Any], Any]] = {
            ast.Constant: self._constant,
            ast.Name: self._named,
            ast.Attribute: self._named,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.List: lambda node: [self.value(item) for item in node.elts],
            ast.Tuple: lambda node: tuple(self.value(item) for item in node.elts),
            ast.Set: self._set,
            ast.Dict: self._dict,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.JoinedStr: lambda node: "".join(self.value(part) for part in node.values),
        }

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression.

        Raises:
            NeedsRunningError: Only running it could tell.
            MisfitError: It has none: a date that does not exist, a division by zero, a number beyond bounds.
        """
        reader = self._readers.get(type(node))
        if reader is None:
            raise NeedsRunningError
        return reader(node)

    def _constant(self, node: ast.Constant) -> Any:
        if node.value is ... or isinstance(node.value, bytes | complex):
            raise NeedsRunningError
        return node.value

    def _named(self, node: ast.Name | ast.Attribute) -> Any:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in self._scope.enums:
            return self._member(node.value.id, node.attr, by_name=True)
        name = self._scope.resolve(node)
        if name not in _CONSTANTS:
            raise NeedsRunningError
        return _CONSTANTS[name]

    def _member(self, name: str, key: Any, *, by_name: bool) -> Any:
        found = self._scope.enums[name]
        try:
            return found.member(key) if by_name else found.of(key)
        except (KeyError, TypeError):
            raise MisfitError(f"has a default that is no member of {name}; it has {', '.join(found.members)}") from None

    def _subscript(self, node: ast.Subscript) -> Any:
        if not isinstance(node.value, ast.Name) or node.value.id not in self._scope.enums:
            raise NeedsRunningError
        return self._member(node.value.id, self.value(node.slice), by_name=True)

    def _set(self, node: ast.Set) -> Any:
        return self._try(lambda: set(dict.fromkeys(self.value(item) for item in node.elts)))

    def _dict(self, node: ast.Dict) -> Any:
        if any(key is None for key in node.keys):  # {**other}
            raise NeedsRunningError
        pairs = zip(node.keys, node.values, strict=True)
        return self._try(lambda: {self.value(key): self.value(value) for key, value in pairs if key is not None})

    def _call(self, node: ast.Call) -> Any:
        if any(isinstance(item, ast.Starred) for item in node.args) or any(word.arg is None for word in node.keywords):
            raise NeedsRunningError
        name = self._scope.resolve(node.func)
        if name.split(".")[-1] == "SecretStr":
            return self._secret(node)
        is_enum = isinstance(node.func, ast.Name) and node.func.id in self._scope.enums
        if name not in _CALLS and not is_enum:
            raise NeedsRunningError
        values = [self.value(item) for item in node.args]
        words = {str(word.arg): self.value(word.value) for word in node.keywords}
        if is_enum:
            return self._member(name, values[0] if len(values) == 1 else None, by_name=False)
        return self._try(lambda: _CALLS[name](*values, **words))

    def _secret(self, node: ast.Call) -> SecretDefault:
        text = node.args[0] if node.args else None
        written = isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value != ""
        return SecretDefault(written=written, fragment=self.secret(node.func))

    def secret(self, node: ast.expr) -> Fragment:
        """Return the fragment of a secret; its class is pydantic's only if it is imported from there."""
        pydantic = self._scope.is_imported(node) and self._scope.resolve(node) == "pydantic.SecretStr"
        return {**BASE["secret"], EXTENSION: {"kind": "secret", "class": "pydantic" if pydantic else "str"}}

    def _unary(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        wrong_for_bool = type(value) is bool and not isinstance(node.op, ast.Not)
        if wrong_for_bool or type(value) not in (int, float, bool, dt.timedelta, decimal.Decimal):
            raise NeedsRunningError
        return self._try(lambda: _UNARY[type(node.op)](value))

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        call = _OPERATORS.get(type(node.op))
        if call is None or not _may_combine(left, right, node.op):
            raise NeedsRunningError
        if type(left) is type(right) is int and _bits(left, right, node.op) > MAX_BITS:
            raise MisfitError("has a default that is too large a number; write a smaller one")
        return self._try(lambda: call(left, right))

    @staticmethod
    def _try(call: Callable[[], Any]) -> Any:
        try:
            result = call()
        except (ArithmeticError, ValueError, TypeError) as error:
            if isinstance(error, MisfitError):
                raise
            raise MisfitError(f"has a default that Python cannot make ({error}); write one that it can") from None
        if isinstance(result, complex):
            raise NeedsRunningError
        return result


def _may_combine(left: Any, right: Any, sign: ast.operator) -> bool:
    kinds = (type(left), type(right))
    if all(kind in _NUMBERS for kind in kinds):
        return True
    if isinstance(sign, ast.Add) and kinds == (str, str):
        return True
    if isinstance(sign, ast.Div) and kinds in ((pathlib.PurePosixPath, str), (pathlib.PurePosixPath,) * 2):
        return True
    return isinstance(sign, ast.Add | ast.Sub) and all(kind in _TIMES for kind in kinds)


def _bits(left: int, right: int, sign: ast.operator) -> int:
    """Return about how many bits the result has, without working it out."""
    if isinstance(sign, ast.Pow):
        return left.bit_length() * max(right, 1) if abs(left) > 1 else 1
    if isinstance(sign, ast.LShift):
        return left.bit_length() + right
    return left.bit_length() + right.bit_length()
