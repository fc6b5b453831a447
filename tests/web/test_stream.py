"""Events on the wire."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub_ext.web.stream import Streams, encode


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


async def test_closing_ends_every_stream() -> None:
    streams = Streams()
    tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(3)]
    for task in tasks:
        streams.add(task)
    assert len(streams) == 3
    streams.close()
    await asyncio.wait(tasks, timeout=5)
    assert all(task.cancelled() for task in tasks)
    assert len(streams) == 0
