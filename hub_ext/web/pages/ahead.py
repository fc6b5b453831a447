"""What a person's first page shows, looked up while her browser still follows the redirect to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hub_ext.people import Person

_GOOD = 3.0  # seconds; a browser follows within a hundredth of that
_MOST = 100  # at once; more are looked up when they are asked for


class Ahead:
    """What was begun for the request that comes next; it is used once, and soon, or dropped."""

    def __init__(self) -> None:
        self._begun: dict[Person, asyncio.Task[Any]] = {}

    def begin(self, person: Person, load: Callable[[], Any]) -> None:
        """Begin to look something up for a person.

        Args:
            person: Who will ask for it, with the groups and roles that she has.
            load: Looks it up; called in a thread.
        """
        if person in self._begun or len(self._begun) >= _MOST:
            return
        task = self._begun[person] = asyncio.create_task(asyncio.to_thread(load))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # told to who asks, else to nobody
        asyncio.get_running_loop().call_later(_GOOD, self._drop, person, task)

    async def take(self, person: Person, load: Callable[[], Any]) -> Any:
        """Return what was looked up, or look it up now; errors are those of `load`.

        Args:
            person: Who asks, with the groups and roles that she has.
            load: As in `begin`.
        """
        task = self._begun.pop(person, None)
        return await (task if task is not None else asyncio.to_thread(load))

    def _drop(self, person: Person, task: asyncio.Task[Any]) -> None:
        if self._begun.get(person) is task:
            del self._begun[person]
