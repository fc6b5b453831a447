"""Sign-in of the embedded default: one password for all, and names that say who one wants to be."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.auth import Authenticator
from tornado.web import HTTPError, RequestHandler
from traitlets import Dict, List, Unicode, default

from hub_ext.embedded.names import ADMIN, ANALYSTS, Limiter, check_name
from hub_ext.embedded.state import check_password
from hub_ext.errors import InvalidInput, RateLimited
from hub_ext.people import ROLES, groups_of_roles


class SignInRefused(HTTPError):
    """A sign-in that is not even tried; JupyterHub shows the text on the page and in the API.

    Args:
        status: HTTP status.
        message: For the person.
        headers: Headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message.replace("%", "%%"))
        self.jupyterhub_message = message
        self.headers = headers or {}


class EmbeddedAuthenticator(Authenticator):
    """One password; any valid name. `admin` has all roles, others are analysts, and settings give more roles."""

    password_hash = Unicode(help="Hash of the password.").tag(config=True)
    roles = Dict(key_trait=Unicode(), value_trait=List(Unicode()), help="More roles: name → roles.").tag(config=True)
    role_groups = Dict(
        key_trait=Unicode(), value_trait=List(Unicode()), help="Groups that carry a role, role → groups."
    ).tag(config=True)
    home = Unicode("/services/workflows/", help="Where /hub/home leads.").tag(config=True)

    @default("role_groups")
    def _usual_groups(self) -> dict[str, list[str]]:
        return groups_of_roles({})

    @default("allow_all")
    def _everybody_with_the_password(self) -> bool:
        return True

    @default("manage_groups")
    def _groups_come_from_here(self) -> bool:
        return True

    @default("delete_invalid_users")
    def _keep_users(self) -> bool:
        return False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.limiter = Limiter()
        self.sweeper: Any = None
        self.one_at_a_time = asyncio.Semaphore(2)

    def normalize_username(self, username: str) -> str:
        """Return the name as it is: nothing is made lower-case or mapped, so that one name is one person."""
        return username

    def validate_username(self, username: str) -> bool:
        """Return whether a name can be a user's (of a sign-in, or made by an admin)."""
        try:
            check_name(username)
        except InvalidInput:
            return False
        return bool(super().validate_username(username))

    def groups_of(self, name: str) -> list[str]:
        """Return the groups of a person.

        Args:
            name: Her name.
        """
        roles = ROLES if name == ADMIN else dict.fromkeys(self.roles.get(name, ()))
        return [ANALYSTS, *(group for role in roles for group in self.role_groups[role][:1])]

    def is_hub_admin(self, name: str) -> bool:
        """Return whether she may administer the Hub itself."""
        return name == ADMIN or "admin" in self.roles.get(name, ())

    async def authenticate(self, handler: RequestHandler, data: dict[str, str]) -> dict[str, Any] | None:
        """Check a name and a password.

        Somebody who asks for her first token in place of signing in becomes a user as if she had signed in.

        Raises:
            HTTPError: If the name cannot be (400), or there were too many wrong passwords (429).
        """
        name, password = (str(data.get(field, "")) for field in ("username", "password"))
        try:
            check_name(name)
            self.limiter.check(name)
        except InvalidInput as error:
            message = error.problems[0].message
            raise SignInRefused(400, f"This name {message}." if name else "Type a name.") from None
        except RateLimited as error:
            headers = {"Retry-After": str(error.retry_after)}
            raise SignInRefused(429, f"{error.detail} {error.hint}", headers) from None
        async with self.one_at_a_time:
            right = await asyncio.to_thread(check_password, password, self.password_hash)
        if not right:
            self.limiter.failed(name)
            return None
        self.limiter.succeeded(name)
        if isinstance(handler, APIHandler):
            await handler.auth_to_user(self._model(name))
        return self._model(name)

    async def check_blocked_users(self, username: str, authentication: Any = None) -> bool:
        """Return whether she may come in: neither the configuration nor an admin of ours blocks her."""
        if not super().check_blocked_users(username, authentication):
            return False
        if self.sweeper is None:  # no Hub
            return True
        return not (await asyncio.to_thread(self.sweeper.accounts.standing, username)).blocked

    async def refresh_user(
        self,
        user: Any,
        handler: RequestHandler | None = None,  # noqa: ARG002
    ) -> dict[str, Any] | bool:
        """Return what is true of a person now, since her roles may have changed in the settings; True if nothing has.

        JupyterHub would write it all down once more, which is a good part of what it does for a start.
        """
        model = self._model(user.name)
        same = user.admin == model["admin"] and {group.name for group in user.groups} == set(model["groups"])
        return same or model

    def _model(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "admin": self.is_hub_admin(name),
            "groups": self.groups_of(name),
            "auth_state": None,
        }

    def get_handlers(self, app: Any) -> list[tuple[str, type[RequestHandler]]]:
        """Return the handlers that come before JupyterHub's own: they say who stops a server, and lead home."""
        from hub_ext.signin.sweep import Sweeper
        from hub_ext.spawner.handlers import handlers

        self.sweeper = Sweeper.of(app)
        return [*super().get_handlers(app), *handlers(app)]
