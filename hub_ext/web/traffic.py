"""What is open: requests that are being answered, and event streams; so that the service ends without cutting them."""

from __future__ import annotations

import asyncio
from typing import Any


class Requests:
    """The requests that are being answered.

    Attributes:
        ending: This process was told to end: whoever asks next had better ask another one.
    """

    def __init__(self) -> None:
        self.ending = False
        self._open: set[object] = set()
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, request: object) -> None:
        """Remember a request until it ends."""
        self._open.add(request)
        self._none.clear()

    def end(self, request: object) -> None:
        """Forget a request."""
        self._open.discard(request)
        if not self._open:
            self._none.set()

    async def ended(self, seconds: float) -> bool:
        """Wait until there is none; return whether that was within some seconds."""
        try:
            await asyncio.wait_for(self._none.wait(), seconds)
        except TimeoutError:
            return False
        return True


class Streams:
    """The event streams that are open."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: asyncio.Task[Any]) -> None:
        """Remember the task of a stream until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End all streams; browsers come back with the id of the last event they saw."""
        for task in self._tasks:
            task.cancel()
