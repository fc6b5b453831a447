"""Calls that many make at one moment, made together in a thread: each call there costs a turn of it, and a commit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

_One = TypeVar("_One")
_Answer = TypeVar("_Answer")


class Gathering(Generic[_One, _Answer]):
    """Makes calls together: what comes while all threads are busy waits, and goes as one call then.

    A thread goes on until nothing waits. So what was asked for is done, also where the loop ends before: a Hub that
    ends stops its servers, and writes that down, in its last moment.

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
        self._waiting: deque[tuple[_One, asyncio.Future[_Answer]]] = deque()
        self._busy = 0
        self._lock = threading.Lock()  # of these two
        self._answered = float("-inf")

    def ask(self, one: _One) -> asyncio.Future[_Answer]:
        """Return the future answer; for one that is cancelled before its turn, nothing is called.

        Args:
            one: What is asked for.
        """
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append((one, answer))
            if self._busy < self._at_once:
                self._threads.submit(self._work)
                self._busy += 1
        return answer

    def moves(self, within: float) -> bool:
        """Return whether somebody was answered a moment ago.

        Args:
            within: Seconds.
        """
        return time.monotonic() - self._answered < within

    def _work(self) -> None:
        while True:
            with self._lock:
                taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if not taken:  # known under the lock, so that whoever asks from now on has another thread
                    self._busy -= 1
                    return
            wanted = [pair for pair in taken if not pair[1].done()]
            if wanted:
                self._make(wanted)

    def _make(self, wanted: list[tuple[_One, asyncio.Future[_Answer]]]) -> None:
        answers: Sequence[_Answer | Exception]
        try:
            answers = self._call([one for one, _ in wanted])
        except Exception as error:  # noqa: BLE001  # whoever waits is told
            answers = [error] * len(wanted)
        self._answered = time.monotonic()
        for (_, future), answer in zip(wanted, answers, strict=True):
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                future.get_loop().call_soon_threadsafe(_give, future, answer)


def _give(future: asyncio.Future[_Answer], answer: _Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
