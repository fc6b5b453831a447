"""Text as it is searched: without case and accents."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from hub_ext.errors import InvalidInput

LONGEST_QUERY = 200
MOST_WORDS = 12

_UNSEARCHED = {"Mn", "Cc", "Cf", "Cs"}  # accents, and what has no shape


def fold(text: str) -> str:
    """Return a text without case, accents control characters and repeated spaces (``Übersicht`` → ``ubersicht``).

    Args:
        text: Anything.
    """
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(char for char in apart if char.isspace() or unicodedata.category(char) not in _UNSEARCHED)
    return " ".join(kept.split())


def words(query: str) -> list[str]:
    """Return the words of a search, folded; all of them have to be found.

    Args:
        query: What somebody typed.

    Raises:
        InvalidInput: If it is longer than a search can be.
    """
    if len(query) > LONGEST_QUERY:
        raise InvalidInput.of("q", f"is {len(query)} characters long; a search has at most {LONGEST_QUERY}")
    found = list(dict.fromkeys(fold(query).split()))
    if len(found) > MOST_WORDS:
        raise InvalidInput.of("q", f"has {len(found)} words; a search has at most {MOST_WORDS}")
    return found


def search_text(title: str, name: str, owner: str, tags: Sequence[str], description: str) -> str:
    """Return what a search looks through, for the column `search`."""
    return "\n".join(fold(part) for part in (title, name, owner, " ".join(tags), description))
