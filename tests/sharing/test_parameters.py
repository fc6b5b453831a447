"""What a parameters cell means: kinds and defaults."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hub_ext.sharing.notebooks import read_notebook
from hub_ext.sharing.parameters import Parameters, infer

IMPORTS = """\
import datetime, decimal, math, pathlib
import typing as t
from datetime import date, datetime as moment, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, auto
from pathlib import Path
from typing import Annotated, Any, Dict, Final, List, Literal, Optional, Sequence, Tuple, Union

import annotated_types as at
import numpy as np
from pydantic import Field, PositiveInt, SecretStr
"""


def read(source: str, *above: str, tag: str = "parameters") -> Parameters:
    cells = [
        {"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for text in (*above, source)
    ]
    cells[-1]["metadata"] = {"tags": [tag]}
    raw = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    return infer(read_notebook(json.dumps(raw).encode()))


def schema(source: str, *above: str) -> dict[str, Any]:
    whole = read(source, IMPORTS, *above).json_schema()
    Draft202012Validator.check_schema(whole)
    return whole


def one(source: str, *above: str) -> dict[str, Any]:
    """Return the property of the only parameter of a cell."""
    (only,) = schema(source, *above)["properties"].values()
    return dict(only)


def findings(source: str, *above: str) -> list[str]:
    return [finding.message for finding in read(source, IMPORTS, *above).warnings]


# --- kinds from defaults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind", "default"),
    [
        ("0", "integer", 0),
        ("-5", "integer", -5),
        ("1_000", "integer", 1000),
        ("0xff", "integer", 255),
        ("60 * 60", "integer", 3600),
        ("2**10", "integer", 1024),
        ("7 // 2", "integer", 3),
        ("1 << 4", "integer", 16),
        ('int("5")', "integer", 5),
        ("1e3", "number", 1000.0),
        ("-0.5", "number", -0.5),
        ("1 / 4", "number", 0.25),
        ("math.pi", "number", 3.141592653589793),
        ("True", "boolean", True),
        ("not True", "boolean", False),
        ('"a=b#c"', "string", "a=b#c"),
        ("'a' \"b\"", "string", "ab"),
        ('"a" + "b"', "string", "ab"),
        ('f"a"', "string", "a"),
        ("str()", "string", ""),
        ("[1, 2]", "list", [1, 2]),
        ("[]", "list", []),
        ("list()", "list", []),
        ('{"a": [1, None]}', "dict", {"a": [1, None]}),
        ('dict(a=1, b="x=y")', "dict", {"a": 1, "b": "x=y"}),
        ("date(2024, 1, 31)", "date", "2024-01-31"),
        ("datetime.date(year=2024, month=1, day=31)", "date", "2024-01-31"),
        ('date.fromisoformat("2024-01-31")', "date", "2024-01-31"),
        ("date(2024, 1, 31) + timedelta(days=1)", "date", "2024-02-01"),
        ("moment(2024, 1, 31, 14, 30)", "datetime", "2024-01-31T14:30:00"),
        ("datetime.datetime(2024, 1, 31, tzinfo=timezone.utc)", "datetime", "2024-01-31T00:00:00+00:00"),
        ("time(14, 30)", "time", "14:30:00"),
        ("timedelta(hours=2)", "timedelta", 7200),
        ('Path("a b.csv")', "path", "a b.csv"),
        ('pathlib.Path("data") / "x" / "y.csv"', "path", "data/x/y.csv"),
        ('Decimal("1.50")', "decimal", "1.50"),
        ("None", "any", None),
    ],
)
def test_a_default_says_its_kind(source: str, kind: str, default: Any) -> None:
    found = one(f"value = {source}")

    assert found["x-hub-ext"]["kind"] == kind
    assert found["default"] == default
    assert type(found["default"]) is type(default)


def test_a_default_without_imports_is_understood_as_well() -> None:
    plain = read('a = date(2024, 1, 31)\nb = datetime(2024, 1, 31)\nc = datetime.date(2024, 1, 31)\nd = Path("x")')

    assert [item.kind for item in plain.items] == ["date", "datetime", "date", "path"]


def test_imports_of_the_cell_and_of_cells_above_give_names() -> None:
    above = "%matplotlib inline\ntry:\n    from datetime import date as day\nexcept ImportError:\n    pass"

    assert one("from pathlib import Path as P\nvalue = P('x')", above)["x-hub-ext"]["kind"] == "path"
    assert one("value: day", above)["x-hub-ext"]["kind"] == "date"


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ('["a", "b"]', "string"),
        ("[1, 2.5]", "number"),
        ("[date(2024, 1, 31)]", "date"),
        ("[[1], [2]]", "list"),
        ('[1, "a"]', "any"),
    ],
)
def test_a_list_is_of_what_it_holds(source: str, items: str) -> None:
    assert one(f"value = {source}")["items"]["x-hub-ext"]["kind"] == items


@pytest.mark.parametrize(
    ("source", "collection"), [("(1, 2)", "tuple"), ("{2, 1}", "set"), ("frozenset([1])", "frozenset")]
)
def test_tuples_and_sets_stay_what_they_are(source: str, collection: str) -> None:
    found = one(f"value = {source}")

    assert (found["type"], found["x-hub-ext"]["collection"]) == ("array", collection)


def test_the_schema_of_a_set_does_not_depend_on_the_order_of_its_hashes() -> None:
    assert one('value = {"b", "c", "a"}')["default"] == ["a", "b", "c"]


def test_several_targets_are_several_parameters() -> None:
    found = schema("a, (b, c) = 1, ('x', 2.5)\nd = e = True\n[f, g] = 1, 2")["properties"]

    assert {name: field["default"] for name, field in found.items()} == {
        "a": 1, "b": "x", "c": 2.5, "d": True, "e": True, "f": 1, "g": 2,
    }  # fmt: skip
    assert [field["x-hub-ext"]["order"] for field in found.values()] == [1, 2, 3, 4, 5, 6, 7]


# --- kinds from annotations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "part"),
    [
        ("int", {"type": "integer"}),
        ('"int"', {"type": "integer"}),
        ("float", {"type": "number"}),
        ("date", {"type": "string", "format": "date"}),
        ("moment", {"type": "string", "format": "date-time"}),
        ("t.Optional[int]", {"type": ["integer", "null"]}),
        ("int | None", {"type": ["integer", "null"]}),
        ("Union[None, int, int]", {"type": ["integer", "null"]}),
        ("Literal['a', 2, None]", {"enum": ["a", 2, None]}),
        ("Optional[Literal['a']]", {"enum": ["a", None]}),
        ("Any", {}),
        ("PositiveInt", {"type": "integer", "exclusiveMinimum": 0}),
        ("Final[int]", {"type": "integer"}),
        ("Annotated[int, Field(ge=1, le=10)]", {"minimum": 1, "maximum": 10}),
        ("Annotated[float | None, at.Gt(0), at.Lt(1)]", {"exclusiveMinimum": 0, "exclusiveMaximum": 1}),
        ("Annotated[int, at.Interval(ge=0, lt=5), at.MultipleOf(2)]", {"minimum": 0, "exclusiveMaximum": 5,
                                                                       "multipleOf": 2}),
        ("Annotated[str, Field(min_length=1, max_length=3, pattern='^[a-z]+$')]",
         {"minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"}),
        ("Annotated[list[int], at.Len(1, 3)]", {"minItems": 1, "maxItems": 3}),
        ("Annotated[dict, Field(min_length=1)]", {"minProperties": 1}),
        ("Annotated[int, Field(title='Years', description='How many')]", {"title": "Years", "description": "How many"}),
        ("Annotated[int, 'How many']", {"description": "How many"}),
    ],
)  # fmt: skip
def test_an_annotation_says_the_kind(annotation: str, part: dict[str, Any]) -> None:
    found = one(f"value: {annotation}")

    assert {key: found.get(key) for key in part} == part
    assert schema(f"value: {annotation}")["required"] == ["value"]


@pytest.mark.parametrize(
    ("annotation", "kinds"),
    [
        ("list[date]", ["list", "date"]),
        ("List['date']", ["list", "date"]),
        ("Sequence[t.Optional[Path]]", ["list", "path"]),
        ("set[str]", ["list", "string"]),
        ("tuple[int, ...]", ["list", "integer"]),
        ("dict[str, list[int]]", ["dict", "list", "integer"]),
        ("Dict[str, Any]", ["dict", "any"]),
    ],
)
def test_annotations_nest(annotation: str, kinds: list[str]) -> None:
    found = one(f"value: {annotation}")
    seen = [found["x-hub-ext"]["kind"]]
    while (found := found.get("items") or found.get("additionalProperties")) is not None:
        seen.append(found["x-hub-ext"]["kind"])

    assert seen == kinds


def test_a_tuple_of_given_types_has_that_many() -> None:
    found = one("value: Tuple[int, str] = (1, 'a')")

    assert [part["type"] for part in found["prefixItems"]] == ["integer", "string"]
    assert (found["minItems"], found["maxItems"], found["items"]) == (2, 2, False)


def test_a_union_lists_its_parts() -> None:
    found = one("value: int | str | None = None")

    assert [part["type"] for part in found["anyOf"]] == ["integer", "string", "null"]
    assert found["default"] is None


def test_a_type_may_get_a_second_name_in_the_cell() -> None:
    found = schema("Size = Literal['s', 'm']\nMaybe: t.TypeAlias = int | None\nsize: Size = 's'\nn: Maybe = None")

    assert list(found["properties"]) == ["size", "n"]
    assert found["properties"]["size"]["enum"] == ["s", "m"]


def test_a_declaration_and_a_later_value_are_one_parameter() -> None:
    whole = schema("value: float\nvalue = 5")

    assert whole["required"] == []
    assert whole["properties"]["value"]["default"] == 5.0
    assert findings("value: float\nvalue = 5") == []


def test_a_type_comment_is_an_annotation() -> None:
    found = schema("a = None  # type: Optional[int]  how many\nb = [\n  'x'\n]  # type: List[str] names")["properties"]

    assert (found["a"]["type"], found["a"]["description"]) == (["integer", "null"], "how many")
    assert (found["b"]["items"]["type"], found["b"]["description"]) == ("string", "names")


def test_bounds_of_dates_are_kept_beside_the_schema() -> None:
    found = one("value: Annotated[date, Field(ge=date(2020, 1, 1), lt=date(2030, 1, 1))]")

    assert (found["x-hub-ext"]["minimum"], found["x-hub-ext"]["maximum"]) == ("2020-01-01", "2029-12-31")


@pytest.mark.parametrize(
    ("source", "zone"),
    [
        ("value: moment", "any"),
        ("value: moment = moment(2024, 1, 1)", "none"),
        ("value: moment = moment(2024, 1, 1, tzinfo=timezone.utc)", "required"),
        ("value = moment(2024, 1, 1, tzinfo=datetime.timezone(timedelta(hours=1)))", "required"),
    ],
)
def test_whether_a_time_has_a_zone_follows_its_default(source: str, zone: str) -> None:
    assert one(source)["x-hub-ext"]["zone"] == zone


# --- choices from Enum classes ----------------------------------------------------------------------------------------

COLOR = "class Color(Enum):\n    'Colours.'\n    RED = 'red'\n    BLUE = 'blue'\n    def loud(self): return self.name\n"


@pytest.mark.parametrize("default", ["Color.RED", "Color('red')", "Color['RED']"])
def test_an_enum_of_the_cell_gives_choices_by_value(default: str) -> None:
    for source in (f"value: Color = {default}", f"value = {default}"):
        found = one(COLOR + source)
        assert (found["enum"], found["default"]) == (["red", "blue"], "red")
        assert found["x-hub-ext"] | {"order": 1} == {
            "kind": "enum", "enum_class": "Color", "enum_by": "value", "order": 1,
        }  # fmt: skip


def test_an_enum_of_a_cell_above_counts() -> None:
    assert one("value: Color = Color.BLUE", COLOR)["default"] == "blue"


@pytest.mark.parametrize(
    "members", ["A = auto()\n    B = auto()", "A: int = (1, 2)\n    B = None", "A = 1.5\n    B = 2"]
)
def test_an_enum_whose_values_are_not_plain_gives_names(members: str) -> None:
    found = one(f"class Mode(IntEnum):\n    {members}\nvalue = Mode.B")

    assert (found["enum"], found["default"], found["x-hub-ext"]["enum_by"]) == (["A", "B"], "B", "name")


# --- what only the notebook knows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expression"),
    [
        ("value: date = date.today()", "date.today()"),
        ("value: str = os.environ['HOME']", "os.environ['HOME']"),
        ("value: list[int] = [n for n in range(3)]", "[n for n in range(3)]"),
        ("value = float('inf')", "float('inf')"),
        ("value = np.nan", "np.nan"),
        ("value: dict = {1: 'a'}", "{1: 'a'}"),
        ("value = {'size': (1, 2)}", "{'size': (1, 2)}"),
        ("value: str = f'{a}'", "f'{a}'"),
    ],
)
def test_a_computed_default_is_shown_and_not_in_the_schema(source: str, expression: str) -> None:
    found = one(source)

    assert found["x-hub-ext"]["computed"] == expression
    assert "default" not in found
    assert schema(source)["required"] == []


def test_a_default_worked_out_of_another_parameter_is_a_finding() -> None:
    assert findings("start = date(2024, 1, 31)\nend: date = start + timedelta(7)") == [
        "The default of `end` is worked out before a run's own `start` is known."
    ]
