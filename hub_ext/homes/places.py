"""Where homes are: what a look finds, and what whoever keeps them can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Found:
    """A home that is there.

    Attributes:
        place: Where, in words for an admin.
        size: Bytes, None where that is not known.
        identity: What exactly it is, where another one may come to have its name.
        hindrance: Why it is not ours to remove, in words; empty where it is.
    """

    place: str
    size: int | None = None
    identity: str = ""
    hindrance: str = ""


class Hindered(Exception):
    """A home cannot be removed now; its text, for an admin, says why."""


class Places(Protocol):
    """Keeps homes: folders of this machine, or volumes of a cluster."""

    async def find(self, name: str) -> Found | None:
        """Return somebody's home, None where there is none.

        Args:
            name: Whose.

        Raises:
            Unavailable: If that cannot be found out now.
        """

    async def taken(self, name: str, identity: str) -> bool:
        """Return whether an earlier try, cut off in its middle, has taken the home away.

        Args:
            name: Whose.
            identity: What that try was about to take.

        Raises:
            Unavailable: If that cannot be found out now.
        """

    async def take(self, name: str, found: Found, still: Callable[[], None]) -> None:
        """Take the home away, all at once: afterwards whoever comes back gets a new one.

        Args:
            name: Whose.
            found: What `find` found.
            still: Raises `Hindered` where it is to stay after all; nothing comes between this and the act.

        Raises:
            Hindered: If it is to stay, or cannot be taken.
            Unavailable: If that cannot be done now.
        """

    async def sweep(self) -> None:
        """Delete what was taken, if something of it is left."""
