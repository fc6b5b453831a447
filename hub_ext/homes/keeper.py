"""The Hub's part: notes who left a home, gives it back to whoever is back, and removes what an admin confirmed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from typing import Any

from jupyterhub import orm

from hub_ext.db.types import now
from hub_ext.errors import HubExtError
from hub_ext.homes.places import Found, Hindered, Places
from hub_ext.homes.records import Homes, Left

log = logging.getLogger(__name__)

_EVERYBODY = 30.0  # seconds between two looks at who has left; what was confirmed is looked at each time
_NAMES = 500  # in one question to the Hub's database
_DELETED, _NAMED = "is not known to the Hub any more", "is named in blocked_users of the Hub"


class HomeKeeper:
    """Looks after the homes of people who left. Whoever calls it holds the lease of the people.

    Args:
        app: The Hub.
        homes: What is written down.
        places: Where homes are.
    """

    def __init__(self, app: Any, homes: Homes, places: Places) -> None:
        self._app = app
        self._homes = homes
        self._places = places
        self._looking: asyncio.Task[None] | None = None
        self._looked_at: float | None = None
        self._since: Any = None
        self._started: set[str] = set()  # whoever started a server ever
        self._settled: set[str] = set()  # who has left, and whose home was looked for since

    def look_soon(self) -> None:
        """Look in the background, unless the last look goes on: a large home takes its time to be deleted."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_safely())

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except HubExtError as error:
            log.warning("The homes of people who left could not be looked after: %s", error.detail)
        except Exception:
            log.exception("A look at the homes of people who left failed; it is repeated")

    async def look(self) -> None:
        """Look once."""
        at = time.monotonic()
        if self._looked_at is None or at - self._looked_at >= _EVERYBODY:
            await self._everybody()
            self._looked_at = at
        for name, identity in await asyncio.to_thread(self._homes.waiting):
            await self._remove(name, identity)
        await self._places.sweep()

    # Who has left, and who is back.

    async def _everybody(self) -> None:
        at = now()
        new = await asyncio.to_thread(self._homes.started_since, self._since)
        self._since, self._started = at, self._started | new
        noted = await asyncio.to_thread(self._homes.noted)
        gone = await self._gone(self._started | noted.keys())
        for name in noted.keys() - gone.keys():
            await asyncio.to_thread(self._homes.returned, name)
        for name in (name for name, hindered in noted.items() if hindered and name in gone):
            await asyncio.to_thread(self._homes.found_again, name, await self._places.find(name))
        self._settled &= gone.keys()
        for name in gone.keys() - noted.keys() - self._settled:
            found = await self._places.find(name)
            if found is not None:
                await asyncio.to_thread(self._homes.note, name, gone[name], found)
            self._settled.add(name)

    async def _gone(self, names: Collection[str]) -> dict[str, Left]:
        """Return who of these has left."""
        found = await asyncio.to_thread(self._homes.gone, names)
        for name in self._app.authenticator.blocked_users:
            if name in names:
                found.setdefault(name, Left(now(), _NAMED))
        ordered = sorted(names)
        for first in range(0, len(ordered), _NAMES):
            some = ordered[first : first + _NAMES]
            known = {name for (name,) in self._app.db.query(orm.User.name).filter(orm.User.name.in_(some))}
            found |= {name: Left(now(), _DELETED) for name in some if name not in known and name not in found}
            await asyncio.sleep(0)  # others want the loop, too
        return found

    # Removing.

    async def _remove(self, name: str, identity: str) -> None:
        if identity and await self._places.taken(name, identity):
            await asyncio.to_thread(self._homes.removed, name)
            return
        if name not in await self._gone([name]):
            await asyncio.to_thread(self._homes.stays, name, "")
            await asyncio.to_thread(self._homes.returned, name)
            return
        found = await self._places.find(name)
        if found is None:
            await asyncio.to_thread(self._homes.removed, name, before=True)
            return
        try:
            await self._take(name, found)
        except Hindered as error:
            await asyncio.to_thread(self._homes.stays, name, str(error))
            return
        self._settled.discard(name)  # looked for once more, and not found

    async def _take(self, name: str, found: Found) -> None:
        busy = await asyncio.to_thread(self._homes.busy, name)
        if busy:
            raise Hindered(busy)
        if await asyncio.to_thread(self._homes.begin, name, found.identity):
            await self._places.take(name, found, lambda: self._check_idle(name))
            await asyncio.to_thread(self._homes.removed, name)

    def _check_idle(self, name: str) -> None:
        """Refuse where the Hub has, or starts, a server of somebody's.

        Raises:
            Hindered: If so.
        """
        orm_user = orm.User.find(self._app.db, name)
        if orm_user is None:
            return
        running = any(one.server_id is not None for one in orm_user.orm_spawners.values())
        if running or any(one.active for one in self._app.users[orm_user].spawners.values()):
            raise Hindered("A server of hers has not ended yet.")
