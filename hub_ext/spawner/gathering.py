"""Calls that many make at one moment, made together in a thread: each call there costs a turn of it, and a commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

_One = TypeVar("_One")
_Answer = TypeVar("_Answer")


class Gathering(Generic[_One, _Answer]):
    """Makes calls together: what comes while all threads are busy waits, and goes as one call then.

    Args:
        call: Called in a thread; returns an answer for each, in order, or the error that it gets.
        threads: Those.
        most: How many go together.
        at_once: How many calls are made at the same time.
    """

    def __init__(
        self,
        call: Callable[[Sequence[_One]], Sequence[_Answer | Exception]],
        threads: Executor,
        *,
        most: int,
        at_once: int,
    ) -> None:
        self._call = call
        self._threads = threads
        self._most, self._at_once = most, at_once
        self._waiting: list[tuple[_One, asyncio.Future[_Answer]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered = float("-inf")

    def ask(self, one: _One) -> asyncio.Future[_Answer]:
        """Return the future answer; for one that is cancelled before its turn, nothing is called.

        Args:
            one: What is asked for.
        """
        loop = asyncio.get_running_loop()
        if any(task.get_loop() is not loop for task in self._tasks):  # a loop that has ended, in the middle of a call
            self._tasks, self._waiting = set(), []
        answer: asyncio.Future[_Answer] = loop.create_future()
        self._waiting.append((one, answer))
        if len(self._tasks) < self._at_once:
            self._tasks.add(loop.create_task(self._work()))
        return answer

    def moves(self, within: float) -> bool:
        """Return whether somebody was answered a moment ago.

        Args:
            within: Seconds.
        """
        return time.monotonic() - self._answered < within

    async def _work(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                wanted = [pair for pair in taken if not pair[1].done()]
                if wanted:
                    await self._make(wanted)
        finally:  # here, and not in a callback: whoever asks in between would wait for a task that has ended
            self._tasks -= {task for task in self._tasks if task is asyncio.current_task()}

    async def _make(self, wanted: list[tuple[_One, asyncio.Future[_Answer]]]) -> None:
        call = asyncio.get_running_loop().run_in_executor(self._threads, self._call, [one for one, _ in wanted])
        answers: Sequence[_Answer | Exception]
        try:
            answers = await call
        except Exception as error:  # noqa: BLE001  # whoever waits is told
            answers = [error] * len(wanted)
        self._answered = time.monotonic()
        for (_, future), answer in zip(wanted, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
