"""A form: each kind of parameter gets its field, nothing typed is lost, and what comes back is what was meant."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from hub_ext.errors import InvalidInput, Problem
from hub_ext.sharing.notebooks import read_notebook
from hub_ext.sharing.parameters import infer, validate
from hub_ext.web.pages import forms
from hub_ext.web.pages.forms import Choice, Field
from hub_ext.web.pages.rendering import environment


def schema_of(source: str) -> dict[str, Any]:
    """Return the schema of a notebook whose parameters cell holds a source."""
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})])
    return infer(read_notebook(nbformat.writes(node).encode())).json_schema()


def field_of(source: str, **more: Any) -> Field:
    """Return the one field of a parameters cell."""
    (found,) = forms.fields(schema_of(source), **more)
    return found


def drawn(field: Field) -> str:
    """Return a field as HTML."""
    text = '{% from "_forms.html" import field with context %}{{ field(one) }}'
    return environment().from_string(text).render(one=field)


def sent(fields: list[Field]) -> dict[str, list[str]]:
    """Return what a browser sends for fields that nobody touched."""
    found: dict[str, list[str]] = {}
    for one in fields:
        if one.widget == "checkbox":
            values = ["true"] if one.checked else []
        elif one.choices:
            values = [choice.value for choice in one.choices if choice.chosen]
            values = values or ([one.choices[0].value] if one.widget == "select" else [])
        else:
            values = [one.value.replace("\n", "\r\n")]
        if values:
            found[one.name] = values
    return found


# --- each kind has its field ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "widget", "value"),
    [
        ("years = 5", "number", "5"),
        ("share = 0.5", "number", "0.5"),
        ("share = 90.0", "number", "90"),
        ("name = 'Ann'", "text", "Ann"),
        ("note = 'one\\ntwo'", "textarea", "one\ntwo"),
        ("from datetime import date\nday = date(2024, 1, 31)", "date", "2024-01-31"),
        ("from datetime import time\nat = time(14, 30)", "time", "14:30:00"),
        ("from datetime import datetime\nat = datetime(2024, 1, 31, 14, 30)", "datetime-local", "2024-01-31T14:30:00"),
        ("from pathlib import Path\nwhere = Path('data/in.csv')", "text", "data/in.csv"),
        ("from pydantic import SecretStr\ntoken: SecretStr", "password", ""),
        ("names = ['a', 'b']", "textarea", "a\nb"),
        ("numbers: list[int] = [1, 2]", "textarea", "1\n2"),
        ("pairs = [[1, 2], [3, 4]]", "textarea", "[[1, 2], [3, 4]]"),
        ("options = {'a': 1}", "textarea", '{"a": 1}'),
        ("anything = None", "text", ""),
        ("either: int | str = 5", "text", "5"),
        ("either: int | str = '5'", "text", '"5"'),
    ],
)
def test_a_kind_has_its_field_with_the_default_in_it(source: str, widget: str, value: str) -> None:
    field = field_of(source)
    assert (field.widget, field.value) == (widget, value)


def test_few_short_choices_are_beside_each_other() -> None:
    field = field_of("from typing import Literal\nunit: Literal['km', 'mi'] = 'mi'")
    assert field.widget == "radio"
    assert field.choices == (Choice("km", "km"), Choice("mi", "mi", chosen=True))


def test_many_choices_fold_into_a_list() -> None:
    field = field_of("from typing import Literal\nday: Literal[1, 2, 3, 4, 5, 6] = 3")
    assert field.widget == "select"
    assert [choice.value for choice in field.choices if choice.chosen] == ["3"]


def test_a_choice_that_is_needed_begins_with_none_chosen() -> None:
    field = field_of("from typing import Literal\nunit: Literal['km', 'mi']")
    assert field.choices[0] == Choice("", "Choose…", chosen=True)
    assert field.required
    assert field.mark == "needed"


def test_a_yes_or_no_is_a_box_to_tick() -> None:
    assert field_of("deep = True").checked
    assert not field_of("deep = False").checked


def test_a_yes_or_no_that_may_be_neither_is_a_list() -> None:
    field = field_of("deep: bool | None = None")
    assert [(choice.value, choice.label) for choice in field.choices] == [
        ("", "(none)"),
        ("true", "Yes"),
        ("false", "No"),
    ]


def test_several_of_a_few_choices_are_boxes() -> None:
    field = field_of("from typing import Literal\ncolours: list[Literal['red', 'blue']] = ['blue']")
    assert field.widget == "checkboxes"
    assert [choice.value for choice in field.choices if choice.chosen] == ["blue"]


def test_bounds_unit_and_help_are_shown_and_kept_by_the_browser() -> None:
    field = field_of("window: int = 7  # Smooth over this many days [1..31 days]")
    assert field.hints == ("Smooth over this many days.", "From 1 to 31 days.")
    assert field.unit == "days"
    assert field.attributes["min"] == 1
    assert field.attributes["max"] == 31
    assert field.attributes["step"] == 1


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Field(ge=1)", "At least 1."),
        ("Field(gt=0, lt=1)", "More than 0 and less than 1."),
        ("Field(le=9)", "At most 9."),
    ],
)
def test_a_single_bound_is_said_too(annotation: str, words: str) -> None:
    source = f"from typing import Annotated\nfrom pydantic import Field\nx: Annotated[float, {annotation}] = 0.5"
    assert words in field_of(source.replace("0.5", "1.0" if "ge=1" in annotation else "0.5")).hints


def test_what_the_notebook_works_out_may_be_left_empty() -> None:
    field = field_of("from datetime import date\nday: date = date.today()")
    assert field.value == ""
    assert field.mark == "optional"
    assert field.hints == ("Left empty, the notebook works it out: date.today()",)


def test_a_default_that_counts_when_a_field_is_emptied_is_seen_there() -> None:
    assert field_of("years = 5").attributes["placeholder"] == "5"


def test_fields_stand_in_the_order_of_the_cell() -> None:
    names = [field.name for field in forms.fields(schema_of("b = 1\na = 2\nc = ['x']"))]
    assert names == ["p.b", "p.a", "l.c"]


# --- run again, and after a mistake -----------------------------------------------------------------------------------


def test_run_again_begins_with_the_values_of_the_earlier_run() -> None:
    fields = forms.fields(schema_of("a = 1\nb = ['x']"), values={"a": 7, "b": ["y", "z"]})
    assert [field.value for field in fields] == ["7", "y\nz"]


def test_what_was_typed_stays_and_the_mistake_stands_beside_it() -> None:
    problem = Problem("parameters.years", "must be at most 9")
    field = field_of("years = 5", typed={"p.years": ["99"]}, problems=[problem])
    assert (field.value, field.error) == ("99", "must be at most 9")


@pytest.mark.parametrize(
    ("source", "typed"),
    [
        ("years = 5", "five"),
        ("share = 0.5", "1,5"),
        ("from datetime import date\nday = date(2024, 1, 31)", "31.2.2024"),
        ("from datetime import datetime\nat = datetime(2024, 1, 31)", "tomorrow"),
    ],
)
def test_what_a_picker_cannot_hold_is_kept_as_text(source: str, typed: str) -> None:
    name = forms.fields(schema_of(source))[0].name
    field = field_of(source, typed={name: [typed]})
    assert (field.widget, field.value) == ("text", typed)


def test_a_secret_is_never_sent_back() -> None:
    source = "from pydantic import SecretStr\ntoken: SecretStr"
    field = field_of(source, typed={"p.token": ["hunter2"]}, values={"token": "hunter2"})
    assert "hunter2" not in drawn(field) + repr(field)


def test_a_box_that_was_cleared_stays_cleared() -> None:
    assert not field_of("deep = True", typed={}).checked


# --- and back ---------------------------------------------------------------------------------------------------------

ALL_KINDS = """
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal
years = 5
share = 0.5
name = 'Ann'
note = 'one\\ntwo'
deep = True
shallow = False
day = date(2024, 1, 31)
at = datetime(2024, 1, 31, 14, 30)
clock = time(14, 30)
wait = timedelta(seconds=90)
price = Decimal('12.50')
where = Path('data/in.csv')
unit: Literal['km', 'mi'] = 'mi'
number: Literal[1, 2, 3, 4, 5, 6] = 3
names = ['a', 'b']
numbers: list[float] = [1.5, 2.0]
none_of_them: list[str] = []
colours: list[Literal['red', 'blue']] = ['blue']
options = {'a': [1, {'b': None}]}
maybe: int | None = None
either: int | str = '5'
anything = None
"""


def test_a_form_that_nobody_touched_means_its_defaults() -> None:
    schema = schema_of(ALL_KINDS)
    values = forms.read(schema, sent(forms.fields(schema)))
    assert validate(schema, values) == validate(schema, {})


def test_a_form_begun_with_an_earlier_run_means_its_values() -> None:
    schema = schema_of(ALL_KINDS)
    earlier = validate(
        schema,
        {"years": -3, "deep": False, "names": ["x y", "z"], "colours": [], "maybe": 4, "at": "2020-02-29T00:00:01"},
    )
    assert validate(schema, forms.read(schema, sent(forms.fields(schema, values=earlier)))) == earlier


@given(st.lists(st.text(max_size=40), max_size=6), st.text(max_size=60), st.integers(-(2**63) + 1, 2**63 - 1))
def test_any_values_of_an_earlier_run_survive_the_form(names: list[str], note: str, years: int) -> None:
    schema = schema_of("names = ['a']\nnote = 'b'\nyears = 5")
    try:
        earlier = validate(schema, {"names": names, "note": note.replace("\r", ""), "years": years})
    except InvalidInput:
        return  # characters that nothing can store
    if not earlier["note"].strip():
        return  # a field with blanks alone is an empty one
    assert validate(schema, forms.read(schema, sent(forms.fields(schema, values=earlier)))) == earlier


def test_lines_are_items_and_empty_ones_are_none() -> None:
    schema = schema_of("names = ['a']")
    assert forms.read(schema, {"l.names": [" x \r\n\r\ny\r\n"]}) == {"names": ["x", "y"]}
    assert forms.read(schema, {"l.names": [""]}) == {"names": []}


def test_a_line_that_is_no_number_is_named() -> None:
    schema = schema_of("numbers: list[int] = [1]")
    with pytest.raises(InvalidInput) as caught:
        validate(schema, forms.read(schema, {"l.numbers": ["1\r\nzwei"]}))
    assert caught.value.problems[0].field == "parameters.numbers"
    assert "item 2" in caught.value.problems[0].message


def test_a_list_that_is_needed_and_left_empty_is_missing() -> None:
    schema = schema_of("names: list[str]")
    assert forms.read(schema, {"l.names": ["  "]}) == {}


def test_fields_that_the_form_does_not_have_are_left_out_or_named() -> None:
    schema = schema_of("years = 5")
    assert forms.read(schema, {"_xsrf": ["x"], "version": ["1"], "o.standard.memory": ["4Gi"], "p.years": ["6"]}) == {
        "years": 6
    }
    assert "other" in forms.read(schema, {"p.other": ["1"]})


def test_a_moment_with_a_zone_is_shown_and_read_in_utc() -> None:
    source = "from datetime import datetime, timezone, timedelta\nat = datetime(2024, 1, 31, 1, tzinfo=timezone.utc)"
    schema = schema_of(source)
    (field,) = forms.fields(schema, values={"at": "2024-01-31T01:00:00+02:00"})
    assert field.value == "2024-01-30T23:00:00"
    value = validate(schema, forms.read(schema, {"p.at": [field.value]}))["at"]
    assert dt.datetime.fromisoformat(value) == dt.datetime(2024, 1, 30, 23, tzinfo=dt.UTC)


# --- hostile words ----------------------------------------------------------------------------------------------------

HOSTILE = "\"'><script>alert(1)</script>{{ 7 * 7 }}<img src=x onerror=alert(1)>"


def tags_in(text: str) -> set[str]:
    """Return the names of the elements in HTML."""
    return set(re.findall(r"<([a-z][a-z0-9]*)", text))


PLAIN_TAGS = {"div", "label", "input", "p", "span", "select", "option", "textarea", "fieldset", "legend"}


@pytest.mark.parametrize(
    "widget", ["text", "number", "date", "textarea", "select", "radio", "checkboxes", "checkbox", "password"]
)
def test_no_word_of_anybody_becomes_markup(widget: str) -> None:
    field = Field(
        name=HOSTILE,
        id="p-x",
        label=HOSTILE,
        widget=widget,
        value=HOSTILE,
        hints=(HOSTILE,),
        unit=HOSTILE,
        error=HOSTILE,
        choices=(Choice(HOSTILE, HOSTILE, chosen=True),),
        attributes={"placeholder": HOSTILE, "min": HOSTILE},
    )
    text = drawn(field)
    assert isinstance(Markup(text), str)
    assert tags_in(text) <= PLAIN_TAGS
    assert "49" not in text
    outside = re.sub(r'="[^"]*"', "", text)
    assert "onerror" not in re.sub(r">[^<]*<", "><", outside)


@given(st.text(max_size=200))
def test_a_default_is_shown_as_it_is(text: str) -> None:
    field = Field(name="p.x", id="p-x", label="X", widget="text", value=text)
    assert tags_in(drawn(field)) <= PLAIN_TAGS
    value = re.search(r'value="([^"]*)"', drawn(field))
    assert value is not None
    assert html.unescape(value[1]) == text or "&" in text or "\x00" in text


def test_help_and_choices_of_a_hostile_notebook_are_words() -> None:
    help_, choice = "<script>alert(1)</script>", "<b>bold</b>"
    source = f"from typing import Literal\nx: Literal[{choice!r}, 'b'] = 'b'  # {help_}"
    text = drawn(field_of(source))
    assert tags_in(text) <= PLAIN_TAGS
    assert html.escape(choice) in text
    assert html.escape(help_) in text


def test_json_in_a_field_reads_back_as_it_was() -> None:
    field = field_of("options = {'a': '<b>', 'ü': [1]}")
    assert json.loads(field.value) == {"a": "<b>", "ü": [1]}
    assert field.code
