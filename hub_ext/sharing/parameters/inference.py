"""From the cell tagged `parameters` to the parameters of a workflow. The cell is parsed, and never run."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import datetime as dt
import difflib
from typing import TYPE_CHECKING, Any, Final

from hub_ext.errors import InvalidInput, Problem
from hub_ext.sharing.notebooks import cell_tags
from hub_ext.sharing.parameters.annotations import Annotations
from hub_ext.sharing.parameters.cell import Binding, Cell, parse
from hub_ext.sharing.parameters.checks import check
from hub_ext.sharing.parameters.comments import Comments, limits
from hub_ext.sharing.parameters.constraints import checked
from hub_ext.sharing.parameters.defaults import encode
from hub_ext.sharing.parameters.kinds import NUMERIC, fragment, fragment_of, is_nullable, kind_of, nullable
from hub_ext.sharing.parameters.literals import Literals, SecretDefault
from hub_ext.sharing.parameters.model import (
    EXTENSION,
    Finding,
    Fragment,
    MisfitError,
    NeedsRunningError,
    Parameter,
    Parameters,
    UnwritableError,
    refusal,
    written,
)
from hub_ext.sharing.parameters.names import is_name, looks_secret, title
from hub_ext.sharing.parameters.scope import Scope

if TYPE_CHECKING:
    from hub_ext.sharing.notebooks import Notebook

TAG: Final = "parameters"
MAX_PARAMETERS: Final = 200
MAX_SHOWN: Final = 200  # characters of an expression
HIDDEN: Final = "hidden"  # what is shown of an expression that makes a secret
_UNSET: Final = object()


def infer(notebook: Notebook) -> Parameters:
    """Infer the parameters of a notebook.

    Args:
        notebook: As :func:`hub_ext.sharing.notebooks.read_notebook` returns it.

    Returns:
        The parameters, and what its author should know of them.

    Raises:
        InvalidInput: The cell cannot be understood in full; `problems` name each line.
    """
    numbered = list(enumerate(notebook.node.cells, start=1))
    tagged = [(number, cell) for number, cell in numbered if cell.cell_type == "code" and TAG in cell_tags(cell)]
    if len(tagged) > 1:
        listed = ", ".join(str(number) for number, _ in tagged)
        message = f"Cells {listed} are tagged `{TAG}`; leave the tag on one of them."
        raise InvalidInput(message, problems=[Problem("parameters", message)])
    if not tagged:
        return Parameters((), (_nothing_tagged(numbered),))
    number, tagged_cell = tagged[0]
    scope = Scope()
    for _, cell in numbered[: number - 1]:
        if cell.cell_type == "code":
            _learn(scope, cell.source)
    found = _Inference(Cell(number, scope)).read(tagged_cell.source)
    left = [at for at, cell in numbered if "injected-parameters" in cell_tags(cell)]
    extra = [_left_over(at) for at in left]
    return dataclasses.replace(found, warnings=(*found.warnings, *extra))


def _nothing_tagged(numbered: list[tuple[int, Any]]) -> Finding:
    message = f"No code cell is tagged `{TAG}`, so this workflow has no parameters."
    for number, cell in numbered:
        for tag in cell_tags(cell):
            if cell.cell_type == "code" and difflib.SequenceMatcher(None, tag.lower(), TAG).ratio() > 0.8:
                return Finding(message, f"Cell {number} is tagged `{tag[:40]}`: write it `{TAG}`.")
            if tag == TAG:
                return Finding(
                    message, f"Cell {number} has the tag, and is no code cell: tag the cell with the values."
                )
    return Finding(message, f"Tag the cell that sets the values people may change with `{TAG}`.")


def _left_over(number: int) -> Finding:
    return Finding(
        f"Cell {number} is tagged `injected-parameters`: it is left from an earlier run and sets values of its own.",
        f"Delete cell {number}.",
    )


def _learn(scope: Scope, source: str) -> None:
    """Take up a cell above; one that is not plain Python teaches what is left without its magic lines."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    tree = parse(plain)
    if isinstance(tree, ast.Module):
        scope.learn(tree)


class _Inference:
    """One reading of one cell."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.literals = Literals(cell.scope)
        self.annotations = Annotations(cell.scope, self.literals)
        self.comments = Comments("")
        self.order = 0

    def read(self, source: str) -> Parameters:
        try:
            self.comments = Comments(self.cell.read(source))
            items = [item for binding in self._final() if (item := self._guarded(binding)) is not None]
        except RecursionError:
            self.cell.refuse(1, "the cell is nested too deeply; write simpler values")
            items = []
        if len(items) > MAX_PARAMETERS:
            self.cell.refuse(items[-1].line, f"more than {MAX_PARAMETERS} parameters; put some into one dict")
        if self.cell.problems:
            problems = sorted(self.cell.problems, key=lambda problem: problem.line or 0)
            raise refusal(problems, f"{{count}} lines of the parameters cell, cell {self.cell.number}, cannot be used.")
        if not items:
            self.cell.find(None, "The parameters cell sets nothing.", "Set a value in it: `years = 5`.")
        self._find_dependent(items)
        return Parameters(tuple(items), tuple(self.cell.findings))

    # --- which bindings count -----------------------------------------------------------------------------------------

    def _final(self) -> list[Binding]:
        """Return the last binding of each name, with the annotation that an earlier line gave it."""
        final: dict[str, Binding] = {}
        for binding in self.cell.bindings:
            if self._is_alias(binding):
                continue
            before = final.pop(binding.name, None)
            now = binding
            if before is not None:
                if binding.value is None:
                    now = dataclasses.replace(before, annotation=binding.annotation)
                elif binding.annotation is None:
                    now = dataclasses.replace(binding, annotation=before.annotation)
                if before.value is not None and binding.value is not None:
                    self.cell.find(
                        binding.line,
                        f"`{binding.name}` is set again; line {before.line} has no effect.",
                        f"Delete line {before.line}.",
                    )
            final[binding.name] = now
        return [binding for binding in final.values() if self._may_be_offered(binding)]

    def _is_alias(self, binding: Binding) -> bool:
        """Whether it names a type, and take that up."""
        said = binding.annotation is not None and self.cell.scope.resolve(binding.annotation) == "typing.TypeAlias"
        if binding.value is None or not (
            said or (binding.annotation is None and self.annotations.is_type(binding.value))
        ):
            return False
        self.cell.scope.aliases[binding.name] = binding.value
        return True

    def _may_be_offered(self, binding: Binding) -> bool:
        name, line = binding.name, binding.line
        if name.startswith("_"):
            self.cell.find(line, f"`{name}` begins with `_` and is not offered.", "Rename it, or move it away.")
            return False
        if not is_name(name):
            self.cell.refuse(line, "is too long for a name; use at most 100 characters", name[:100])
            return False
        if name in self.cell.scope.enums:
            self.cell.refuse(line, "is a class of this cell too; give one of them another name", name)
            return False
        if hasattr(builtins, name):
            self.cell.find(line, f"`{name}` hides what Python itself calls so.", f"Rename it, such as `{name}_`.")
        return True

    # --- one parameter ------------------------------------------------------------------------------------------------

    def _guarded(self, binding: Binding) -> Parameter | None:
        try:
            return self._parameter(binding)
        except MisfitError as error:
            self.cell.refuse(binding.line, str(error), binding.name)
        except RecursionError:
            self.cell.refuse(binding.line, "is nested too deeply; write it simpler", binding.name)
        return None

    def _parameter(self, binding: Binding) -> Parameter:
        declared = self._declared(binding)
        value: Any = _UNSET
        computed = False
        if binding.value is not None:
            try:
                value = self.literals.value(binding.value)
            except NeedsRunningError:
                computed = True
                self._refuse_unclear(binding, declared)
        schema = declared if declared is not None else self._undeclared(value)
        if value is None and declared is not None:
            schema = self._with_none(schema, binding)
        if schema[EXTENSION].get("zone") == "any" and isinstance(value, dt.datetime):
            schema[EXTENSION]["zone"] = "required" if value.tzinfo else "none"
        schema = self._described(schema, binding)
        self.order += 1
        schema[EXTENSION]["order"] = self.order
        if value is not _UNSET:
            computed = not self._set_default(schema, binding, value)
        if computed:
            schema[EXTENSION]["computed"] = self._expression(schema, binding)
        self._find_secret(schema, binding, value)
        return Parameter(binding.name, binding.line, binding.value is None, schema)

    def _declared(self, binding: Binding) -> Fragment | None:
        """Return what the annotation, or a comment such as `# type: int`, says."""
        node = binding.annotation
        if node is not None and self.cell.scope.resolve(node) == "typing.Final":
            node = None
        if node is None and (text := self.comments.annotation(binding.first, binding.last)):
            node = ast.Constant(text)
        if node is None:
            return None
        schema = self.annotations.read(node)
        return fragment("any") if kind_of(schema) == "null" else schema

    def _refuse_unclear(self, binding: Binding, declared: Fragment | None) -> None:
        node = binding.value
        if isinstance(node, ast.Call) and self.cell.scope.resolve(node.func) == "pydantic.Field":
            raise MisfitError(
                f"would be a Field object in the notebook; write `{binding.name}: Annotated[int, Field(…)] = 5`"
            )
        if declared is None:
            raise MisfitError(
                f"is set to `{self._shown(node)}`, which only running it can tell; write the value itself, "
                f"or say its type: `{binding.name}: {self._guess(node)} = …`"
            )

    def _guess(self, node: ast.expr | None) -> str:
        """Return the type to suggest for an expression."""
        home = self.cell.scope.resolve(node.func) if isinstance(node, ast.Call) else ""
        kind = home.removeprefix("datetime.").removeprefix("pathlib.").split(".")[0]
        return kind if kind in ("date", "datetime", "timedelta", "Path") else "str"

    @staticmethod
    def _undeclared(value: Any) -> Fragment:
        found = fragment_of(value)
        if found is None:
            raise MisfitError("has a value of a type that cannot be asked for in a form; use text or a number")
        return found

    def _with_none(self, schema: Fragment, binding: Binding) -> Fragment:
        if not is_nullable(schema):
            self.cell.find(
                binding.line,
                f"`{binding.name}` is annotated without None and set to None; None is taken as one of its values.",
                "Add `| None` to the annotation.",
            )
        return nullable(schema)

    def _described(self, schema: Fragment, binding: Binding) -> Fragment:
        """Return the schema with title and help, and with the range and unit that end the help."""
        words = self.comments.help(binding.first, binding.last)
        extension = dict(schema[EXTENSION])
        bounds: Fragment = {}
        if kind_of(schema) in NUMERIC:
            words, said = limits(words)
            own = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} & set(schema)
            found = {"minimum": said.minimum, "maximum": said.maximum}
            bounds = {} if own else {key: value for key, value in found.items() if value is not None}
            unit = said.unit or ("s" if kind_of(schema) == "timedelta" else "")
            extension |= {"unit": unit} if unit else {}
        rest = {key: value for key, value in schema.items() if key not in ("title", "description", EXTENSION)}
        description = " ".join(filter(None, [schema.get("description", ""), words]))
        head = {"title": schema.get("title") or title(binding.name)} | (
            {"description": description} if description else {}
        )
        return checked({**head, **rest, **bounds, EXTENSION: extension})

    def _set_default(self, schema: Fragment, binding: Binding, value: Any) -> bool:
        """Put the default into the schema; return whether JSON can hold it."""
        try:
            default = encode(schema, value)
        except UnwritableError as reason:
            if kind_of(schema) not in ("secret", "number", "decimal"):
                self.cell.find(
                    binding.line,
                    f"The default of `{binding.name}` holds {reason}, which a form cannot show; it is used as it is.",
                    "Write it with text, numbers, lists and dicts only.",
                )
            return False
        if kind_of(schema) == "secret":  # None is all that can come here, and even that stays out of the schema
            return False
        try:
            schema["default"] = check(schema, default)
        except MisfitError as error:
            raise MisfitError(f"has a default that does not fit: it {error}") from None
        if isinstance(default, str) and "\n" in default and kind_of(schema) == "string":
            schema[EXTENSION]["multiline"] = True
        return True

    def _expression(self, schema: Fragment, binding: Binding) -> str:
        """Return what stands after the `=`, never of a secret."""
        return HIDDEN if kind_of(schema) == "secret" else self._shown(binding.value, MAX_SHOWN)

    def _shown(self, node: ast.expr | None, most: int = 60) -> str:
        """Return an expression, unless a secret is somewhere in it."""
        calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)] if node else []
        hidden = any(self.cell.scope.resolve(call).split(".")[-1] == "SecretStr" for call in calls)
        return HIDDEN if node is None or hidden else written(node, most)

    # --- what its author should know ----------------------------------------------------------------------------------

    def _find_secret(self, schema: Fragment, binding: Binding, value: Any) -> None:
        name, line = binding.name, binding.line
        if kind_of(schema) == "secret":
            if (isinstance(value, SecretDefault) and value.written) or (isinstance(value, str) and value):
                self.cell.find(
                    line,
                    f"The default of the secret `{name}` stands in the notebook, where everybody can read it.",
                    f"Write `{name}: SecretStr` without a value, and change the secret.",
                )
            if schema[EXTENSION]["class"] == "str":
                self.cell.find(
                    line,
                    f"`{name}` reaches the notebook as plain text: SecretStr is not imported from pydantic.",
                    "Add `from pydantic import SecretStr` to this cell or one above.",
                )
        elif kind_of(schema) in ("string", "any") and looks_secret(name):
            self.cell.find(
                line,
                f"`{name}` looks like a secret; its value would be kept and shown.",
                f"Write `{name}: SecretStr`, with `from pydantic import SecretStr`.",
            )

    def _find_dependent(self, items: list[Parameter]) -> None:
        """Find defaults that are worked out before a run's values are there."""
        names = {item.name for item in items}
        computed = {item.name for item in items if "computed" in item.schema[EXTENSION]}
        for binding in self.cell.bindings:
            if binding.name not in computed or binding.value is None:
                continue
            used = [part.id for part in ast.walk(binding.value) if isinstance(part, ast.Name) and part.id in names]
            for other in dict.fromkeys(used):
                self.cell.find(
                    binding.line,
                    f"The default of `{binding.name}` is worked out before a run's own `{other}` is known.",
                    "Work it out in the next cell.",
                )
