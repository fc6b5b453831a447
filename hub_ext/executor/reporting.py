"""The events of a run on their way to the service, while it runs. Standard library only."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

from .link import Full, Link, NoAnswer, Refused

BATCH = 0.15  # seconds between two messages while something happens
BEAT = 5.0  # seconds between two messages while nothing does: they bring the word to end
_MOST = 2**20  # bytes of one message; a longer line goes alone
_LONGEST_LINE = 8 * 2**20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds until the service is tried again


class Reporter:
    """Sends what is new in the file of events. The service says how far it is, so no byte is lost or told twice.

    Args:
        link: The way to the service.
        events: The file.
        base: How many bytes the service had before the first of this file: those of an earlier try.
        clock: Returns seconds.
    """

    def __init__(self, link: Link, events: Path, base: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._events = events
        self._base = base
        self._clock = clock
        self._sent = 0
        self._not_before = 0.0
        self._beat = clock() + BEAT
        self._pause = _FIRST_PAUSE
        self._refused = False
        self.cancelled = False

    @property
    def waits(self) -> int:
        """How many bytes the service does not have yet."""
        try:
            return 0 if self._refused else max(0, self._events.stat().st_size - self._sent)
        except OSError:
            return 0

    def tick(self) -> None:
        """Send what is to be sent now; one try, which the next tick makes again.

        Raises:
            Over: If the launch counts no more.
        """
        at = self._clock()
        if at < self._not_before or (not self.waits and at < self._beat):
            return
        try:
            self._take(self._link.once("POST", self._path(), self._piece()))
        except (NoAnswer, Full):
            self._not_before = self._clock() + self._pause * random.uniform(0.5, 1.0)  # noqa: S311  # not all at once
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        except Refused:
            self._refused = True  # more than is kept; the run goes on
        else:
            self._pause, self._not_before = _FIRST_PAUSE, self._clock() + BATCH
            self._beat = self._clock() + BEAT

    def finish(self, until: float) -> None:
        """Send all that is left.

        Args:
            until: Time (`time.monotonic`) of the last try.

        Raises:
            NoAnswer: If the service did not answer until then.
            Over: If the launch counts no more.
        """
        while self.waits:
            try:
                self._take(self._link.ask("POST", self._path(), self._piece(), until=until))
            except (Full, Refused):
                self._refused = True

    def ask(self, until: float) -> bool:
        """Return whether the run was cancelled, as the service knows it now.

        Args:
            until: Time (`time.monotonic`) of the last try.

        Raises:
            NoAnswer: If the service did not answer until then.
            Over: If the launch counts no more.
        """
        if not self.cancelled:
            self._take(self._link.ask("POST", self._path(), until=until))
        return self.cancelled

    def _path(self) -> str:
        return f"events?offset={self._base + self._sent}"

    def _piece(self) -> bytes:
        """Return the next whole lines."""
        if not self.waits:
            return b""
        with self._events.open("rb") as stream:
            stream.seek(self._sent)
            piece = stream.read(_MOST)
            if b"\n" not in piece:
                piece += stream.readline(_LONGEST_LINE)
        return piece[: piece.rfind(b"\n") + 1]

    def _take(self, said: dict[str, object]) -> None:
        size = said.get("size")
        if isinstance(size, int):
            self._sent = max(0, size - self._base)
        self.cancelled = self.cancelled or said.get("cancel") is True


def dump(value: object) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value).encode()
