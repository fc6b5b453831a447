"""Calls that many make at one moment, made together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from hub_ext.spawner.gathering import Gathering


class Desk:
    """Answers with twice the number; holds the first call until it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.calls.append(list(numbers))
        self.begun.set()
        assert self.go.wait(30)
        if 13 in numbers:
            message = "nothing of it works"
            raise RuntimeError(message)
        return [ValueError("seven") if number == 7 else 2 * number for number in numbers]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as found:
        yield found


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def held(desk: Desk, gathering: Gathering[int, int]) -> asyncio.Future[int]:
    """Begin a call that is not answered yet."""
    first = gathering.ask(1)
    assert await asyncio.to_thread(desk.begun.wait, 30)
    return first


async def test_what_comes_while_a_call_is_made_goes_together(threads: ThreadPoolExecutor, desk: Desk) -> None:
    gathering = Gathering(desk, threads, most=3, at_once=1)
    first = await held(desk, gathering)
    others = [gathering.ask(number) for number in (2, 3, 4, 5)]
    desk.go.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8, 10]
    assert desk.calls == [[1], [2, 3, 4], [5]]


async def test_each_answer_and_each_error_reaches_who_asked(threads: ThreadPoolExecutor, desk: Desk) -> None:
    gathering = Gathering(desk, threads, most=9, at_once=1)
    first = await held(desk, gathering)
    seven, eight = gathering.ask(7), gathering.ask(8)
    desk.go.set()
    assert await asyncio.gather(first, eight) == [2, 16]
    with pytest.raises(ValueError, match="seven"):
        await seven


async def test_a_call_that_fails_is_the_error_of_all_in_it_and_of_no_other(
    threads: ThreadPoolExecutor, desk: Desk
) -> None:
    gathering = Gathering(desk, threads, most=9, at_once=1)
    first = await held(desk, gathering)
    together = [gathering.ask(number) for number in (13, 2)]
    desk.go.set()
    both = await asyncio.gather(*together, return_exceptions=True)
    assert await first == 2
    assert [str(one) for one in both] == ["nothing of it works"] * 2
    assert await gathering.ask(3) == 6


async def test_whoever_has_given_up_is_not_asked_for(threads: ThreadPoolExecutor, desk: Desk) -> None:
    gathering = Gathering(desk, threads, most=9, at_once=1)
    first = await held(desk, gathering)
    tired, other = gathering.ask(2), gathering.ask(3)
    tired.cancel()
    desk.go.set()
    assert await asyncio.gather(first, other) == [2, 6]
    assert desk.calls == [[1], [3]]


async def test_calls_at_once_are_as_many_as_are_allowed(threads: ThreadPoolExecutor, desk: Desk) -> None:
    gathering = Gathering(desk, threads, most=1, at_once=2)
    asked = [gathering.ask(number) for number in (1, 2, 3)]
    async with asyncio.timeout(30):
        while len(desk.calls) < 2:
            await asyncio.sleep(0.01)
    assert sorted(desk.calls) == [[1], [2]]
    desk.go.set()
    assert await asyncio.gather(*asked) == [2, 4, 6]


async def test_whoever_asks_at_the_moment_when_the_last_is_answered_is_answered(
    threads: ThreadPoolExecutor, desk: Desk
) -> None:
    desk.go.set()
    gathering = Gathering(desk, threads, most=1, at_once=1)
    async with asyncio.timeout(30):
        for number in range(200, 300):
            assert await gathering.ask(number) == 2 * number


def test_a_loop_that_has_ended_keeps_nobody_waiting_in_the_next(threads: ThreadPoolExecutor, desk: Desk) -> None:
    gathering = Gathering(desk, threads, most=1, at_once=1)

    async def leave() -> None:
        await held(desk, gathering)

    async def ask() -> int:
        return await gathering.ask(4)

    asyncio.run(leave())
    desk.go.set()
    assert asyncio.run(asyncio.wait_for(ask(), 30)) == 8


def test_what_was_asked_for_is_done_though_the_loop_has_ended(desk: Desk) -> None:
    threads = ThreadPoolExecutor(1)
    gathering = Gathering(desk, threads, most=9, at_once=1)

    async def ask() -> None:
        for number in (1, 2, 3):
            gathering.ask(number)

    asyncio.run(ask())
    desk.go.set()
    threads.shutdown(wait=True)
    assert sorted(number for numbers in desk.calls for number in numbers) == [1, 2, 3]
