"""The cell that is injected: it sets exactly the values, and can hold nothing else."""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import enum
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput
from hub_ext.sharing.notebooks import read_notebook
from hub_ext.sharing.parameters import environment_name, infer, injection, validate

COLOR = "from enum import Enum, auto\nclass Color(Enum):\n    RED = 'red'\n    BLUE = 'b\\'l\"ue'\n    ONE = 1\n"
SIZE = "class Size(Enum):\n    S = auto()\n    M = (1, 2)\n"


def schema_of(source: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": ["parameters"]}, "outputs": []}
    raw = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}
    made = infer(read_notebook(json.dumps(raw).encode())).json_schema()
    return dict(json.loads(json.dumps(made)))


def run(source: str, **names: Any) -> dict[str, Any]:
    """Return what the source sets, once it is clear that it does nothing else."""
    assert_only_assignments(source)
    space: dict[str, Any] = dict(names)
    exec(compile(source, "injected", "exec"), space)
    return {name: value for name, value in space.items() if name != "__builtins__" and name not in names}


CALLS = {
    "__import__('datetime').date", "__import__('datetime').datetime.fromisoformat",
    "__import__('datetime').time.fromisoformat", "__import__('datetime').timedelta", "__import__('decimal').Decimal",
    "__import__('pathlib').Path", "__import__('builtins').frozenset", "__import__('pydantic').SecretStr", "Color",
}  # fmt: skip
LOOK_UPS = {"Size", "__import__('os').environ"}


def assert_only_assignments(source: str) -> None:
    for statement in ast.parse(source).body:
        assert isinstance(statement, ast.Assign)
        assert [type(target) for target in statement.targets] == [ast.Name]
        assert_known(statement.value)


def assert_known(node: ast.expr) -> None:
    """Fail unless an expression is made of literals and of calls of known constructors with literals."""
    match node:
        case ast.Constant():
            return
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return
        case ast.Starred(value=ast.Tuple(elts=[])):
            return
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            inner = parts
        case ast.Dict(keys=keys, values=values):
            inner = [*(key for key in keys if key is not None), *values]
            assert None not in keys
        case ast.Call(func=func, args=args, keywords=[]):
            assert ast.unparse(func) in CALLS
            inner = args
        case ast.Subscript(value=looked, slice=ast.Constant() as key):
            assert ast.unparse(looked) in LOOK_UPS
            inner = [key]
        case _:
            raise AssertionError(ast.dump(node))
    for part in inner:
        assert_known(part)


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same types, all the way down."""
    if type(left) is not type(right) or left != right:
        return False
    if isinstance(left, list | tuple):
        return all(map(same, left, right))
    if isinstance(left, dict):
        return all(same(left[key], right[key]) for key in left)
    return True


# --- each kind --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        ("int", 5, 5),
        ("int", -5, -5),
        ("float", 5, 5.0),
        ("float", -1e300, -1e300),
        ("str", "a'b\"c\\\n\t#{x}%s é \u202e", "a'b\"c\\\n\t#{x}%s é \u202e"),
        ("bool", True, True),
        ("int | None", None, None),
        ("date", "2024-01-31", dt.date(2024, 1, 31)),
        ("datetime", "2024-01-31T10:00", dt.datetime(2024, 1, 31, 10)),  # noqa: DTZ001 (none is meant)
        ("datetime", "2024-01-31T10:00Z", dt.datetime(2024, 1, 31, 10, tzinfo=dt.UTC)),
        ("time", "10:00:01.5", dt.time(10, 0, 1, 500_000)),
        ("timedelta", -90.5, dt.timedelta(seconds=-90.5)),
        ("Decimal", "1.10", decimal.Decimal("1.10")),
        ("Path", "a b/ü.csv", pathlib.Path("a b/ü.csv")),
        ("Literal['a', 2]", 2, 2),
        ("Any", {"a": [1, None, {"b": True}]}, {"a": [1, None, {"b": True}]}),
        ("list[date]", ["2024-01-31"], [dt.date(2024, 1, 31)]),
        ("dict[str, list[Path | None]]", {"a": ["x", None]}, {"a": [pathlib.Path("x"), None]}),
        ("tuple[int, str]", [1, "a"], (1, "a")),
        ("tuple[int, ...]", [1], (1,)),
        ("tuple[int, ...]", [], ()),
        ("set[int]", [1, 2], {1, 2}),
        ("set[int]", [], set()),
        ("frozenset[str]", ["a"], frozenset({"a"})),
        ("int | float", 5, 5),
        ("int | float", 5.5, 5.5),
        ("float | int", 5, 5),
        ("int | date | str", "2024-01-31", dt.date(2024, 1, 31)),
        ("int | date | str", "soon", "soon"),
        ("list[int | str]", [1, "1"], [1, "1"]),
    ],
)
def test_a_value_becomes_the_python_object_that_is_meant(declared: str, value: Any, expected: Any) -> None:
    schema = schema_of(f"x: {declared}")

    made = injection(schema, validate(schema, {"x": value}))

    assert made.secrets == {}
    assert same(run(made.source), {"x": expected})


def test_members_of_an_enum_are_looked_up_in_the_class_of_the_cell() -> None:
    space: dict[str, Any] = {}
    exec(COLOR + SIZE, space)
    schema = schema_of(COLOR + SIZE + "a = Color.RED\nb = [Color.RED]\nc = Color.RED\nd = Size.S")

    made = run(
        injection(schema, validate(schema, {"a": "b'l\"ue", "b": ["red"], "c": 1, "d": "M"})).source,
        Color=space["Color"],
        Size=space["Size"],
    )

    color, size = space["Color"], space["Size"]
    assert made == {"a": color.BLUE, "b": [color.RED], "c": color.ONE, "d": size.M}
    assert isinstance(made["a"], enum.Enum)


SAMPLER = f"""\
from datetime import *
from decimal import Decimal
from pathlib import Path
{COLOR}{SIZE}
a = 1; b = 1.0; c = 'x\\n'; d = True; e = None; f = date(2024, 1, 31)
g = datetime(2024, 1, 31, 1, 2, 3, 4); h = datetime(2024, 1, 31, tzinfo=timezone(timedelta(hours=-2)))
i = time(1, 2); j = timedelta(days=-1, microseconds=1); k = Decimal('1E+3'); l = Path('a') / 'b'
m = [1, 2.5]; n = (1, 'a'); o = {{'a', 'b'}}; p = {{'a': {{'b': [1]}}}}; q = Color.BLUE; r = Size.M
s = {{'a': date(2024, 1, 31)}}; t: tuple[int, date] = (1, date(2024, 1, 1)); u = set(); v = frozenset([1])
"""


def test_defaults_make_the_same_objects_as_the_cell_itself() -> None:
    space: dict[str, Any] = {}
    exec(SAMPLER, space)
    schema = schema_of(SAMPLER)

    made = run(injection(schema, validate(schema, {})).source, Color=space["Color"], Size=space["Size"])

    assert sorted(made) == [*"abcdefghijklmnopqrstuv"]
    assert {name: (type(value), value) for name, value in made.items()} == {
        name: (type(space[name]), space[name]) for name in made
    }


def test_a_default_that_json_would_change_is_left_to_the_notebook() -> None:
    schema = schema_of(
        "from datetime import *\na = timedelta(days=999_999, microseconds=1)\nb: date | str = '2024-01-31'"
    )

    assert validate(schema, {}) == {}


def test_nothing_is_injected_for_what_has_no_value() -> None:
    schema = schema_of("import os\na: str = os.environ['HOME']\nb: SecretStr = ''")

    assert injection(schema, validate(schema, {})).source == ""


def test_the_injected_cell_works_whatever_the_notebook_hides() -> None:
    names = ["date", "set", "list", "float", "str", "datetime", "Path", "frozenset"]
    schema = schema_of("\n".join(f"{name} = 1" for name in names) + "\nz: set[int] = {1}\ny: Path = Path('x')")
    values = validate(schema, {"z": []})

    made = run("\n".join([injection(schema, values).source] * 2))

    assert made["z"] == set()
    assert made["y"] == pathlib.Path("x")


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_secret_is_read_from_the_environment_and_never_in_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of("from pydantic import SecretStr\na: SecretStr\nb: SecretStr | None = None\nc = 1")

    made = injection(schema, validate(schema, {"a": "hunter2", "b": None}))

    assert made.secrets == {"a": "HUB_EXT_SECRET_A"}
    assert "hunter2" not in made.source
    monkeypatch.setitem(os.environ, "HUB_EXT_SECRET_A", "hunter2")
    assert run(made.source) == {"a": pydantic.SecretStr("hunter2"), "b": None, "c": 1}


def test_a_secret_of_no_known_class_is_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of("a: 'SecretStr'")
    monkeypatch.setitem(os.environ, "HUB_EXT_SECRET_A", "hunter2")

    assert run(injection(schema, {"a": "x"}).source) == {"a": "hunter2"}


def test_two_secrets_never_share_a_variable() -> None:
    names = ["token", "Token", "TOKEN", "tokén", "tok_n", "token_x1", "ключ", "шлюз"]

    variables = {environment_name(name) for name in names}

    assert len(variables) == len(names)
    assert environment_name("api_key") == "HUB_EXT_SECRET_API_KEY"
    assert all(variable.isascii() and variable.isidentifier() for variable in variables)


# --- what must not become code ----------------------------------------------------------------------------------------


class Evil(str):
    """Text whose representation is code."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "__import__('os').abort()"


@pytest.mark.parametrize("value", [Evil("x"), [Evil("x")], {"a": Evil("x")}, {Evil("x"): 1}, float("nan"), object()])
@pytest.mark.parametrize("declared", ["Any", "str", "list", "dict", "Path", "Literal['x']", "int | str"])
def test_only_exact_types_are_written(declared: str, value: Any) -> None:
    schema = schema_of(f"a: {declared}")

    try:
        source = injection(schema, {"a": value}).source
    except (InvalidInput, TypeError):
        return
    assert_only_assignments(source)
    assert "abort" not in source


@pytest.mark.parametrize(
    "properties",
    [
        {"__import__('os').abort()": {"type": "integer", "x-hub-ext": {"kind": "integer"}}},
        {"a = 1; b": {"type": "integer", "x-hub-ext": {"kind": "integer"}}},
        {"a": {"enum": [1], "x-hub-ext": {"kind": "enum", "enum_class": "exit", "enum_by": "value); (1"}}},
        {"a": {"enum": [1], "x-hub-ext": {"kind": "enum", "enum_class": "f()"}}},
        {"a": {"x-hub-ext": {"kind": "list", "collection": "evil"}, "items": 5}},
    ],
)
def test_a_schema_that_was_tampered_with_makes_no_other_code(properties: dict[str, Any]) -> None:
    schema = schema_of("a = 1") | {"properties": properties}

    try:
        source = injection(schema, dict.fromkeys(properties, 1)).source
    except InvalidInput:
        return
    assert source == "a = exit(1)"  # a class of that name is the notebook's own to define


# --- properties -------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
ZONES = st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SPANS = st.integers(-(10**12), 10**12).map(lambda count: dt.timedelta(milliseconds=count))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
Pairs = st.SearchStrategy[tuple[Any, Any]]  # JSON, and the Python object that it means


def pairs(objects: st.SearchStrategy[Any], to_json: Any = lambda value: value) -> Pairs:
    return objects.map(lambda value: (to_json(value), value))


LEAVES: list[tuple[str, Pairs]] = [
    ("int", pairs(st.integers(-(2**63) + 1, 2**63 - 1))),
    ("float", pairs(FLOATS)),
    ("float", pairs(st.integers(-(2**53), 2**53).map(float), int)),
    ("str", pairs(TEXT)),
    ("bool", pairs(st.booleans())),
    ("date", pairs(st.dates(), dt.date.isoformat)),
    ("datetime", pairs(st.datetimes(timezones=st.none() | ZONES), dt.datetime.isoformat)),
    ("time", pairs(st.times(), dt.time.isoformat)),
    ("timedelta", pairs(SPANS, dt.timedelta.total_seconds)),
    ("Decimal", pairs(st.decimals(allow_nan=False, allow_infinity=False, places=3), str)),
    ("Path", pairs(TEXT.filter(bool).map(pathlib.Path), str)),
    ("Literal['a', 1, True]", pairs(st.sampled_from(["a", 1, True]))),
    ("Any", pairs(PLAIN)),
]  # fmt: skip
Typed = tuple[str, Pairs]


def collected(inner: Typed, kind: str, make: Any) -> Typed:
    annotation, values = inner
    return (
        f"{kind}[{annotation}{', ...' if kind == 'tuple' else ''}]",
        st.lists(values, max_size=3).map(lambda items: ([json for json, _ in items], make(one for _, one in items))),
    )


def optional(inner: Typed) -> Typed:
    return f"Optional[{inner[0]}]", st.just((None, None)) | inner[1]


def keyed(inner: Typed) -> Typed:
    made = st.dictionaries(TEXT, inner[1], max_size=3)
    return f"dict[str, {inner[0]}]", made.map(
        lambda items: ({key: json for key, (json, _) in items.items()}, {key: one for key, (_, one) in items.items()})
    )


TYPED: st.SearchStrategy[Typed] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lambda one: collected(one, "list", list)),
        inner.map(lambda one: collected(one, "tuple", tuple)),
        inner.map(optional),
        inner.map(keyed),
    ),
    max_leaves=3,
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_every_value_of_every_kind_comes_out_as_it_was_meant(data: st.DataObject) -> None:
    typed = data.draw(st.lists(TYPED, min_size=1, max_size=3))
    drawn = [data.draw(values) for _, values in typed]
    schema = schema_of("\n".join(f"p{n}: {annotation}" for n, (annotation, _) in enumerate(typed)))

    values = validate(schema, {f"p{n}": value for n, (value, _) in enumerate(drawn)})
    made = run(injection(schema, values).source)

    assert all(same(made[f"p{n}"], expected) for n, (_, expected) in enumerate(drawn)), made


def test_what_is_injected_runs_in_a_python_that_has_nothing_of_ours() -> None:
    schema = schema_of("a: datetime\nb: set[date]\nc: Path\nd: Any")
    values = {"a": "2024-01-31T10:00Z", "b": ["2024-01-31"], "c": "x", "d": {"é": [1.5, None]}}
    source = injection(schema, validate(schema, values)).source

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", source + "\nprint(a, b, c, d)"], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "2024-01-31 10:00:00+00:00 {datetime.date(2024, 1, 31)} x {'é': [1.5, None]}"
