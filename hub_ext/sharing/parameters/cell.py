"""What a parameters cell binds: a walk over its statements, by a table of their types."""

from __future__ import annotations

import ast
import itertools
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hub_ext.errors import Problem
from hub_ext.sharing.parameters.model import Finding, written
from hub_ext.sharing.parameters.scope import BadEnumError, Scope, module_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_SOURCE: Final = 64 * 2**10  # characters of a parameters cell
MAX_PROBLEMS: Final = 50

_ONE_AT_A_TIME: Final = threading.Lock()  # two threads that change the warning filters would leave them changed


@dataclass(frozen=True)
class Binding:
    """A name that the cell gives a value, an annotation or both; lines count from 1."""

    name: str
    line: int
    first: int
    last: int
    annotation: ast.expr | None
    value: ast.expr | None


@dataclass
class Cell:
    """What was found in the cell so far.

    Attributes:
        number: Its number in the notebook (from 1).
        scope: What its names stand for.
        bindings: In the order of the cell.
        problems: What makes it unusable.
        findings: What works otherwise than it looks.
    """

    number: int
    scope: Scope
    bindings: list[Binding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def refuse(self, line: int, message: str, name: str = "") -> None:
        """Note a problem. A message without a name begins a sentence; with a name it continues one."""
        where = f"Cell {self.number}, line {line}: "
        what = f"`{name}` {message}" if name else message
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(f"parameters.{name}" if name else "parameters", f"{where}{what}.", line))

    def find(self, line: int | None, message: str, fix: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(message, fix, line))

    def read(self, source: str) -> str:
        """Read the statements of the cell, and return its Python source (without leading `%` lines)."""
        tree, python = self._parse(source.replace("\r\n", "\n").replace("\r", "\n"))
        for statement in module_level(tree.body):
            self.scope.take_import(statement)
        for statement in tree.body:
            self._statement(statement)
        return python

    # --- text to statements -------------------------------------------------------------------------------------------

    def _parse(self, source: str) -> tuple[ast.Module, str]:
        if len(source) > MAX_SOURCE:
            self.refuse(1, f"the cell has more than {MAX_SOURCE:,} characters; load large values in another cell")
            return ast.Module([], []), ""
        tree = parse(source)
        if isinstance(tree, SyntaxError):
            source = self._without_magics(source)
            tree = parse(source)
        if isinstance(tree, SyntaxError):
            self._refuse_syntax(tree, source)
            return ast.Module([], []), ""
        return tree, source

    def _without_magics(self, source: str) -> str:
        """Blank out `%` lines before the first statement: they bind nothing that we could ask for."""
        lines = source.split("\n")
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if text.startswith("%") and not text.startswith("%%"):
                self.find(number, f"`{text[:60]}` is left out when parameters are read.", "Move it to another cell.")
                lines[number - 1] = ""
            elif text and not text.startswith("#"):
                break
        return "\n".join(lines)

    def _refuse_syntax(self, error: SyntaxError, source: str) -> None:
        lines = source.split("\n")
        number = min(max(error.lineno or 1, 1), len(lines))
        text = lines[number - 1].strip()
        if "secret" in text.lower() or "password" in text.lower():
            message = f"this is not valid Python ({error.msg})"
        elif _is_ipython(text):
            message = f"`{text[:80]}` is an IPython command, not Python; move it to another cell"
        else:
            message = f"this is not valid Python ({error.msg}): `{text[:80]}`"
        self.refuse(number, message)

    # --- statements ---------------------------------------------------------------------------------------------------

    def _statement(self, statement: ast.stmt) -> None:
        handler = _HANDLERS.get(type(statement))
        if handler is not None:
            handler(self, statement)
            return
        names = _bound(statement)
        if not names:
            return
        what = _NOUNS.get(type(statement), "a block")
        self.refuse(
            statement.lineno,
            f"{_listed(names)} would be set inside {what}, which only running can tell; "
            "set it plainly here, and work with it in another cell",
        )

    def _assign(self, statement: ast.Assign) -> None:
        if not self._refuse_walrus(statement.value):
            for target in statement.targets:
                self._bind(target, statement.value, statement)

    def _annotated(self, statement: ast.AnnAssign) -> None:
        if statement.value is None or not self._refuse_walrus(statement.value):
            self._bind(statement.target, statement.value, statement, statement.annotation)

    def _bind(
        self, target: ast.expr, value: ast.expr | None, statement: ast.stmt, annotation: ast.expr | None = None
    ) -> None:
        line = target.lineno
        if isinstance(target, ast.Name):
            last = statement.end_lineno or line
            self.bindings.append(Binding(target.id, line, statement.lineno, last, annotation, value))
        elif isinstance(target, ast.Tuple | ast.List):
            self._unpack(target, value, statement)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            text = written(target)
            self.find(line, f"`{text} = …` changes a value and makes no parameter.", "Move it to another cell.")

    def _unpack(self, target: ast.Tuple | ast.List, value: ast.expr | None, statement: ast.stmt) -> None:
        names = _listed([part.id for part in target.elts if isinstance(part, ast.Name)] or ["names"])
        parts = value.elts if isinstance(value, ast.Tuple | ast.List) else None
        if any(isinstance(part, ast.Starred) for part in [*target.elts, *(parts or [])]):
            self.refuse(
                target.lineno, f"{names}: a star takes as many values as there are; give each name its own line"
            )
        elif parts is None:
            self.refuse(
                target.lineno, f"{names}: only running can tell which value each gets; give each name its own line"
            )
        elif len(parts) != len(target.elts):
            self.refuse(target.lineno, f"{names}: {len(target.elts)} names cannot take {len(parts)} values")
        else:
            for part, own in zip(target.elts, parts, strict=True):
                self._bind(part, own, statement)

    def _augmented(self, statement: ast.AugAssign) -> None:
        text = written(statement.target)
        self.refuse(
            statement.lineno,
            f"`{text}` is changed after it is set; write its value at once, or do this in another cell",
        )

    def _expression(self, statement: ast.Expr) -> None:
        self._refuse_walrus(statement.value)

    def _refuse_walrus(self, value: ast.expr) -> bool:
        names = _bound(value)
        if names:
            self.refuse(value.lineno, f"{_listed(names)} is set inside an expression (`:=`); give it its own line")
        return bool(names)

    def _class(self, statement: ast.ClassDef) -> None:
        try:
            if not self.scope.take_enum(statement):
                self.refuse(statement.lineno, f"the class `{statement.name}` is no Enum; move it to another cell")
        except BadEnumError as error:
            self.refuse(statement.lineno, f"class `{statement.name}`: {error}")

    def _function(self, statement: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.refuse(statement.lineno, f"the function `{statement.name}` is no parameter; move it to another cell")

    def _delete(self, statement: ast.Delete) -> None:
        self.refuse(statement.lineno, f"`{written(statement)}` takes a name away; move it to another cell")


_HANDLERS: Final[dict[type[ast.stmt], Callable[[Cell, Any], None]]] = {
    ast.Assign: Cell._assign,
    ast.AnnAssign: Cell._annotated,
    ast.AugAssign: Cell._augmented,
    ast.Expr: Cell._expression,
    ast.ClassDef: Cell._class,
    ast.FunctionDef: Cell._function,
    ast.AsyncFunctionDef: Cell._function,
    ast.Delete: Cell._delete,
    ast.Import: lambda _cell, _statement: None,
    ast.ImportFrom: lambda _cell, _statement: None,
    ast.Pass: lambda _cell, _statement: None,
}
_NOUNS: Final[dict[type[ast.stmt], str]] = {
    ast.If: "an `if`",
    ast.For: "a loop",
    ast.While: "a loop",
    ast.With: "a `with`",
    ast.Try: "a `try`",
    ast.Match: "a `match`",
}


class _Bound(ast.NodeVisitor):
    """Collects the names that a statement binds in the module; imports apart."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.names.append(node.id)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.names.append(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (ast's own naming)
    visit_ClassDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """A lambda binds its own names only."""

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for part in (node.iter, *node.ifs):
            self.visit(part)

    def generic_visit(self, node: ast.AST) -> None:
        name = getattr(node, "name", None)
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and name:
            self.names.append(name)
        super().generic_visit(node)
        if isinstance(node, ast.MatchMapping) and node.rest:
            self.names.append(node.rest)


def _bound(node: ast.AST) -> list[str]:
    visitor = _Bound()
    visitor.visit(node)
    return list(dict.fromkeys(visitor.names))


def _listed(names: Iterable[str]) -> str:
    shown = [f"`{name}`" for name in itertools.islice(names, 4)]
    return ", ".join(shown)


def _is_ipython(text: str) -> bool:
    magic = text.partition("=")[2].strip()
    asks = text.partition("#")[0].rstrip().endswith("?")
    return text.startswith(("%", "!", "?")) or asks or magic.startswith(("%", "!"))


def parse(source: str) -> ast.Module | SyntaxError:
    """Return the syntax tree of a cell, or what is wrong with it."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and the like are for the author's own kernel to tell
        try:
            tree = ast.parse(source)
            compile(source, "parameters", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except SyntaxError as error:
            return error
        except ValueError:
            return SyntaxError("it holds a character that Python cannot read")
        except (RecursionError, MemoryError):
            return SyntaxError("it is nested too deeply")
    return tree
