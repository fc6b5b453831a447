"""How many requests go to the API server at once."""

from __future__ import annotations

import asyncio

import pytest

from hub_ext.kubernetes import turns
from hub_ext.kubernetes.turns import Turns


class Requests:
    """Requests that are under way until they are answered."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.under_way: list[int] = []
        self._answers: dict[int, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, many: int) -> None:
        first = len(self.tasks)
        self.tasks += [asyncio.create_task(self._one(first + number)) for number in range(many)]

    async def _one(self, number: int) -> None:
        async with self.turns.turn():
            self.under_way.append(number)
            await self._answers.setdefault(number, asyncio.Event()).wait()
            self.under_way.remove(number)

    def answer(self, number: int) -> None:
        self._answers.setdefault(number, asyncio.Event()).set()

    def answer_all(self) -> None:
        for number in range(len(self.tasks)):
            self.answer(number)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_few_go_at_once_and_the_first_that_came_is_the_next() -> None:
    requests = Requests()
    requests.ask(turns._FEW + 3)
    await settled()
    assert requests.under_way == list(range(turns._FEW))
    requests.answer(4)
    await settled()
    assert requests.under_way[-1] == turns._FEW
    assert len(requests.under_way) == turns._FEW
    requests.answer_all()
    await asyncio.gather(*requests.tasks)
    assert requests.under_way == []


@pytest.mark.parametrize("slow", ["no answer at all", "one that took long"])
async def test_many_go_at_once_where_answers_take_long(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_QUICK", 0.05)
    requests = Requests()
    requests.ask(turns._FEW)
    await settled()
    if slow == "one that took long":
        await asyncio.sleep(0.06)
        requests.answer(0)
        await settled()
    requests.ask(20)
    async with asyncio.timeout(10):
        while len(requests.under_way) < turns._FEW + 19:
            await asyncio.sleep(0.01)
    requests.answer_all()
    await asyncio.gather(*requests.tasks)


async def test_few_go_again_when_answers_are_quick_again(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = Requests()
    requests.turns._most = turns._MANY
    requests.ask(1)
    requests.answer_all()
    await asyncio.gather(*requests.tasks)
    requests.ask(turns._FEW + 1)
    await settled()
    assert len(requests.under_way) == turns._FEW
    requests.answer_all()
    await asyncio.gather(*requests.tasks)


@pytest.mark.parametrize("given", [False, True])
async def test_who_is_cancelled_takes_no_turn_from_others(given: bool) -> None:
    requests = Requests()
    requests.ask(turns._FEW + 2)
    await settled()
    cancelled = requests.tasks[turns._FEW]
    if given:  # her turn comes in the very moment
        requests.answer(0)
        await requests.tasks[0]
    cancelled.cancel()
    await settled()
    assert cancelled.cancelled()
    requests.answer_all()
    await asyncio.gather(*requests.tasks, return_exceptions=True)
    assert requests.turns._asking == 0
    assert not requests.turns._waiting
