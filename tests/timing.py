"""Times that are promised, on a machine that may be busy with other things at the moment."""

from __future__ import annotations

import time
from collections.abc import Callable

TRIES = 3
_SHORTEST, _LONG, _LONGEST = 0.05, 0.25, 0.5  # seconds


def kept_within(seconds: float, attempt: Callable[[], float], tries: int = TRIES) -> None:
    """Check that something takes no longer than is promised, in one of a few tries.

    What takes too long by itself does so each time; what does so once was held up by something else.

    Args:
        seconds: What is promised.
        attempt: Does it anew, checks all but the time, and returns how long it took, in seconds.
        tries: How often it may be tried.
    """
    taken: list[float] = []
    while not taken or (min(taken) > seconds and len(taken) < tries):
        taken.append(attempt())
    assert min(taken) <= seconds, taken


class Watch:
    """Tells how long ago it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        """Return how long ago that was, in seconds."""
        return time.monotonic() - self._began


class Pauses:
    """Pauses of who asks again and again whether something is there yet.

    Each answer costs processor that who is waited for could use. So a pause is a twentieth of the wait so far, within
    bounds, and no shorter than the last answer took (kubectl, say, is a program that starts each time).
    """

    def __init__(self) -> None:
        self._began = self._asked = time.monotonic()

    def __call__(self) -> None:
        """Pause before the next question."""
        now = time.monotonic()
        waited, answered = now - self._began, now - self._asked
        time.sleep(max(_SHORTEST, min(waited / 20, _LONG), min(answered, _LONGEST)))
        self._asked = time.monotonic()
