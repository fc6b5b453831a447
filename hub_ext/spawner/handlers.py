"""Requests of JupyterHub's that we answer a little differently. An authenticator registers them (`get_handlers`)."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.handlers.pages import HomeHandler
from jupyterhub.scopes import needs_scope
from tornado.web import RequestHandler, authenticated

_LONGEST_CANCEL = 5.0  # seconds until a start that was cancelled has put away what it made


class EndServerHandler(UserServerAPIHandler):
    """JupyterHub's requests on a server; the one that ends it also says who asked, for the record and the page.

    A start that is cancelled is waited for (JupyterHub sleeps a second, and fails when another start came meanwhile).
    """

    @needs_scope("delete:servers")
    async def delete(self, user_name: str, server_name: str = "") -> None:
        """Cancel a start, or stop a server."""
        user = self.find_user(user_name)
        spawner = user.spawners.get(server_name) if user is not None else None
        if spawner is not None:
            spawner.ended_by = self.current_user.name
            if spawner.pending == "spawn" and spawner._spawn_future is not None:  # as JupyterHub does
                start = spawner._spawn_future
                start.cancel()
                await asyncio.wait([start], timeout=_LONGEST_CANCEL)
                await self.stop_single_user(user, server_name)
        await super().delete(user_name, server_name)


class LeadHome(HomeHandler):
    """The Hub's home leads to the platform's; who comes from there, or asks with ``?servers``, gets her servers."""

    @authenticated
    async def get(self) -> None:
        """Redirect, or show the list of servers."""
        came_from = urlsplit(self.request.headers.get("Referer", "")).path
        if self.get_argument("servers", None) is None and not came_from.startswith(self.authenticator.home):
            self.redirect(self.authenticator.home)
            return
        await super().get()


def handlers() -> list[tuple[str, type[RequestHandler]]]:
    """Return what has to come before JupyterHub's own handlers."""
    return [
        (r"/home", LeadHome),
        (r"/api/users/([^/]+)/server", EndServerHandler),
        (r"/api/users/([^/]+)/servers/([^/]*)", EndServerHandler),
    ]
