"""Whether the platform is read-only, for the Hub's own pages; none of them waits long for our database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from jinja2 import Environment, pass_environment

from hub_ext.errors import HubExtError
from hub_ext.maintenance import Maintenance, ReadOnly
from hub_ext.settings import HubExt
from hub_ext.spawner.ledger import Ledger

_WITHIN = 0.5  # seconds that a page waits; then it says what was known before

Look = Callable[[Environment], ReadOnly | Awaitable[ReadOnly | None] | None]


class Notice:
    """Looks in a thread, once for all pages that ask meanwhile.

    Args:
        settings: All settings; the database is opened at the first look.
        within: Seconds that a page waits.
    """

    def __init__(self, settings: HubExt, within: float = _WITHIN) -> None:
        self._settings = settings
        self._within = within
        self._maintenance: Maintenance | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def known(self) -> ReadOnly | None:
        """What the last look found."""
        return self._maintenance.known if self._maintenance is not None else None

    async def look(self) -> ReadOnly | None:
        """Return what goes on, None for nothing: a second old, or what was known where the database is slow or away."""
        if self._maintenance is None or self._maintenance.is_old:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(asyncio.to_thread(self._look))
            await asyncio.wait({self._looking}, timeout=self._within)
        return self.known

    def _look(self) -> None:
        try:
            if self._maintenance is None:
                self._maintenance = Maintenance(Ledger.shared(self._settings).database)
            self._maintenance.look()
        except HubExtError:
            return  # a page about something else; who changes something is told


def for_pages(settings: HubExt) -> Callable[[object], Look]:
    """Return a variable of the Hub's pages: JupyterHub calls it with who is signed in, and a template what that gives.

    JupyterHub renders pages of errors without its loop; those say what was known before.

    Args:
        settings: All settings.
    """
    notice = Notice(settings)

    @pass_environment
    def look(environment: Environment) -> ReadOnly | Awaitable[ReadOnly | None] | None:
        return notice.look() if environment.is_async else notice.known

    return lambda _user: look
