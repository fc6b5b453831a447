"""Text as a terminal would show it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.executor.streams import Pending, StreamText, plain, settle


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\rb", "b"),
        ("10 %\r20 %\rdone\n", "done\n"),
        ("kept\n10 %\r20 %", "kept\n20 %"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("typo\b\bed", "tyed"),
        ("\b\bx", "x"),
        ("waits\r", "waits\r"),
        ("a\r\rb", "b"),
    ],
)
def test_what_is_overwritten_is_not_shown(written: str, shown: str) -> None:
    assert settle(written) == shown


@given(st.lists(st.text("ab\n\r\b", max_size=6), max_size=8))
def test_pieces_give_what_the_whole_gives(pieces: list[str]) -> None:
    text = StreamText()
    for piece in pieces:
        text.add(piece)
    once = StreamText()
    once.add("".join(pieces))
    assert text.text().replace("\r", "") == once.text().replace("\r", "")


@given(st.lists(st.text("ab\n\r", max_size=6), max_size=8))
def test_the_size_is_that_of_what_is_kept(pieces: list[str]) -> None:
    text = StreamText()
    for piece in pieces:
        text.add(piece)
    assert text.size - 1 <= len(text.text()) <= text.size


def test_a_long_line_without_an_end_costs_no_more_than_its_length() -> None:
    text = StreamText()
    for _ in range(200_000):
        text.add("x")
    assert text.size == len(text.text()) == 200_000


@pytest.mark.parametrize(
    "text", ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07red", "\x1b[1;38;5;9mred\x1b[K", "red\x1b[?25l"]
)
def test_colours_and_cursor_movements_are_taken_out(text: str) -> None:
    assert plain(text) == "red"


def test_pieces_are_put_together_and_streams_keep_their_order() -> None:
    now, told = [0.0], []
    pending = Pending(lambda name, text: told.append((name, text)), lambda: now[0])
    pending.add("stdout", "a")
    pending.add("stdout", "b")
    assert told == [("stdout", "a")]
    pending.add("stderr", "c")
    assert told == [("stdout", "a"), ("stdout", "b")]
    now[0] = 0.06
    assert pending.due()
    pending.flush()
    assert told[2:] == [("stderr", "c")]
    now[0] = 1.0
    pending.add("stdout", "x" * 100_000)
    assert [len(text) for _, text in told[3:]] == [65536, 34464]


def test_an_event_that_overwrites_the_line_of_the_one_before_says_so() -> None:
    told: list[str] = []
    pending = Pending(lambda _name, text: told.append(text), lambda: 0.0)
    for piece in ("10 %\r", "20 %\r30 %", "\rdone\nnext"):
        pending.add("stdout", piece)
        pending.flush()
    assert told == ["10 %\r", "\r30 %", "\rdone\nnext"]
