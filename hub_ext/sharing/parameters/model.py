"""What is found in a parameters cell, and the words for what is wrong."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from hub_ext.errors import InvalidInput, Problem

Fragment = dict[str, Any]  # a JSON Schema of one value, with our ``x-hub-ext``

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXTENSION = "x-hub-ext"


@dataclass(frozen=True)
class Finding:
    """Something that works, and not as its author may think.

    Attributes:
        message: What it is.
        fix: What to do about it.
        line: Line within the parameters cell (from 1), where there is one.
    """

    message: str
    fix: str
    line: int | None = None


@dataclass(frozen=True)
class Parameter:
    """One parameter of a workflow.

    Attributes:
        name: The Python name.
        line: Line within the parameters cell (from 1).
        required: A run has to give a value.
        schema: Its JSON Schema.
    """

    name: str
    line: int
    required: bool
    schema: Fragment

    @property
    def kind(self) -> str:
        """One of the names in :data:`hub_ext.sharing.parameters.kinds.BASE`."""
        return str(self.schema[EXTENSION]["kind"])

    @property
    def secret(self) -> bool:
        """Whether its value is kept out of the notebook, the log and the database."""
        return self.kind == "secret"


@dataclass(frozen=True)
class Parameters:
    """The parameters of a notebook, in the order of its cell, and what its author should know."""

    items: tuple[Parameter, ...]
    warnings: tuple[Finding, ...]

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of the values of a run; it holds all that the other functions need."""
        return {
            "$schema": DIALECT,
            "type": "object",
            "properties": {item.name: item.schema for item in self.items},
            "required": [item.name for item in self.items if item.required],
            "additionalProperties": False,
        }


def written(node: ast.AST, most: int = 60) -> str:
    """Return an expression as it may be shown: one line, cut."""
    try:
        text = ast.unparse(node)
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        return "…"
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


class MisfitError(ValueError):
    """A value that does not fit; its text ends a sentence that began with the parameter's name."""


class NeedsRunningError(Exception):
    """A default that only running the notebook could tell."""


class UnwritableError(Exception):
    """A default that is known, and that JSON cannot hold as it is."""


def refusal(problems: list[Problem], many: str) -> InvalidInput:
    """Return the error for some problems: the one itself, or how many there are.

    Args:
        problems: At least one.
        many: What they are, for more than one, with ``{count}`` in it.
    """
    if len(problems) > 1:
        return InvalidInput(many.format(count=len(problems)), problems=problems)
    only = problems[0]
    name = only.field.removeprefix("parameters").removeprefix(".")
    detail = only.message if only.line is not None or not name else f"{name}: {only.message}"
    return InvalidInput(detail, problems=problems)
