"""Whether the service works: asked of its parts, and told to anybody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hub_ext import __version__
from hub_ext.db.tables import Lease
from hub_ext.errors import HubExtError, StorageFull, Unavailable
from hub_ext.web.api import models
from hub_ext.web.api.operation import Answer, ApiHandler, operation
from hub_ext.web.context import Context

log = structlog.get_logger("hub_ext.web.api.health")

_PATIENCE = 3.0  # seconds that a part gets to answer
# Seconds that an answer is good for: who asks often costs nothing, and who waits for a start waits no longer for it.
_FRESH = {"ok": 1.0, "unavailable": 0.05}
_PROBE = "health/probe"


def _database(context: Context) -> str:
    with context.database.read() as session:
        session.execute(select(Lease.name).limit(1))
    return ""


def _catalog(context: Context) -> str:
    # A policy that cannot be read starts nothing, and is put right by way of these pages: it takes them from nobody.
    unreadable = context.catalog.current().policy.unreadable
    return "The policy cannot be read, so nothing starts." if unreadable else ""


def _store(context: Context) -> str:
    context.store.put(_PROBE, str(time.time()).encode())
    context.store.size(_PROBE)
    return ""


def _reconciler(context: Context) -> str:
    if not context.reconciler.healthy:
        if context.reconciler.lacks_space:
            raise StorageFull("The reconciler has no space left to write down what it does.")
        raise Unavailable("The reconciler is not at work.")
    return ""


def _process(context: Context) -> str:
    if context.requests.ending:
        raise Unavailable("This process ends. Another one answers.")
    return ""


Ask = Callable[[Context], str]
_PARTS: dict[str, Ask] = {
    "process": _process,
    "database": _database,
    "profiles": _catalog,
    "store": _store,
    "reconciler": _reconciler,
}


class Checkup:
    """Asks all parts, at most once a second, whoever asks; one that is still silent is not asked anew.

    Args:
        context: The parts.
        parts: Name of a part → what asks it, and returns what is to be said of it.
        patience: Seconds that a part gets.
    """

    def __init__(
        self, context: Context, parts: Mapping[str, Ask] | None = None, *, patience: float = _PATIENCE
    ) -> None:
        self._context = context
        self._parts = _PARTS if parts is None else parts
        self._patience = patience
        self._asked: dict[str, asyncio.Future[str]] = {}
        self._told: list[str] = []
        self._lock = asyncio.Lock()
        self._until = float("-inf")
        self._found: models.ServiceHealth | None = None

    async def result(self) -> models.ServiceHealth:
        """Return how all parts are."""
        async with self._lock:
            if self._found is None or time.monotonic() > self._until:
                parts = await asyncio.gather(*(self._ask(name, ask) for name, ask in self._parts.items()))
                self._tell(parts)
                status = "ok" if all(part.ok for part in parts) else "unavailable"
                self._found = models.ServiceHealth(status=status, version=__version__, parts=list(parts))
                self._until = time.monotonic() + _FRESH[status]
            return self._found

    async def _ask(self, name: str, ask: Ask) -> models.Part:
        asked = self._asked.get(name)
        if asked is None or asked.done():
            # Shielded below: a thread that waits cannot be cancelled, and a second one would wait as well.
            asked = self._asked[name] = asyncio.ensure_future(asyncio.to_thread(partial(ask, self._context)))
            asked.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody may be there to take it
        try:
            return models.Part(name=name, ok=True, detail=await asyncio.wait_for(asyncio.shield(asked), self._patience))
        except TimeoutError:
            return models.Part(name=name, ok=False, detail="It does not answer in time.")
        except HubExtError as error:
            return models.Part(name=name, ok=False, detail=error.detail, full=isinstance(error, StorageFull))
        except (SQLAlchemyError, OSError):  # their text has addresses and names
            return models.Part(name=name, ok=False, detail="It does not answer.")

    def _tell(self, parts: list[models.Part]) -> None:
        """Say in the log what became of the parts: the kubelet keeps the status of an answer alone."""
        wrong = [f"{part.name}: {part.detail}" for part in parts if not part.ok]
        if wrong != self._told:
            log.warning("not ready", parts=wrong) if wrong else log.info("ready again")
            self._told = wrong


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
        query=models.HealthQuery,
    )
    async def get(self, query: models.HealthQuery) -> None:
        """Say how the service is."""
        found = await self.application.settings["checkup"].result()
        # No other replica has space either, and a page that says so helps more than none.
        good = all(part.ok or (query.serving and part.full) for part in found.parts)
        self.answer(found, 200 if good else 503, Cache_Control="no-store")
