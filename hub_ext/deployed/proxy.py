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
    nothing.
    """

    route = Unicode(help="Path of the route that is asked for; where it is missing, all are told.").tag(config=True)
    look_every = Float(2.0, min=0.1, help="Seconds between two looks.").tag(config=True)

    _looking: PeriodicCallback | None = None

    async def check_routes(self, *known: Any, **more: Any) -> None:
        """Compare all routes, which JupyterHub does at its start, and look from then on."""
        await super().check_routes(*known, **more)
        if self._looking is None:
            self._looking = PeriodicCallback(self.look, 1000 * self.look_every)
            self._looking.start()

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
