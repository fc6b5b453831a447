"""Server-sent events: what open pages hear of, and how streams end with the service."""

from __future__ import annotations

import asyncio


class Streams:
    """Every stream that is open, so that the service can end them when it stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, task: asyncio.Task[None]) -> None:
        """Remember the task of a stream until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End all streams; browsers come back with the id of the last event they saw."""
        for task in self._tasks:
            task.cancel()
