"""Notebooks between upload and publishing, and tokens between sign-in and file: in memory, for a short while."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hub_ext.errors import NotFound

KEPT = 3600.0  # seconds
_MOST_BYTES = 64 * 2**20
_MOST_EACH = 4  # of one person

Content = TypeVar("Content")


@dataclass(frozen=True)
class Kept(Generic[Content]):
    """Something that is kept for a person.

    Attributes:
        key: Not to be guessed.
        owner: The person.
        content: What is kept.
        size: Its size in bytes.
        until: When it is dropped, on the monotonic clock.
    """

    key: str
    owner: str
    content: Content = field(repr=False)
    size: int
    until: float


@dataclass(frozen=True)
class Upload:
    """A notebook that somebody uploaded.

    Attributes:
        data: The file.
        name: What it was called.
        target: Owner and name of the workflow that it is a version of; empty for none.
    """

    data: bytes = field(repr=False)
    name: str
    target: str = ""


class Shelf(Generic[Content]):
    """Keeps things for people; the oldest go when there is no room.

    Args:
        seconds: How long each is kept.
        most_bytes: Most bytes of all together.
    """

    def __init__(self, seconds: float = KEPT, most_bytes: int = _MOST_BYTES) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._kept: dict[str, Kept[Content]] = {}

    def put(self, owner: str, content: Content, size: int) -> str:
        """Keep something and return its key.

        Args:
            owner: The person that it is kept for.
            content: What.
            size: Its size in bytes.
        """
        self._drop_old(owner)
        one = Kept(secrets.token_urlsafe(18), owner, content, size, time.monotonic() + self._seconds)
        self._kept[one.key] = one
        while sum(kept.size for kept in self._kept.values()) > self._most_bytes and len(self._kept) > 1:
            del self._kept[next(iter(self._kept))]
        return one.key

    def get(self, owner: str, key: str) -> Content:
        """Return what is kept.

        Args:
            owner: The person.
            key: From `put`.

        Raises:
            NotFound: If it is not there any more, or is somebody else's.
        """
        one = self._kept.get(key)
        if one is None or one.owner != owner or one.until < time.monotonic():
            raise NotFound("This is not kept any more.", hint="Begin again: it is kept for an hour at most.")
        return one.content

    def drop(self, key: str) -> None:
        """Keep it no longer."""
        self._kept.pop(key, None)

    def _drop_old(self, owner: str) -> None:
        at = time.monotonic()
        for key in [one.key for one in self._kept.values() if one.until < at]:
            del self._kept[key]
        own = [one.key for one in self._kept.values() if one.owner == owner]
        for key in own[: max(0, len(own) - _MOST_EACH + 1)]:
            del self._kept[key]
