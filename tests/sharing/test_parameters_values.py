"""Values of a run: what is accepted, filled in, and refused in words for analysts."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hub_ext.errors import InvalidInput
from hub_ext.sharing.notebooks import read_notebook
from hub_ext.sharing.parameters import check_schema, infer, split_secrets, validate

CELL = """\
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal
from pydantic import Field, SecretStr

class Color(Enum):
    RED = "red"
    BLUE = "blue"

years: Annotated[int, Field(ge=1, le=50)] = 5  # How many [years]
rate: float = 0.5  # [..1]
step: Annotated[float, Field(multiple_of=0.25, gt=0)] = 0.5
name: Annotated[str, Field(min_length=1, max_length=5, pattern="^[a-z]+$")] = "abc"
flag = False
day: Annotated[date, Field(ge=date(2020, 1, 1), le=date(2029, 12, 31))] = date(2024, 1, 31)
naive = datetime(2024, 1, 31)
aware = datetime(2024, 1, 31, tzinfo=timezone.utc)
moment: datetime = datetime.now()
clock = time(14, 30)
span = timedelta(hours=1)
price: Annotated[Decimal, Field(ge=0)] = Decimal("1.50")
file = Path("a.csv")
mode: Literal["fast", "slow", 3] = "fast"
color = Color.RED
maybe: int | None = None
cities: Annotated[list[str], Field(min_length=1, max_length=3)] = ["a"]
both: tuple[int, str] = (1, "a")
unique: set[int] = {1}
loose: set = set()
limits: dict[str, float] = {}
many: dict[str, list[date]] = {}
anything: Any = None
either: int | date | str | float = 1
key: SecretStr = SecretStr("")
"""


def schema_of(source: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": ["parameters"]}, "outputs": []}
    raw = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}
    return infer(read_notebook(json.dumps(raw).encode())).json_schema()


SCHEMA = json.loads(json.dumps(schema_of(CELL)))  # as it comes back from a database
JSON_SCHEMA = Draft202012Validator(SCHEMA)


def refused(values: Any, schema: dict[str, Any] = SCHEMA) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        validate(schema, values)
    return error.value


# --- what is accepted -------------------------------------------------------------------------------------------------


def test_defaults_are_filled_in_but_for_what_only_the_notebook_knows() -> None:
    filled = validate(SCHEMA, {})

    assert list(filled) == [name for name in SCHEMA["properties"] if name not in ("moment", "key")]
    assert filled["years"] == 5
    assert filled["aware"] == "2024-01-31T00:00:00+00:00"
    JSON_SCHEMA.validate(filled)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("years", 7, 7),
        ("years", 7.0, 7),  # JSON has one kind of number
        ("rate", 1, 1.0),
        ("step", 0.75, 0.75),
        ("day", "2024-02-29", "2024-02-29"),
        ("naive", "2024-01-31 14:30", "2024-01-31T14:30:00"),
        ("aware", "2024-01-31T14:30:00Z", "2024-01-31T14:30:00+00:00"),
        ("aware", "2024-01-31T14:30:00.5+05:30", "2024-01-31T14:30:00.500000+05:30"),
        ("moment", "2024-01-31T14:30", "2024-01-31T14:30:00"),
        ("moment", "2024-01-31T14:30Z", "2024-01-31T14:30:00+00:00"),
        ("clock", "09:05", "09:05:00"),
        ("span", 90, 90),
        ("span", 0.5, 0.5),
        ("price", " 12.50", "12.50"),
        ("mode", 3.0, 3),
        ("color", "blue", "blue"),
        ("maybe", None, None),
        ("maybe", 0, 0),
        ("cities", ["a", "b"], ["a", "b"]),
        ("both", [2, "b"], [2, "b"]),
        ("unique", [3, 1], [3, 1]),
        ("loose", [1, "1", None], [1, "1", None]),
        ("limits", {"a": 1}, {"a": 1.0}),
        ("many", {"a": ["2024-01-31"]}, {"a": ["2024-01-31"]}),
        ("anything", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("either", 5, 5),
        ("either", 5.5, 5.5),
        ("either", "2024-01-31", "2024-01-31"),
        ("either", "soon", "soon"),
        ("key", "p=ä#1", "p=ä#1"),
    ],
)
def test_a_value_that_fits_is_kept_in_one_way_of_writing(name: str, value: Any, kept: Any) -> None:
    result = validate(SCHEMA, {name: value})

    assert result[name] == kept
    assert type(result[name]) is type(kept)
    assert validate(SCHEMA, result) == result
    JSON_SCHEMA.validate(result)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("years", "5", 'must be a whole number, such as 5, not "5"'),
        ("years", True, "must be a whole number, such as 5, not true"),
        ("years", 5.5, "must be a whole number, such as 5, not 5.5"),
        ("years", None, "must be a whole number, such as 5, not empty (null)"),
        ("years", [], "must be a whole number"),
        ("years", 0, "must be at least 1 years"),
        ("years", 51, "must be at most 50 years"),
        ("years", 10**400, "must be between -9223372036854775807 and 9223372036854775807"),
        ("years", math.nan, "must be a finite number"),
        ("years", math.inf, "must be a finite number"),
        ("rate", math.nan, "must be a finite number"),
        ("rate", -math.inf, "must be a finite number"),
        ("rate", 10**400, "must be a finite number"),
        ("rate", False, "must be a number, such as 1.5, not false"),
        ("rate", 1.5, "must be at most 1"),
        ("step", 0, "must be more than 0"),
        ("step", 0.3, "must be a multiple of 0.25"),
        ("name", 5, "must be text, not 5"),
        ("name", "", "must have at least 1 character"),
        ("name", "abcdef", "must have at most 5 characters"),
        ("name", "a1", "must be text that matches the pattern ^[a-z]+$"),
        ("name", "a\x00", "cannot be stored"),
        ("name", "\ud800", "cannot be stored"),
        ("name", "x" * 1_000_001, "above 1,000,000 bytes"),
        ("flag", 1, "must be true or false, not 1"),
        ("flag", "true", 'must be true or false, not "true"'),
        ("day", "2023-02-30", 'must exist, and "2023-02-30" does not'),
        ("day", "20240131", "must be a date, such as 2024-01-31"),
        ("day", "2024-01-31T00:00", "must be a date, such as 2024-01-31"),
        ("day", "٢٠٢٤-01-31", "must be a date, such as 2024-01-31"),
        ("day", 20240131, "must be a date, such as 2024-01-31"),
        ("day", "2019-12-31", "must be 2020-01-01 or later"),
        ("day", "2030-01-01", "must be 2029-12-31 or earlier"),
        ("naive", "2024-01-31T14:30Z", "must be without a time zone"),
        ("naive", "2024-01-31T25:00", "must exist"),
        ("aware", "2024-01-31T14:30", "must end with its time zone"),
        ("moment", "2024-01-31", "must be a date and time"),
        ("clock", "14", "must be a time of day"),
        ("span", 1e300, "seconds"),
        ("price", 12.5, 'must be a decimal number in quotes, such as "12.50", not 12.5'),
        ("price", "NaN", "must be a decimal number in quotes"),
        ("price", "-1", "must be at least 0"),
        ("file", "", "must have at least 1 character"),
        ("mode", "fsat", "choose one of: fast, slow, 3; did you mean fast?"),
        ("mode", True, "choose one of: fast, slow, 3"),
        ("color", "RED", "choose one of: red, blue"),
        ("cities", "a", 'must be a list, such as ["a", "b"], not "a"'),
        ("cities", [], "must have at least 1 item"),
        ("cities", ["a"] * 4, "must have at most 3 items"),
        ("cities", ["a", 2], "item 2 must be text, not 2"),
        ("both", [1], "must have at least 2 items"),
        ("both", [1, 2], "item 2 must be text, not 2"),
        ("unique", [1, 1.0], "item 2 (1) is there twice"),
        ("loose", [[]], "item 1 must be plain text"),
        ("limits", [], "must be an object"),
        ("limits", {"a": "b"}, "“a” must be a number"),
        ("many", {"a": ["x"]}, "“a” item 1 must be a date"),
        ("anything", math.inf, "must be a finite number"),
        ("anything", [10**30], "whole numbers between"),
        ("anything", {"a": {1, 2}}, "type set, which JSON does not have"),
        ("anything", {1: 2}, "a key that is not text"),
        ("anything", [0] * 100_001, "more than 100,000 values"),
        ("either", None, "must be"),
        ("either", [], "must be a whole number, such as 5, not [] or must be a date"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_in_words(name: str, value: Any, words: str) -> None:
    error = refused({name: value})

    (problem,) = error.problems
    assert problem.field == f"parameters.{name}"
    assert words in problem.message
    assert len(problem.message) < 400


def test_deep_nesting_is_refused_without_recursion() -> None:
    value: Any = None
    for _ in range(100_000):
        value = [value]

    assert "nested more than 32 levels deep" in refused({"anything": value}).detail
    while value:  # taken apart here, since the interpreter would do it by recursion
        value = value.pop()


def test_an_unknown_name_is_refused_with_the_nearest_or_all() -> None:
    assert refused({"yeers": 5}).problems[0].message == "is not a parameter of this workflow; did you mean years?"
    assert "this workflow has years, rate" in refused({"qqqqqqq": 5}).detail
    assert "has no parameters" in refused({"a": 5}, schema_of("")).detail
    assert refused({"x" * 5000: 1, "\ud800": 2, 3: 4}).problems[0].field == "parameters." + "x" * 100


def test_a_missing_value_is_refused_with_what_is_expected() -> None:
    schema = schema_of("from typing import Literal\na: int\nb: Literal['x', 'y']")

    assert {problem.field: problem.message for problem in refused({}, schema).problems} == {
        "parameters.a": "is missing; it must be a whole number, such as 5",
        "parameters.b": "is missing; it must be one of: x, y",
    }


def test_all_wrong_fields_are_told_at_once() -> None:
    error = refused({"years": 0, "rate": "x", "nope": 1})

    assert sorted(problem.field for problem in error.problems) == [
        "parameters.nope",
        "parameters.rate",
        "parameters.years",
    ]
    assert error.detail == "3 parameters cannot be accepted."


@pytest.mark.parametrize("values", [None, [], "x", 5])
def test_what_is_no_object_is_refused(values: Any) -> None:
    assert refused(values).problems[0].field == "parameters"


def test_the_bound_on_text_is_for_all_values_together() -> None:
    assert validate(SCHEMA, {"anything": "x" * 900_000})["anything"]
    error = refused({"anything": "x" * 900_000, "either": "ä" * 60_000})
    assert [problem.field for problem in error.problems] == ["parameters.either"]


def test_a_multiple_is_meant_as_it_is_written() -> None:
    schema = schema_of("from typing import Annotated\na: Annotated[float, Field(multiple_of=0.1)] = 0.3")

    assert validate(schema, {"a": 0.7}) == {"a": 0.7}
    assert "multiple of 0.1" in refused({"a": 0.75}, schema).detail


def test_a_pattern_that_would_take_for_ever_does_not() -> None:
    schema = schema_of("a: Annotated[str, Field(pattern='^(a+)+$')] = 'a'")

    assert "matches the pattern" in refused({"a": "a" * 50_000 + "b"}, schema).detail


@pytest.mark.parametrize("value", ["hunter2\x00", 5, ["hunter2"], "hunter2" * 20_000])
def test_no_message_holds_a_secret(value: Any) -> None:
    error = refused({"key": value})

    assert "hunter2" not in error.detail + str(error.problems)
    assert error.problems[0].field == "parameters.key"


def test_secrets_are_split_off() -> None:
    schema = schema_of("a = 1\nb: SecretStr\nc: SecretStr | None = None")

    assert split_secrets(schema, {"a": 1, "b": "s", "c": None}) == ({"a": 1, "c": None}, {"b": "s"})


# --- properties -------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["fast", "red", "2024-01-31", "2024-01-31T10:00", "2024-01-31T10:00Z", "10:00", "1.5", 3, 0.3]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "other"]), JSON, max_size=4))
def test_what_is_accepted_fits_the_json_schema_and_stays_the_same(values: dict[str, Any]) -> None:
    try:
        result = validate(SCHEMA, values)
    except InvalidInput as error:
        fields = {problem.field.removeprefix("parameters.") for problem in error.problems}
        assert fields <= set(values)
        return
    json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
    JSON_SCHEMA.validate(result)
    assert validate(SCHEMA, result) == result


# --- the schema itself ------------------------------------------------------------------------------------------------


def test_our_own_schema_is_sound() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    check_schema(SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"properties": {"__import__('os')": SCHEMA["properties"]["years"]}},
        {"properties": {"class": SCHEMA["properties"]["years"]}},
        {"properties": {"_a": SCHEMA["properties"]["years"]}},
        {"properties": {"a": {"type": "integer"}}},
        {"properties": {"a": {"x-hub-ext": {"kind": "code"}}}},
        {"properties": {"a": {"x-hub-ext": {"kind": "list"}}}},
        {"properties": {"a": {"enum": [1], "x-hub-ext": {"kind": "enum", "enum_class": "print(1);X"}}}},
        {"properties": []},
        {"$schema": "https://json-schema.org/draft-07/schema#"},
    ],
)
def test_a_schema_that_is_not_ours_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        check_schema(SCHEMA | change)
