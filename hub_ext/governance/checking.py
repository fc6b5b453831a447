"""Checks versions while nobody waits: a page with 200 profiles shows what is known, and the rest a moment later."""

from __future__ import annotations

import threading
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.errors import HubExtError
from hub_ext.governance.overview import Overview

log = structlog.get_logger("hub_ext.governance.checking")

_PAUSE = 0.02  # seconds between two versions: whoever asks for a page comes in between


class BackgroundChecks:
    """Works out what no check has found yet, one version after the other, in one thread at a time.

    Args:
        overview: Knows the versions, and keeps what their checks find.
    """

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        self._working = threading.Lock()
        self._stopping = threading.Event()

    def wake(self) -> None:
        """Begin, if nobody is at it already; returns at once."""
        if not self._stopping.is_set() and not self._working.locked():
            threading.Thread(target=self._work, name="checks", daemon=True).start()

    def stop(self) -> None:
        """End after the present version."""
        self._stopping.set()

    def _work(self) -> None:
        if not self._working.acquire(blocking=False):
            return
        try:
            for entry in self._overview.entries():
                if self._stopping.is_set():
                    return
                if entry.findings is None:
                    self._overview.checked([entry])
                    time.sleep(_PAUSE)
        except (HubExtError, SQLAlchemyError) as error:
            log.warning("versions could not be checked; the next look at them tries again", error=type(error).__name__)
        finally:
            self._working.release()
