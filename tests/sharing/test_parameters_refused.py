"""What a parameters cell must not hold: each is refused with its line and with what to write instead."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hub_ext.errors import InvalidInput, Problem
from hub_ext.sharing.notebooks import read_notebook
from hub_ext.sharing.parameters import Parameters, infer, validate

IMPORTS = """\
from datetime import date, timedelta
from enum import Enum, Flag
from typing import Annotated, Literal, Optional
import annotated_types as at
from pydantic import Field, SecretStr
"""


def read(*cells: str) -> Parameters:
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
        for source in (IMPORTS, *cells)
    ]
    made[-1]["metadata"] = {"tags": ["parameters"]}
    raw = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": made}
    return infer(read_notebook(json.dumps(raw).encode()))


def refused(source: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        read(source)
    return error.value


def problems(source: str) -> list[Problem]:
    """Return what is wrong with a cell, and nothing if it is accepted; any other error is a failure."""
    try:
        read(source)
    except InvalidInput as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        # bound where only running can tell
        ("if True:\n    x = 1", "`x` would be set inside an `if`"),
        ("for x in (1, 2): pass", "`x` would be set inside a loop"),
        ("while True:\n    x = 1", "`x` would be set inside a loop"),
        ("with open('f') as x: pass", "`x` would be set inside a `with`"),
        ("try:\n    x = 1\nexcept ValueError as y:\n    pass", "`x`, `y` would be set inside a `try`"),
        ("match 1:\n    case {'a': x, **y}: pass", "`x`, `y` would be set inside a `match`"),
        ("def x(): pass", "the function `x` is no parameter"),
        ("class X: pass", "the class `X` is no Enum"),
        ("x += 1", "`x` is changed after it is set"),
        ("print(x := 3)", "`x` is set inside an expression"),
        ("y = [x := 3]", "`x` is set inside an expression"),
        ("[x := n for n in ()]", "`x` is set inside an expression"),
        ("del x", "`del x` takes a name away"),
        ("*x, y = 1, 2", "a star takes"),
        ("x, y = *z, 1", "a star takes"),
        ("x, y = z", "only running can tell which value each gets"),
        ("x, y = 'ab'", "only running can tell which value each gets"),
        ("x, y = 1, 2, 3", "2 names cannot take 3 values"),
        # defaults without a kind
        ("x = date.today()", "write the value itself, or say its type: `x: date = …`"),
        ("x = date.today() + timedelta(1)", "only running it can tell"),
        ("x = os.environ['HOME']", "only running it can tell"),
        ("x = y", "only running it can tell"),
        ("x = [n for n in range(3)]", "only running it can tell"),
        ("x = lambda: 1", "only running it can tell"),
        ("x = f'{y}'", "only running it can tell"),
        ("x = b'abc'", "only running it can tell"),
        ("x = 1j", "only running it can tell"),
        ("x = ...", "only running it can tell"),
        ("x = {**y}", "only running it can tell"),
        ("x = dict(**y)", "only running it can tell"),
        ("x = [*y]", "only running it can tell"),
        # defaults that cannot be
        ("x = date(2023, 2, 30)", "Python cannot make (day is out of range for month)"),
        ("x = 1 / 0", "division by zero"),
        ("x = 10.0**400", "Python cannot make"),
        ("x = 10**400", "too large a number"),
        ("x = 2**2**2**2**2**2", "too large a number"),
        ("x = 1 << 10**9", "too large a number"),
        ("x = 2**63", "beyond ±9,223,372,036,854,775,807"),
        ("x = [2**63]", "beyond ±9,223,372,036,854,775,807"),
        ("x = {[1]}", "Python cannot make"),
        ("x = 'a\\0b'", "NUL"),
        ("x = '\\ud800'", "half of a character"),
        ("x = [SecretStr('hunter2')]", "a parameter of its own"),
        ("x = join(SecretStr('hunter2'))", "`x` is set to `hidden`"),
        # defaults that do not fit
        ("x: int = 5.0", "does not fit its type, which is a whole number"),
        ("x: int = True", "does not fit its type, which is a whole number"),
        ("x: str = 5", "does not fit its type, which is text"),
        ("x: date = '2024-01-31'", "does not fit its type, which is a date"),
        ("x: list[int] = ['a']", "does not fit its type, which is a whole number"),
        ("x: list[int] = (1,)", "does not fit its type, which is a list"),
        ("x: tuple[int, int] = (1, 2, 3)", "3 items and an annotation with 2"),
        ("x: dict[str, int] = {'a': 'b'}", "does not fit its type"),
        ("x: Literal['a', 'b'] = 'c'", "none of its choices: a, b"),
        ("x: int | str = 1.5", "of none of the types"),
        ("x: Annotated[int, Field(ge=1, le=5)] = 9", "it must be at most 5"),
        ("x: Annotated[str, Field(pattern='^a')] = 'b'", "matches the pattern ^a"),
        ("x = 9  # years [1..5]", "it must be at most 5"),
        # annotations
        ("x: Frame = None", "is annotated Frame, which cannot be asked for in a form; use one of int"),
        ("from lib import Colour\nx: Colour = Colour.RED", "which is imported"),
        ("x: Optional = 1", "write `Optional[…]`"),
        ("x: Optional[int, str] = 1", "it takes one"),
        ("x: list[int, str] = []", "it takes one"),
        ("x: 5 = 5", "is no type"),
        ("x: 'int(' = 5", "not valid Python"),
        ("x: dict[int, str] = {}", "write `dict[str, …]`"),
        ("x: set[list[int]] = set()", "use list[…]"),
        ("x: list[SecretStr] = []", "a parameter of its own"),
        ("x: SecretStr | str = ''", "annotate it SecretStr"),
        ("x: Literal[1.5] = 1.5", "a choice that is not plain text"),
        ("x: Literal['a\\0'] = 'a'", "a choice that is not plain text"),
        ("x: Annotated[int, Field(ge=5, le=1)] = 3", "leave no value between them"),
        ("x: Annotated[int, Field(gt=1, lt=1)]", "leave no value between them"),
        ("x: Annotated[int, at.Predicate(f)] = 3", "`at.Predicate(f)`, which is not known here"),
        ("x: Annotated[int, Field(ge=y)] = 3", "ge= that is no literal"),
        ("x: Annotated[int, Field(ge='a')] = 3", "ge= that is not a number"),
        ("x: Annotated[int, Field(multiple_of=0)] = 3", "not above zero"),
        ("x: Annotated[int, Field(min_length=1)] = 3", "does not go with its type"),
        ("x: Annotated[int, Field(decimal_places=1)] = 3", "is not known here"),
        ("x: Annotated[int, Field(5)] = 3", "write it after the `=`"),
        ("x: Annotated[str, Field(pattern='(?=a)')] = 'a'", "pattern that cannot be used"),
        ("x: Annotated[str, Field(pattern='(')] = 'a'", "pattern that cannot be used"),
        ("x: int = Field(5, ge=1)", "write `x: Annotated[int, Field(…)] = 5`"),
        ("A = list['A']\nx: A = []", "nested too deeply"),
        # Enum classes
        ("class X(Flag):\n    A = 1", "a Flag cannot be chosen"),
        ("class X(Enum):\n    pass", "leaves nothing to choose"),
        ("class X(Enum):\n    A = f()", "must be a literal"),
        ("class X(Enum):\n    A = 1\nx = X.B", "no member of X; it has A"),
        ("class X(Enum):\n    A = 1\nX = X.A", "is a class of this cell too"),
        # names
        (f"{'x' * 101} = 1", "too long for a name"),
    ],
)
def test_it_is_refused_with_line_and_fix(statement: str, words: str) -> None:
    error = refused(f"# one line before\n{statement}")

    (problem,) = error.problems
    assert words in problem.message
    assert problem.message.startswith("Cell 2, line ")
    assert problem.line is not None
    assert 2 <= problem.line <= 1 + len(statement.splitlines())
    assert problem.field.split(".")[0] == "parameters"
    assert "hunter2" not in str(error) + str(error.problems)


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a = 1\nb = = 2", 2, "this is not valid Python (invalid syntax): `b = = 2`"),
        ("class = 1", 1, "not valid Python"),
        ("__import__('os') = 1", 1, "not valid Python"),
        ("a = (1", 1, "not valid Python"),
        ("return 1", 1, "not valid Python"),
        ("a = 1\nif a:\nb = 2", 3, "not valid Python"),
        ("a = '\x00'", 1, "not valid Python"),
        ("a = " + "9" * 5000, 1, "not valid Python"),
        ("a = " + "-" * 50_000 + "1", 1, "nested too deeply"),
        ("a = " + "1+" * 30_000 + "1", 1, "nested too deeply"),
        ("a = " + "[" * 500 + "]" * 500, 1, "not valid Python"),
        ("a = 1\n!ls", 2, "`!ls` is an IPython command"),
        ("a = 1\n%time b = 2", 2, "`%time b = 2` is an IPython command"),
        ("%%time\na = 1", 1, "`%%time` is an IPython command"),
        ("a = !ls", 1, "`a = !ls` is an IPython command"),
        ("a = 1\na?", 2, "`a?` is an IPython command"),
        ("a = = 1  # why?", 1, "this is not valid Python"),
        ("%matplotlib inline\n\nb = = 2", 3, "`b = = 2`"),
        ("a = 1\r\nb = = 2", 2, "`b = = 2`"),
        ("a = 1\n" * 20_000, 1, "more than 65,536 characters"),
    ],
)
def test_what_is_no_python_is_refused_with_line_and_text(source: str, line: int, words: str) -> None:
    (problem,) = refused(source).problems

    assert problem.line == line
    assert words in problem.message


def test_the_text_of_a_broken_line_is_not_told_where_it_may_hold_a_secret() -> None:
    assert "hunter2" not in refused("password = 'hunter2").detail


def test_all_problems_are_told_at_once_in_order() -> None:
    error = refused("a: int = 'x'\nb = f()\nfor c in (): pass")

    assert [(problem.field, problem.line) for problem in error.problems] == [
        ("parameters.a", 1),
        ("parameters.b", 2),
        ("parameters", 3),
    ]
    assert "3 lines of the parameters cell, cell 2," in error.detail


def test_two_tagged_cells_are_refused_with_both_numbers() -> None:
    cell = {"cell_type": "code", "source": "a = 1", "metadata": {"tags": ["parameters"]}, "outputs": [], "id": "a"}
    raw = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell, {**cell, "id": "b"}]}

    with pytest.raises(InvalidInput, match=r"Cells 1, 2 are tagged `parameters`"):
        infer(read_notebook(json.dumps(raw).encode()))


def test_too_many_parameters_are_refused() -> None:
    assert "more than 200 parameters" in refused("\n".join(f"a{n} = 1" for n in range(201))).detail


@pytest.mark.parametrize(
    "source",
    [
        "A0 = tuple[int, int]\n" + "".join(f"A{n} = tuple[A{n - 1}, A{n - 1}]\n" for n in range(1, 40)) + "x: A39",
        "x = " + "(2**500)*" * 5000 + "1",
        "x = 'a' + " * 8000 + "'a'",
        "x: Literal[" + ", ".join(map(str, range(9000))) + "] = 1",
        f"x = 1  # {'[' * 60_000}",
        f"x = 1  # {'[1..' * 15_000}",
        "x = " + "0x" + "f" * 60_000,
    ],
)
def test_hostile_cells_are_refused_quickly(source: str) -> None:
    begin = time.perf_counter()
    assert len(problems(source)) <= 1
    assert time.perf_counter() - begin < 5


NAMES = st.sampled_from(["a", "b", "_c", "list", "Color", "date", "SecretStr"])
TYPES = st.sampled_from(
    ["int", "'float'", "str | None", "list[date]", "Literal['a', 1]", "dict[str, int]", "SecretStr", "Color", "bytes",
     "1", "int | str | date", "Annotated[int, Field(ge=1)]", "tuple[int, str]", "Optional[int]", "set[str]", "Any"]
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(["1", "-2.5", "'x'", "None", "True", "date(2024, 1, 31)", "date.today()", "Color.RED", "2**70",
                     "float('nan')", "SecretStr('s')", "Path('x')", "b", "...", "'a\\0'", "timedelta(1)", "{}"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.lists(inner, max_size=3).map(lambda parts: f"({', '.join(parts)},)" if parts else "()"),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: f"{{{', '.join(parts)}}}"),
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "<<", "|"]), inner).map(" ".join),
        st.tuples(inner, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}"),
    ),
    max_leaves=4,
)  # fmt: skip
LINES = st.one_of(
    st.tuples(NAMES, VALUES).map(" = ".join),
    st.tuples(NAMES, TYPES).map(": ".join),
    st.tuples(NAMES, TYPES, VALUES).map(lambda line: f"{line[0]}: {line[1]} = {line[2]}"),
    st.tuples(NAMES, NAMES, VALUES).map(lambda line: f"{line[0]}, {line[1]} = {line[2]}"),
    st.sampled_from(
        ["# help [1..5 kg]", "import datetime", "class Color(Enum):\n    RED = 'red'", "%time", "a = 1  # [..0]"]
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(LINES, max_size=5).map("\n".join))
@example("a = 1\x0c\n\x0cb = 2")
@example("a = '''\n# not help\n'''  # help")
def test_whatever_is_accepted_has_a_sound_schema_and_defaults_that_fit_it(source: str) -> None:
    if found := problems(source):
        assert all(problem.line for problem in found)
        return
    schema = read(source).json_schema()
    Draft202012Validator.check_schema(schema)
    stored = json.loads(json.dumps(schema, allow_nan=False).encode())
    assert stored == schema
    defaults = {name: field["default"] for name, field in schema["properties"].items() if "default" in field}
    assert validate(schema | {"required": []}, {}) == defaults
    Draft202012Validator(schema | {"required": []}).validate(defaults)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=80) | st.text("ab=:[](){}'\"#\n %!?.,0123456789*-+\\x", max_size=60))
def test_any_text_is_parameters_or_a_named_error(source: str) -> None:
    assert all(problem.line and problem.message for problem in problems(source))
