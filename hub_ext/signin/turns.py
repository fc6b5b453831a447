"""One question at a time about each person: a refresh token is often good once, so that a second would be refused."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """A lock for each person. It is there as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Lock:
        """Return the lock of a person, to be held while something is asked about her.

        Args:
            name: Hers.
        """
        return self._locks.setdefault(name, asyncio.Lock())
