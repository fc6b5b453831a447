"""The proxy in a pod of its own: one that was started anew has no routes, and gets them as soon as that is seen."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import ClientResponseError
from jupyterhub.proxy import ConfigurableHTTPProxy
from tornado.ioloop import PeriodicCallback
from traitlets import Float, Unicode

_ANSWER = 5.0  # seconds: a connection to a pod that is gone is given up for one to the pod that came


class FollowedProxy(ConfigurableHTTPProxy):  # type: ignore[misc]  # JupyterHub has no types
    """configurable-http-proxy, asked every other moment for one route that it has to have.

    JupyterHub compares all routes now and then, which costs more the more servers there are; this costs next to
    nothing. A route that our spawner has told while the server booted is not told a second time when it is ready.
    """

    route = Unicode(help="Path of the route that is asked for; where it is missing, all are told.").tag(config=True)
    look_every = Float(2.0, min=0.1, help="Seconds between two looks.").tag(config=True)

    _looking: PeriodicCallback | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._told: dict[str, tuple[str, dict[str, Any]]] = {}  # early, and not confirmed yet: target and data

    async def check_routes(self, *known: Any, **more: Any) -> None:
        """Compare all routes, which JupyterHub does at its start, and look from then on."""
        self._told.clear()  # what was told may be lost
        await super().check_routes(*known, **more)
        if self._looking is None:
            self._looking = PeriodicCallback(self.look, 1000 * self.look_every)
            self._looking.start()

    async def add_early(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        """Add a route that JupyterHub is going to add in a moment.

        Args:
            routespec: As for `add_route`.
            target: Likewise.
            data: Likewise.
        """
        self._told.pop(routespec, None)
        await self.add_route(routespec, target, dict(data))
        self._told[routespec] = target, dict(data)

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        """Add a route; nothing happens for one that was added early, once."""
        if self._told.pop(routespec, None) != (target, data):
            await super().add_route(routespec, target, data)

    async def delete_route(self, routespec: str) -> None:
        """Take a route away."""
        self._told.pop(routespec, None)
        await super().delete_route(routespec)

    async def look(self) -> None:
        """Tell all routes, if the one is missing; a proxy that is away is waited for."""
        try:
            async with asyncio.timeout(_ANSWER):
                await self.api_request(self.route)
        except ClientResponseError as error:
            if error.status == 404:
                self.log.warning("The proxy has lost its routes; they are told anew.")
                await self.check_routes(self.app.users, self.app._service_map)
        except TimeoutError:
            self.log.warning("The proxy does not answer.")
