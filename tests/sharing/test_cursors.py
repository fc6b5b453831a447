"""Cursors come back as they were given, and nothing else is taken for one."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput
from hub_ext.sharing.cursors import read_cursor, write_cursor

SHAPE = (int, datetime, str)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.integers(0, 2**31 - 1), st.none() | TIMES, st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_values_come_back(number, at, text):
    assert read_cursor("used", write_cursor("used", number, at, text), SHAPE) == [number, at, text]


def forged(*content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "é", "%%%", "\ud800", "A" * 3000, "[]", "bnVsbA",
        forged(), forged("used"), forged("updated", 1, None, "w"), forged("used", "1", None, "w"),
        forged("used", True, None, "w"), forged("used", -1, None, "w"), forged("used", 2**70, None, "w"),
        forged("used", 1, "yesterday", "w"), forged("used", 1, "2026-01-01T00:00:00", "w"), forged("used", 1, 5, "w"),
        forged("used", 1, "0001-01-01T00:00:00+14:00", "w"), forged("used", 1, None, ["w"]),
        forged("used", 1, None, "\ud800"), forged("used", 1, None, "a\0"), forged("used", 1, None, "w", "more"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_name(cursor):
    with pytest.raises(InvalidInput, match="leave it out to begin at the first page") as caught:
        read_cursor("used", cursor, SHAPE)
    assert caught.value.problems[0].field == "cursor"


@given(st.text(st.characters()))
def test_no_text_whatever_breaks_the_reading(text):
    with pytest.raises(InvalidInput):
        read_cursor("used", text, SHAPE)
