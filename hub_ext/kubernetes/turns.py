"""Few requests at once while they are answered quickly: a connection costs both sides more than ten requests do."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

_FEW = 10  # requests at once, and so connections
_MANY = 100  # where answers take long
_QUICK = 0.5  # seconds that an answer takes at most while few suffice


class Turns:
    """Lets requests go, the first that came first.

    As soon as an answer takes long, or none comes, many go at once: what one of them waits for is nothing that the
    others need wait for.
    """

    def __init__(self) -> None:
        self._most = _FEW
        self._asking = 0
        self._answered = 0.0  # when an answer came last, by the clock of the loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; it lasts for the block, which is one request with its answer."""
        loop = asyncio.get_running_loop()
        if self._waiting or self._asking >= self._most:
            await self._wait(loop)
        else:
            self._asking += 1
        began = loop.time()
        try:
            yield
        finally:
            self._answered = loop.time()
            self._most = _MANY if self._answered - began > _QUICK else _FEW
            self._leave()

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            while not turn.done():
                await asyncio.wait({turn}, timeout=_QUICK)
                if not turn.done() and loop.time() - self._answered > _QUICK:
                    self._most = _MANY
                    self._give()
        except asyncio.CancelledError:
            if turn.done():
                self._leave()
            turn.cancel()
            raise

    def _leave(self) -> None:
        self._asking -= 1
        self._give()

    def _give(self) -> None:
        """Give turns that are free to those who wait."""
        while self._waiting and self._asking < self._most:
            turn = self._waiting.popleft()
            if not turn.done():  # else nobody waits for it any more
                self._asking += 1
                turn.set_result(None)
