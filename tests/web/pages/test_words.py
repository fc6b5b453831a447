"""Times, lengths, values and colours in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.runs.states import ENDED, STATES
from hub_ext.web.pages import words
from hub_ext.web.pages.platform import readable_on

NOW = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (0, "just now"),
        (44, "just now"),
        (59, "1 minute ago"),
        (150, "2 minutes ago"),
        (3600, "1 hour ago"),
        (86_400 * 3, "3 days ago"),
        (86_400 * 65, "2 months ago"),
        (86_400 * 800, "2 years ago"),
        (-7200, "in 2 hours"),
    ],
)
def test_how_long_ago_is_said_in_words(ago: float, said: str) -> None:
    assert words.relative(NOW - timedelta(seconds=ago), NOW) == said


@given(st.integers(-(10**9), 10**9))
def test_any_moment_has_words(seconds: int) -> None:
    assert words.relative(NOW + timedelta(seconds=seconds), NOW)


def test_the_exact_time_is_on_hover() -> None:
    text = str(words.when(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
    assert 'datetime="2026-01-02T03:04:05+00:00"' in text
    assert 'title="2 January 2026, 03:04:05 UTC"' in text
    assert words.when(None) == "never"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0.84, "0.8 s"),
        (42.4, "42 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_lengths_of_time(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"), [(45, "45 minutes"), (60, "1 hour"), (90, "90 minutes"), (720, "12 hours")]
)
def test_minutes(number: int, said: str) -> None:
    assert words.minutes(number) == said


def test_a_number_goes_with_its_noun() -> None:
    assert words.count(1, "run") == "1 run"
    assert words.count(2310, "run") == "2,310 runs"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (True, "yes"),
        (0, "0"),
        ([], "(none)"),
        (["a", 1], "a, 1"),
        ({"a": [1, 2]}, '{"a": [1, 2]}'),
        ([[1], [2]], "[[1], [2]]"),
    ],
)
def test_values_are_read_beside_their_names(value: object, said: str) -> None:
    assert words.json_text(value) == said


def test_what_a_terminal_shows_is_what_is_shown() -> None:
    assert words.plain("\x1b[31mred\x1b[0m\r\n10 %\r20 %\nend\r") == "red\n20 %\nend"


def test_every_state_has_a_word() -> None:
    assert set(words.STATES) == set(STATES)
    assert words.ENDED == ENDED


def test_a_workflow_without_a_picture_has_always_the_same_drawing() -> None:
    hue, points = words.drawing("ann/rainfall")
    assert words.drawing("ann/rainfall") == (hue, points)
    assert 0 <= hue < 360
    assert all(0 < x < 160 and 0 < y < 100 for x, y in points)


@pytest.mark.parametrize(
    ("colour", "text"),
    [("#000", "#fff"), ("#ffffff", "#000"), ("#0b5d1e", "#fff"), ("#ffd500", "#000"), ("#c8102e", "#fff")],
)
def test_the_banner_can_be_read_on_its_colour(colour: str, text: str) -> None:
    assert readable_on(colour) == text
