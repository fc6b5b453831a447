"""What somebody who waits for her server is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub_ext.spawner.progress import Progress, usually


async def first(progress: Progress, number: int) -> list[dict[str, Any]]:
    found = []
    async for event in progress.follow():
        found.append(event)
        if len(found) == number:
            return found
    return found


async def test_a_listener_that_comes_late_hears_all_from_the_beginning() -> None:
    progress = Progress()
    progress.tell(5, "Checking")
    progress.tell(20, "Starting")
    assert await first(progress, 2) == [
        {"progress": 5, "message": "Checking"},
        {"progress": 20, "message": "Starting"},
    ]


async def test_two_listeners_hear_of_an_event_at_once() -> None:
    progress = Progress()
    listeners = [asyncio.create_task(first(progress, 1)) for _ in range(2)]
    await asyncio.sleep(0)
    progress.tell(5, "Checking")
    async with asyncio.timeout(0.3):  # less than a tick
        assert [await one for one in listeners] == [[{"progress": 5, "message": "Checking"}]] * 2


async def test_the_bar_moves_with_the_clock_while_the_server_boots_and_never_to_the_end() -> None:
    progress = Progress()
    progress.tell(20, "Starting")
    progress.booting(0.5)
    async with asyncio.timeout(5):
        events = await first(progress, 2)
    assert 20 < events[1]["progress"] <= 95
    assert events[1]["message"] == "Starting"


async def test_the_bar_never_moves_back() -> None:
    progress = Progress()
    progress.tell(20, "Starting")
    progress.booting(1000)
    progress.tell(100, "Cancelled by you")
    assert [event["progress"] for event in await first(progress, 2)] == [20, 100]


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "first start"), (0.9, "about a second"), (3.4, "about 3 seconds")]
)
def test_the_usual_time_is_told_in_words(seconds: float | None, words: str) -> None:
    assert words in usually(seconds)
