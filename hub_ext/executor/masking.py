"""Secret values out of everything that is kept or shown. Only the exact value is masked, not encodings of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MASK = "••••••"

# A shorter value would turn half of every output into masks and protects nothing anyway.
SHORTEST = 4


class Masker:
    """Masks the exact values of secrets.

    Args:
        secrets: The values; those shorter than `SHORTEST` characters are not masked.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self.values = sorted({value for value in secrets if len(value) >= SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self.values))) if self.values else None

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def deep(self, value: Any) -> Any:
        """Return JSON without secrets, in its keys neither."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return type(value)({self.deep(key): self.deep(item) for key, item in value.items()})
        if isinstance(value, list):
            return [self.deep(item) for item in value]
        return value

    def stream(self) -> StreamMasker:
        """Return a masker for a text that arrives in pieces."""
        return StreamMasker(self)

    def _open_end(self, text: str, start: int) -> int:
        """Return where the first piece of text begins that the next piece could make a secret."""
        longest = len(self.values[0]) if self.values else 0
        for position in range(max(start, len(text) - longest + 1), len(text)):
            tail = text[position:]
            if any(len(value) > len(tail) and value.startswith(tail) for value in self.values):
                return position
        return len(text)

    def split(self, text: str) -> tuple[str, str]:
        """Return what is certain of a text, masked, and the rest that must wait for what follows."""
        if self._pattern is None:
            return text, ""
        done: list[str] = []
        start, end = 0, self._open_end(text, 0)
        match = self._pattern.search(text, start)
        while match and match.start() < end:
            done += (text[start : match.start()], MASK)
            start = match.end()
            end = self._open_end(text, start)
            match = self._pattern.search(text, start)
        done.append(text[start:end])
        return "".join(done), text[end:]


class StreamMasker:
    """Masks a text that arrives in pieces; the pieces it gives out make the masked text."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = ""

    def feed(self, text: str) -> str:
        """Take the next piece and return what is certain by now."""
        done, self._held = self._masker.split(self._held + text)
        return done

    def close(self) -> str:
        """Return what was held back; no more follows."""
        rest, self._held = self._masker.text(self._held), ""
        return rest
