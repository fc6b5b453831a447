"""What somebody who waits for her server is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

_TICK = 0.5  # seconds between two looks at the clock, at least
_STEPS, _LONGEST_TICK = 8, 2.0  # of the bar, in a boot that takes long; seconds
_EACH = 0.05  # seconds of a tick for each start that is followed: while many wait, all of them hear no more than a few
_BOOT_FROM, _BOOT_TO = 20, 95  # percent of the bar that the server's own boot takes


def usually(seconds: float | None) -> str:
    """Say how long a start usually takes here.

    Args:
        seconds: The median of the last starts; None if there were none.
    """
    if seconds is None:
        return "the first start may take a little longer"
    if seconds < 1.5:
        return "usually ready in about a second here"
    return f"usually ready in about {seconds:.0f} seconds here"


class Progress:
    """The events of one start, for any number of listeners, each from the beginning."""

    _followed = 0  # listeners of all starts

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._booting: tuple[float, float] | None = None

    def tell(self, percent: int, message: str) -> None:
        """Add an event.

        Args:
            percent: How far the start is, 0 to 100.
            message: What happens now, in plain words.
        """
        self.events.append({"progress": percent, "message": message})
        self._wake()

    def booting(self, expected: float) -> None:
        """From now on the bar moves with the clock.

        Args:
            expected: How long the boot usually takes, in seconds.
        """
        self._booting = (time.monotonic(), max(expected, 0.5))

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _percent(self) -> int:
        last = int(self.events[-1]["progress"]) if self.events else 0
        if self._booting is None:
            return last
        began, expected = self._booting
        share = min((time.monotonic() - began) / expected, 1.0)
        return max(last, int(_BOOT_FROM + share * (_BOOT_TO - _BOOT_FROM)))

    def _tick(self) -> float:
        expected = self._booting[1] if self._booting is not None else 0.0
        return min(max(_TICK, expected / _STEPS, _EACH * Progress._followed), _LONGEST_TICK)

    async def follow(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield all events, and while nothing happens the moving bar; never ends by itself."""
        told, percent = 0, 0
        Progress._followed += 1
        try:
            while True:
                while told < len(self.events):
                    event = self.events[told]
                    told, percent = told + 1, int(event["progress"])
                    yield event
                try:
                    async with asyncio.timeout(self._tick()):
                        await self._changed.wait()
                except TimeoutError:
                    if self.events and self._percent() > percent:
                        percent = self._percent()
                        yield {"progress": percent, "message": self.events[-1]["message"]}
        finally:
            Progress._followed -= 1
