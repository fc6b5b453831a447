"""What the texts of an HTML form mean; what they cannot mean is left for `validate` to name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput
from hub_ext.sharing.notebooks import read_notebook
from hub_ext.sharing.parameters import from_form, infer, validate

CELL = """\
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Literal
from pydantic import SecretStr

class Level(IntEnum):
    LOW = 1
    HIGH = 2

needed: int
needed_text: str
years = 5
rate = 0.5
name = "abc"
flag = True
perhaps: bool | None = None
today: date = date.today()
switch: bool = choose()
day = date(2024, 1, 31)
naive = datetime(2024, 1, 31)
aware = datetime(2024, 1, 31, tzinfo=timezone.utc)
clock = time(14, 30)
span = timedelta(hours=1)
price = Decimal("1.50")
file = Path("a.csv")
mode: Literal["fast", "", 3] = "fast"
level = Level.LOW
maybe: int | None = 3
title: str | None = "x"
cities = ["a"]
picked: list[Literal["a", "b"]] = ["a"]
pair: tuple[int, str] = (1, "a")
settings: dict = {}
anything: Any = 1
either: int | str = 1
when: date | str = "soon"
key: SecretStr = ""
"""


def schema_of(source: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": ["parameters"]}, "outputs": []}
    raw = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}
    return infer(read_notebook(json.dumps(raw).encode())).json_schema()


SCHEMA = schema_of(CELL)
NEEDED = {"needed": ["1"], "needed_text": ["x"]}


def value(name: str, *texts: str) -> Any:
    """Return what one field means, or ``...`` where it is left out."""
    return from_form(SCHEMA, {name: list(texts)}, complete=False).get(name, ...)


@pytest.mark.parametrize(
    ("name", "texts", "meant"),
    [
        ("years", [" 7 "], 7),
        ("years", ["-7"], -7),
        ("years", ["7.0"], 7.0),
        ("rate", ["1.5e-3"], 0.0015),
        ("rate", ["2"], 2),
        ("name", [" a "], " a "),
        ("name", ["a\r\nb"], "a\nb"),
        ("flag", ["on"], True),
        ("flag", ["false", "true"], True),  # a hidden field before the box
        ("flag", ["0"], False),
        ("perhaps", [""], None),
        ("perhaps", ["true"], True),
        ("day", [" 2024-02-29"], "2024-02-29"),
        ("naive", ["2024-02-29T10:00"], "2024-02-29T10:00"),
        ("aware", ["2024-02-29T10:00"], "2024-02-29T10:00+00:00"),
        ("aware", ["2024-02-29T10:00+01:00"], "2024-02-29T10:00+01:00"),
        ("clock", ["10:00"], "10:00"),
        ("span", ["90"], 90),
        ("price", ["12.50"], "12.50"),
        ("file", ["x/y.csv"], "x/y.csv"),
        ("mode", ["3"], 3),
        ("mode", [""], ""),
        ("level", ["2"], 2),
        ("maybe", [""], None),
        ("title", [""], None),
        ("cities", ['["a", "b"]'], ["a", "b"]),
        ("cities", ["a", "b"], ["a", "b"]),
        ("picked", ["b"], ["b"]),
        ("pair", ["2", "b"], [2, "b"]),
        ("settings", ['{"a": [1]}'], {"a": [1]}),
        ("anything", ["null"], None),
        ("anything", ["just words"], "just words"),
        ("either", ["5"], 5),
        ("either", ["five"], "five"),
        ("either", ['"5"'], "5"),
        ("when", ["2024-01-31"], "2024-01-31"),
        ("key", [" s "], " s "),
    ],
)
def test_a_text_means_a_value_that_is_accepted(name: str, texts: list[str], meant: Any) -> None:
    found = value(name, *texts)

    assert found == meant
    assert type(found) is type(meant)
    validate(SCHEMA, {"needed": 1, "needed_text": "x", name: found})


@pytest.mark.parametrize(
    "name", ["years", "day", "today", "switch", "level", "settings", "key", "needed", "needed_text", "file"]
)
def test_an_empty_field_is_left_out_so_that_the_default_counts(name: str) -> None:
    assert value(name, "") is ...
    assert value(name, "  ") is ...


def test_text_with_a_default_may_be_emptied() -> None:
    assert value("name", "") == ""


def test_a_box_without_a_tick_is_false_in_a_complete_form_only() -> None:
    assert from_form(SCHEMA, NEEDED)["flag"] is False
    assert "flag" not in from_form(SCHEMA, NEEDED, complete=False)


def test_nothing_chosen_of_several_is_an_empty_list_in_a_complete_form() -> None:
    assert from_form(SCHEMA, NEEDED)["picked"] == []
    assert "cities" not in from_form(SCHEMA, NEEDED)


def test_a_form_sent_as_it_was_shown_is_accepted() -> None:
    assert validate(SCHEMA, from_form(SCHEMA, NEEDED))["years"] == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("years", "five"),
        ("years", "1 000"),
        ("years", "٥"),
        ("rate", "1,5"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("rate", "1e400"),
        ("flag", "perhaps"),
        ("day", "31.1.2024"),
        ("aware", "soon"),
        ("mode", "slow"),
        ("cities", "a, b"),
        ("cities", "[NaN]"),
        ("cities", "[" * 10_000),
        ("pair", "1"),
        ("settings", "{'a': 1}"),
        ("settings", "1" * 5000),
    ],
)
def test_what_cannot_be_read_is_named_by_validate(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as error:
        validate(SCHEMA, {"needed": 1, "needed_text": "x"} | from_form(SCHEMA, {name: [text]}, complete=False))

    assert [problem.field for problem in error.value.problems] == [f"parameters.{name}"]


def test_a_field_of_no_parameter_is_kept_for_validate_to_name_but_for_the_forms_own() -> None:
    found = from_form(SCHEMA, {"yeers": ["5"], "_xsrf": ["x"]}, complete=False)

    assert found == {"yeers": "5"}


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*SCHEMA["properties"], "x"]), st.lists(st.text(max_size=12), max_size=3), max_size=6
    )
)
def test_any_form_is_read_without_an_error(fields: dict[str, list[str]]) -> None:
    found = from_form(SCHEMA, fields)

    assert set(found) <= set(SCHEMA["properties"]) | {"x"}
    try:
        validate(SCHEMA, found)
    except InvalidInput as error:
        named = {problem.field.removeprefix("parameters.") for problem in error.problems}
        assert named <= set(fields) | {"needed", "needed_text"}
