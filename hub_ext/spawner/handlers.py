"""Requests of JupyterHub's that we answer a little differently. An authenticator registers them (`get_handlers`)."""

from __future__ import annotations

from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.handlers.pages import HomeHandler
from tornado.web import RequestHandler, authenticated


class EndServerHandler(UserServerAPIHandler):
    """JupyterHub's requests on a server; the one that ends it also says who asked, for the record and the page."""

    async def delete(self, user_name: str, server_name: str = "") -> None:
        """Cancel a start, or stop a server."""
        user = self.find_user(user_name)
        if user is not None and server_name in user.spawners and self.current_user is not None:
            user.spawners[server_name].ended_by = self.current_user.name
        await super().delete(user_name, server_name)


class LeadHome(HomeHandler):
    """The Hub's home leads to the platform's; ``/hub/home?servers`` is still the list of named servers."""

    @authenticated
    async def get(self) -> None:
        """Redirect, or show the list."""
        if self.get_argument("servers", None) is None:
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
