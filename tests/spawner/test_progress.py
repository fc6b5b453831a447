"""What somebody who waits for her server is told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
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


@pytest.mark.parametrize(("others", "ticks"), [(0, True), (30, False)])
async def test_while_many_wait_each_hears_of_the_bar_less_often_and_of_what_happens_at_once(
    others: int, ticks: bool
) -> None:
    progress, heard = Progress(), asyncio.Queue[str]()
    progress.tell(20, "Starting")
    progress.booting(2.0)

    async def listen() -> None:
        async for event in progress.follow():
            heard.put_nowait(event["message"])

    waiting = [asyncio.create_task(first(Progress(), 1)) for _ in range(others)]
    await asyncio.sleep(0)
    listener = asyncio.create_task(listen())
    await asyncio.sleep(0.9)  # a tick of one who is alone takes 0.5 s
    assert heard.qsize() == 1 + ticks
    progress.tell(50, "Waiting for a node")
    async with asyncio.timeout(0.3):
        while await heard.get() != "Waiting for a node":
            pass
    for one in (listener, *waiting):
        one.cancel()
    await asyncio.gather(listener, *waiting, return_exceptions=True)


async def test_who_listens_no_more_does_not_count_among_many() -> None:
    gone = [Progress() for _ in range(30)]
    for progress in gone:
        progress.tell(5, "Checking")
        async with aclosing(progress.follow()) as events:
            await anext(events)
    progress = Progress()
    progress.tell(20, "Starting")
    progress.booting(2.0)
    async with asyncio.timeout(0.9):
        await first(progress, 2)


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "first start"), (0.9, "about a second"), (3.4, "about 3 seconds")]
)
def test_the_usual_time_is_told_in_words(seconds: float | None, words: str) -> None:
    assert words in usually(seconds)
