"""Events on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub_ext.web.stream import encode


@dataclass(frozen=True)
class Told:
    id: str
    type: str
    data: Any


def test_an_event_is_three_lines() -> None:
    assert encode(Told("c-1", "run", {"state": "running"})) == 'id: c-1\nevent: run\ndata: {"state":"running"}\n\n'


def test_an_event_without_a_cursor_moves_none() -> None:
    assert encode(Told("", "now", {})) == "event: now\ndata: {}\n\n"


@given(st.text())
def test_no_text_can_make_a_second_event(text: str) -> None:
    lines = encode(Told("c", "output", {"text": text})).split("\n")
    assert len(lines) == 5
    assert lines[2].startswith("data: ")
