"""Bars as pictures of numbers."""

from __future__ import annotations

from hub_ext.web.pages.plots import plot


def test_the_longest_bar_has_the_room_that_there_is_and_the_others_their_share() -> None:
    made = plot("Core hours", [("ann", 40.0), ("bea", 10.0), ("carl", 0.0)], "core hours")
    assert made is not None
    longest, quarter, none = made.bars
    assert longest.length == made.width - made.left - 150
    assert quarter.length == longest.length / 4
    assert none.length == 0
    assert [one.top for one in made.bars] == sorted({one.top for one in made.bars})
    assert made.bars[-1].top + made.thick < made.height


def test_the_same_is_told_in_words_and_small_numbers_are_not_none() -> None:
    made = plot("Core hours", [("ann", 1234.56), ("bea", 0.0123)], "core hours")
    assert made is not None
    assert made.text == "Core hours. ann: 1,234.6 core hours; bea: 0.012 core hours."
    assert made.bars[1].words == "0.012 core hours"


def test_what_is_too_long_for_a_label_is_cut_there_alone() -> None:
    made = plot("Hours", [("x" * 60, 1.0)], "h")
    assert made is not None
    assert made.bars[0].label == "x" * 25 + "…"
    assert "x" * 60 in made.text


def test_where_nothing_was_used_there_is_no_picture() -> None:
    assert plot("Hours", [], "h") is None
    assert plot("Hours", [("ann", 0.0)], "h") is None
