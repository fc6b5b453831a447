"""What a parameters cell says beside its values: secrets, help texts, and what its author should know."""

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


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "required", "found"),
    [
        ("key: SecretStr", ["key"], 0),
        ("key: SecretStr = ''", [], 0),
        ("key = SecretStr('')", [], 0),
        ("key: Optional[SecretStr] = None", [], 0),
        ("key: SecretStr = SecretStr(os.environ['hunter2'])", [], 0),
        ("key = SecretStr(os.environ['hunter2'])", [], 0),
        ("key: SecretStr = 'hunter2'", [], 1),
        ("key: SecretStr = SecretStr('hunter2')", [], 1),
        ("key = SecretStr('hunter2')", [], 1),
        ("key: SecretStr = fetch('hunter2')", [], 0),
    ],
)
def test_the_default_of_a_secret_is_never_in_the_schema(source: str, required: list[str], found: int) -> None:
    whole = schema(source)
    secret = whole["properties"]["key"]

    assert secret["type"] in ("string", ["string", "null"])
    assert (secret["writeOnly"], secret["format"], whole["required"]) == (True, "password", required)
    assert "default" not in secret
    assert "hunter2" not in json.dumps(whole) + str(read(source, IMPORTS))
    assert len(findings(source)) == found


def test_an_expression_that_makes_a_secret_is_not_shown() -> None:
    hidden = one("from pydantic import SecretStr as S\naddress: str = join(S('hunter2'))")

    assert hidden["x-hub-ext"]["computed"] == "hidden"


def test_a_secret_that_is_not_pydantics_is_plain_text_in_the_notebook() -> None:
    found = read("from vault import SecretStr\nkey: SecretStr")

    assert found.items[0].secret
    assert found.items[0].schema["x-hub-ext"]["class"] == "str"
    assert "not imported from pydantic" in found.warnings[0].message


def test_a_name_that_looks_secret_is_a_finding() -> None:
    assert "looks like a secret" in findings("api_key = 'x'")[0]
    assert findings("tokens_per_minute = 5\nkey = 'x'\nauthor = 'token'") == []


# --- help, range and unit ---------------------------------------------------------------------------------------------


def test_help_is_the_comment_above_and_beside() -> None:
    found = schema(
        "# Parameters\n\n# About nothing\n\n#: How many\n# years\nyears = 5  # to look back\n"
        "a = 1  # noqa: E501\n# ----\nb = (  # first\n  2\n)  # last\nc = '# no help'"
    )["properties"]

    assert [field.get("description") for field in found.values()] == [
        "How many years to look back",
        None,
        "first last",
        None,
    ]


def test_the_title_is_made_of_the_name() -> None:
    assert one("start_date = 1")["title"] == "Start date"


@pytest.mark.parametrize(
    ("brackets", "part"),
    [
        ("[1..50]", {"minimum": 1, "maximum": 50}),
        ("[0.5..]", {"minimum": 0.5}),
        ("[.. 5 km]", {"maximum": 5, "unit": "km"}),
        ("[-1..1e3 °C].", {"minimum": -1, "maximum": 1000.0, "unit": "°C"}),
        ("[1..50 years]", {"minimum": 1, "maximum": 50, "unit": "years"}),
        ("[kg/m³]", {"unit": "kg/m³"}),
        ("[%]", {"unit": "%"}),
    ],
)
def test_brackets_at_the_end_of_help_are_range_and_unit(brackets: str, part: dict[str, Any]) -> None:
    for source in (f"value = 1  # How many {brackets}", f"value: Decimal | None = None  # How many {brackets}"):
        found = one(source)
        unit = {"unit": found["x-hub-ext"]["unit"]} if "unit" in found["x-hub-ext"] else {}
        limits = {key: found[key] for key in ("minimum", "maximum") if key in found}
        assert limits | unit == part
        assert found["description"] == "How many"


@pytest.mark.parametrize(
    "brackets", ["[50..1]", "[1]", "[..]", "[optional]", "[see the notes]", "[1..x..2]", "[1-5]", "[]"]
)
def test_brackets_that_say_nothing_stay_in_the_text(brackets: str) -> None:
    assert one(f"value = 1  # How many {brackets}")["description"] == f"How many {brackets}"


def test_brackets_belong_to_the_text_where_the_kind_is_no_number() -> None:
    assert one("value = 'a'  # Name [1..5]")["description"] == "Name [1..5]"


def test_the_bounds_of_field_win_over_brackets() -> None:
    found = one("value: Annotated[int, Field(ge=2)] = 5  # Of years [1..9 y]")

    assert (found["minimum"], found.get("maximum"), found["x-hub-ext"]["unit"]) == (2, None, "y")


def test_text_of_several_lines_asks_for_room() -> None:
    assert one('value = """a\nb"""')["x-hub-ext"]["multiline"] is True


# --- findings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words", "line"),
    [
        ("a = 1\na = 2", "`a` is set again; line 1 has no effect", 2),
        ("a = 1\n_b = 2", "`_b` begins with `_`", 2),
        ("a = 1\n__import__ = 2", "`__import__` begins with `_`", 2),
        ("a = {}\na['x'] = 1", "`a['x'] = …` changes a value", 2),
        ("a = 1\nobject_.x = 1", "`object_.x = …` changes a value", 2),
        ("list = 1", "`list` hides", 1),
        ("a: str = None", "annotated without None", 1),
        ("%matplotlib inline\na = 1", "`%matplotlib inline` is left out", 1),
    ],
)
def test_what_works_otherwise_than_it_looks_is_a_finding(source: str, words: str, line: int) -> None:
    (finding,) = read(source, IMPORTS).warnings

    assert words in finding.message
    assert finding.fix
    assert finding.line == line


def test_what_is_no_parameter_and_does_no_harm_says_nothing() -> None:
    found = read('"""Docs."""\nimport os\nprint("x")\nif True:\n    print("y")\nassert True\na = 1\npass')

    assert [item.name for item in found.items] == ["a"]
    assert found.warnings == ()


def test_the_last_value_of_a_name_counts() -> None:
    assert one("a = 1\na = 'x'")["default"] == "x"


def test_without_a_tagged_cell_there_are_no_parameters_and_a_fix() -> None:
    for tag, fix in (("other", "Tag the cell"), ("Parameter", "Cell 1 is tagged `Parameter`: write it `parameters`.")):
        found = read("a = 1", tag=tag)
        assert found.items == ()
        assert fix in found.warnings[0].fix
        assert found.json_schema()["properties"] == {}


def test_an_empty_cell_is_a_finding() -> None:
    assert findings("# nothing") == ["The parameters cell sets nothing."]


def test_a_cell_left_from_an_earlier_run_is_a_finding() -> None:
    cells = [
        {"cell_type": "code", "source": "a = 1", "metadata": {"tags": [tag]}, "outputs": [], "execution_count": None}
        for tag in ("parameters", "injected-parameters")
    ]
    raw = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}

    (finding,) = infer(read_notebook(json.dumps(raw).encode())).warnings

    assert "Cell 2" in finding.message


def test_names_are_as_python_reads_them() -> None:
    assert list(schema("ﬁrst = 1\nпароль_ = 2\nmatch = 3")["properties"]) == ["first", "пароль_", "match"]
