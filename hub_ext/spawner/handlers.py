"""Requests of JupyterHub's that we answer a little differently. An authenticator registers them (`get_handlers`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from jupyterhub import orm
from jupyterhub.apihandlers.users import SelfAPIHandler, UserServerAPIHandler
from jupyterhub.handlers.pages import HomeHandler, SpawnHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from sqlalchemy.exc import SQLAlchemyError
from tornado.httputil import url_concat
from tornado.web import HTTPError, RequestHandler, authenticated

from hub_ext.errors import Conflict, Forbidden, InvalidInput, Unavailable
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.signin.known_clients import know_clients
from hub_ext.signin.session_token import SessionToken
from hub_ext.spawner import asking
from hub_ext.spawner.asking import Typed
from hub_ext.spawner.guard import ACT_IN_ROLES
from hub_ext.spawner.tokens import hash_once
from hub_ext.spawner.why import WHY

_LONGEST_CANCEL = 5.0  # seconds until a start that was cancelled has put away what it made


class EndServerHandler(UserServerAPIHandler):
    """JupyterHub's requests on a server; the one that ends it also says who asked, for the record and the page.

    A start that is cancelled is waited for (JupyterHub sleeps a second, and fails when another start came meanwhile).
    """

    def find_user(self, name: str) -> Any:
        """Return somebody; who asks for her own server was looked up a moment ago, which takes a few questions."""
        asks = self.current_user
        return asks if isinstance(asks, User) and asks.name == name else super().find_user(name)

    @needs_scope("delete:servers")
    async def delete(self, user_name: str, server_name: str = "") -> None:
        """Cancel a start, or stop a server."""
        user = self.find_user(user_name)
        spawner = user.spawners.get(server_name) if user is not None else None
        if spawner is not None:
            spawner.ended_by, spawner.ended_why = self._who_and_why()
            if spawner.pending == "spawn" and spawner._spawn_future is not None:  # as JupyterHub does
                start = spawner._spawn_future
                start.cancel()
                await asyncio.wait([start], timeout=_LONGEST_CANCEL)
                await self.stop_single_user(user, server_name)
        await super().delete(user_name, server_name)

    def _who_and_why(self) -> tuple[str, str]:
        """Return who ends it; nobody, and why, where it is our own service."""
        asks, why = self.current_user, self.request.headers.get(WHY, "")
        ours = HubExt(config=self.config).service_name
        if isinstance(asks, orm.Service) and asks.name == ours and why:
            return "", unquote(why)
        return str(asks.name), ""


class CannotLook(HTTPError):
    """Nobody can be told apart now: the Hub's database, or what its authenticator asks, does not answer."""

    def __init__(self) -> None:
        super().__init__(503, "The Hub cannot look up whose this is. Try again in a moment.")
        self.headers = {"Retry-After": "2"}  # JupyterHub sends them


class WhoAmI(SelfAPIHandler):
    """``api/user``: whose a token is. JupyterHub says "nobody's" also where it could not look; a service believes that.

    Where it can look, but not write down that somebody was active (the disk is full), it says whose all the same.
    """

    _could_not_look = False
    _writes_activity = True

    async def get_current_user(self) -> Any:
        """Return whose the token is."""
        try:
            return await super().get_current_user()
        except SQLAlchemyError:
            self.log.exception("Failed to look up or to write down whose a token is; looking once more")
            self.db.rollback()
            self._writes_activity = False
            del self._jupyterhub_user  # nobody, as JupyterHub remembers after an error
        except Exception as error:
            self._could_not_look = not isinstance(error, HTTPError)
            raise
        try:
            return await super().get_current_user()
        except Exception:
            self._could_not_look = True
            raise

    def _record_activity(self, obj: Any, timestamp: Any = None) -> bool:
        return self._writes_activity and bool(super()._record_activity(obj, timestamp))

    async def prepare(self) -> None:
        """Find out who asks.

        Raises:
            CannotLook: If that cannot be found out now.
        """
        await super().prepare()
        if self._could_not_look:
            raise CannotLook


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


class AskHandler(SpawnHandler):
    """``ask-access``: what the form on a greyed card sends. Who asks is who is signed in, for herself."""

    @authenticated
    async def get(self) -> None:
        """Lead to the start page: somebody reloaded what a mistake had left."""
        self.redirect(f"{self.hub.base_url}spawn")

    @authenticated
    async def post(self) -> None:
        """Ask; the card then says that it waits, or what is wrong with what was typed."""
        profile = self.get_body_argument("profile", "")
        typed = Typed(profile, *(self.get_body_argument(f"{name}:{profile}", "") for name in ("reason", "until")))
        groups = frozenset(group.name for group in self.current_user.groups)
        person = Person(self.current_user.name, groups, may_administer=ACT_IN_ROLES in self.expanded_scopes)
        spawner = self.current_user.spawner
        spawner.handler = self
        try:
            await spawner.in_thread(spawner.ledger.ask, person, typed)
        except Forbidden as error:
            raise HTTPError(403, error.detail) from None
        except Unavailable as error:
            await self._show(spawner, replace(typed, errors={"": f"{error.detail} {error.hint}"}), 503)
        except (InvalidInput, Conflict) as error:
            errors = {one.field: f"{_capital(one.message)}." for one in error.problems} or {"": error.detail}
            await self._show(spawner, replace(typed, errors=errors), 409 if isinstance(error, Conflict) else 422)
        else:
            self.redirect(f"{self.hub.base_url}spawn#title-{quote(profile, safe='')}", status=303)

    async def _show(self, spawner: Any, typed: Typed, status: int) -> None:
        """Show the start page again, with what was typed."""
        asking.keep(typed)
        self.set_status(status)
        address = url_concat(f"{self.hub.base_url}spawn", {"_xsrf": self.xsrf_token.decode("ascii")})
        html = await self.render_template(
            "spawn.html",
            for_user=self.current_user,
            auth_state=None,
            spawner_options_form=await spawner.form(),
            error_title="Nothing was asked for.",
            error_message=typed.errors.get("profile", ""),
            url=address,
            spawner=spawner,
        )
        self.finish(html)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def handlers(app: Any) -> list[tuple[str, type[RequestHandler]]]:
    """Return what has to come before JupyterHub's own handlers; also prepares the provider that answers by them.

    Args:
        app: The Hub, which has its services.
    """
    hash_once(app)
    know_clients(app.oauth_provider)
    return [
        (r"/home", LeadHome),
        (r"/ask-access", AskHandler),
        (r"/api/oauth2/token", SessionToken),
        (r"/api/user", WhoAmI),
        (r"/api/users/([^/]+)/server", EndServerHandler),
        (r"/api/users/([^/]+)/servers/([^/]*)", EndServerHandler),
    ]
