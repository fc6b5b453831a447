"""Whether the service works: asked of its parts, and told to anybody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import select

from hub_ext import __version__
from hub_ext.db.tables import Lease
from hub_ext.errors import HubExtError, Unavailable
from hub_ext.web.api import models
from hub_ext.web.api.operation import Answer, ApiHandler, operation
from hub_ext.web.context import Context

_PATIENCE = 3.0  # seconds that a part gets to answer
# Seconds that an answer is good for: who asks often costs nothing, and who waits for a start waits no longer for it.
_FRESH = {"ok": 1.0, "unavailable": 0.05}
_PROBE = "health/probe"


def _database(context: Context) -> None:
    with context.database.read() as session:
        session.execute(select(Lease.name).limit(1))


def _store(context: Context) -> None:
    context.store.put(_PROBE, str(time.time()).encode())
    context.store.size(_PROBE)


def _reconciler(context: Context) -> None:
    if not context.reconciler.healthy:
        raise Unavailable("The reconciler is not at work.")


_PARTS: dict[str, Callable[[Context], None]] = {"database": _database, "store": _store, "reconciler": _reconciler}


class Checkup:
    """Asks all parts, at most once a second, whoever asks.

    Args:
        context: The parts.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._until = float("-inf")
        self._found: models.ServiceHealth | None = None

    async def result(self) -> models.ServiceHealth:
        """Return how all parts are."""
        async with self._lock:
            if self._found is None or time.monotonic() > self._until:
                parts = await asyncio.gather(*(self._ask(name, ask) for name, ask in _PARTS.items()))
                status = "ok" if all(part.ok for part in parts) else "unavailable"
                self._found = models.ServiceHealth(status=status, version=__version__, parts=list(parts))
                self._until = time.monotonic() + _FRESH[status]
            return self._found

    async def _ask(self, name: str, ask: Callable[[Context], None]) -> models.Part:
        try:
            await asyncio.wait_for(asyncio.to_thread(partial(ask, self._context)), _PATIENCE)
        except TimeoutError:
            return models.Part(name=name, ok=False, detail="It does not answer in time.")
        except HubExtError as error:
            return models.Part(name=name, ok=False, detail=error.detail)
        return models.Part(name=name, ok=True)


class Health(ApiHandler):
    """`health`."""

    public = True

    @operation(
        "Say whether the service works",
        {
            200: Answer("All parts work", models.ServiceHealth),
            503: Answer("A part does not work", models.ServiceHealth),
        },
        description="Needs no sign-in.",
    )
    async def get(self) -> None:
        """Say how the service is."""
        found = await self.application.settings["checkup"].result()
        self.answer(found, 200 if found.status == "ok" else 503, Cache_Control="no-store")
