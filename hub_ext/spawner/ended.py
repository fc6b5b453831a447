"""Why somebody's server is no more: kept in memory, so that a page can say it without asking the database."""

from __future__ import annotations

import time
from collections.abc import Callable

_LONGEST = 24 * 3600.0  # seconds that it is news
_MOST = 10_000
_known: dict[tuple[str, str], tuple[str, float]] = {}


def remember(user: str, server: str, words: str) -> None:
    """Keep why a server ended.

    Args:
        user: Whose server.
        server: Its name.
        words: Why; empty to forget.
    """
    _known.pop((user, server), None)
    if words:
        _known[user, server] = (words, time.monotonic())
    while len(_known) > _MOST:
        del _known[next(iter(_known))]


def for_pages(_user: object) -> Callable[[str, str], str]:
    """Return what a page asks (JupyterHub calls what it finds among its variables with who is signed in)."""
    return why


def why(user: str, server: str = "") -> str:
    """Return why a server ended, when nobody asked for it; empty if there is nothing to say.

    Args:
        user: Whose server.
        server: Its name.
    """
    words, at = _known.get((user, server), ("", 0.0))
    return words if time.monotonic() - at < _LONGEST else ""
