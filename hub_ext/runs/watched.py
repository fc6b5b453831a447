"""What the reconciler's process knows of a run beyond its row; all of it may be forgotten."""

from __future__ import annotations

import time
from dataclasses import dataclass

_AGAIN = 1.0  # seconds, doubled each time, until something that failed is tried again
_LONGEST_AGAIN = 8.0  # whatever was away is noticed soon after it is back


class LeaseLost(Exception):
    """Another process has taken over; what this one was about to write must not be written."""


@dataclass
class Watched:
    """What this process knows of a run beyond its row.

    Attributes:
        ours: Whether this process started its executor.
        offset: How far its events were read.
        done: Cells that are done.
        total: Cells in all.
        told: When its progress was last written.
        waits: What it waits for before it begins.
        waits_since: Since when.
        since: When this process first saw the launch.
        cancelled_at: When its executor was asked to end.
        ended_for: Why we ended it ourselves.
        ending: Whether a thread puts its results away.
        failures: How often that, or its start, failed.
        again_at: Not before this time.
    """

    ours: bool = False
    offset: int = 0
    done: int = 0
    total: int = 0
    told: float = 0.0
    waits: str = ""
    waits_since: float = 0.0
    since: float = 0.0
    cancelled_at: float | None = None
    ended_for: str | None = None
    ending: bool = False
    failures: int = 0
    again_at: float = 0.0

    def later(self) -> None:
        """Wait a little longer each time."""
        self.again_at = time.monotonic() + min(_LONGEST_AGAIN, _AGAIN * 2**self.failures)
        self.failures += 1
