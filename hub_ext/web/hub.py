"""The Hub, as the service sees it: who somebody is, and which groups she is in now."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from jupyterhub.httpclient import JupyterHubHTTPClient
from jupyterhub.services.auth import HubOAuth
from tornado.web import HTTPError, RequestHandler

from hub_ext.errors import Forbidden, NotFound, NotSignedIn, Unavailable
from hub_ext.people import ROLES, Person, roles_of, scope_of
from hub_ext.signin.whose import ASKS, WHOSE
from hub_ext.spawner.why import WHY
from hub_ext.web.sealed import Sealed

# A session or token needs this scope to approve, review, entitle or administer; a notebook server's own has it not.
ACT_IN_ROLES = "custom:hub-ext:act-in-roles"

# How long the Hub's word on a token is believed, in seconds: a token that is revoked is good for this long at most.
BELIEVED = 30

_TIMEOUT = 10.0
_LONGEST_WHY = 500
_LONGEST_NEXT = 1000  # characters; browsers take 4,096 for a cookie, and this grows by sealing and signing
AWAY = "The Hub does not answer, so nobody can be told apart right now."


class ServiceAuth(HubOAuth):
    """The Hub's sign-in for services, without tokens in addresses, and begun and ended by any replica.

    JupyterHub remembers a sign-in that has begun in the memory of the process; here the browser carries it, sealed.

    Attributes:
        sealed: Seals it.
    """

    sealed: Sealed

    def _get_token_url(self, handler: RequestHandler) -> str:  # noqa: ARG002
        return ""

    async def _api_request(self, method: str, url: str, /, **more: Any) -> Any:
        """Ask the Hub; a no is believed only from a Hub that knows us: one that cannot look says no to everybody.

        Raises:
            HTTPError: If the Hub does not answer, or cannot tell.
        """
        is_sign_in = url == self.oauth_token_url
        if is_sign_in:
            more["headers"] = {**more.get("headers", {}), ASKS: "1"}
        found = await super()._api_request(method, url, **more)
        if is_sign_in:
            self._believe(found)
        if found is None and await super()._api_request("GET", f"{self.api_url}/user", allow_403=True) is None:
            raise HTTPError(503, "The Hub does not know this service's own token, so its no means nothing")
        return found

    def _believe(self, answer: dict[str, Any]) -> None:
        """Remember what a Hub of ours said of the token that it gave, as if it had been asked."""
        model = answer.get(WHOSE)
        if model is not None:
            token = hashlib.sha256(str(answer["access_token"]).encode()).hexdigest()
            self.cache[f"token:{model.get('session_id') or ''}:{token}"] = model

    def generate_state(self, next_url: str | None = None, **extra_state: Any) -> str:
        """Return a sign-in that begins.

        Args:
            next_url: Where she goes afterwards; home, where that is too long for a cookie.
            extra_state: What the end needs to know.
        """
        kept = next_url if next_url and len(quote(next_url)) <= _LONGEST_NEXT else None
        return self.sealed.seal({"id": secrets.token_urlsafe(16), "next_url": kept, **extra_state})

    def _decode_state(self, state_id: str, /) -> dict[str, Any]:
        return self.sealed.open(state_id, self.oauth_state_max_age)


def make_auth(sealed: Sealed) -> ServiceAuth:
    """Return the sign-in of this service, set up from what the Hub put into the environment.

    Args:
        sealed: Seals what browsers carry.
    """
    made = ServiceAuth(cache_max_age=BELIEVED)
    made.sealed = sealed
    return made


class HubClient:
    """The Hub's API, asked with the service's own token.

    Args:
        auth: Knows the address and the token.
    """

    def __init__(self, auth: HubOAuth) -> None:
        self._url = str(auth.api_url).rstrip("/")
        self._token = str(auth.api_token)
        self._http: Any = None

    def open(self) -> None:
        """Prepare the one client of this process (the sign-in uses it too); needs the running loop."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        self._http = JupyterHubHTTPClient.instance(session_options={"timeout": timeout})

    async def close(self) -> None:
        """Close all connections to the Hub."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _get(self, path: str, **more: str) -> tuple[int, str]:
        return await self._ask("GET", path, more)

    async def _ask(self, method: str, path: str, more: dict[str, str] | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"token {self._token}"} | (more or {})
        url = f"{self._url}/{path}"
        try:
            response = await self._http.fetch(url, method=method, headers=headers, raise_for_status=False)
            return int(response.status), await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(AWAY, hint="Try again in a moment.") from error

    async def groups(self, name: str) -> tuple[frozenset[str], bool]:
        """Return the groups of a person as they are now, and whether the Hub calls her an admin.

        Args:
            name: Her name at the Hub.

        Raises:
            NotSignedIn: If the Hub does not know her any more.
            Unavailable: If the Hub does not answer, or does not let the service read groups.
        """
        model = await self._user(name)
        if model is None:
            raise NotSignedIn("The Hub does not know you any more.", hint="Sign in again.")
        return frozenset(model.get("groups", ())), bool(model.get("admin", False))

    async def groups_of(self, name: str) -> frozenset[str]:
        """Return the groups of somebody else as they are now.

        Args:
            name: Her name at the Hub.

        Raises:
            NotFound: If the Hub does not know her: she has never signed in.
            Unavailable: If the Hub does not answer, or does not let the service read groups.
        """
        groups, _ = await self.all_of(name)
        return groups

    async def all_of(self, name: str) -> tuple[frozenset[str], bool]:
        """Return the groups of somebody else as they are now, and whether the Hub calls her an admin.

        Args:
            name: Her name at the Hub.

        Raises:
            NotFound: If the Hub does not know her: she has never signed in.
            Unavailable: If the Hub does not answer, or does not let the service read groups.
        """
        model = await self._user(name)
        if model is None:
            raise NotFound("The Hub knows nobody of this name.", hint="Whoever has never signed in is not known there.")
        return frozenset(model.get("groups", ())), bool(model.get("admin", False))

    async def people(self, part: str, first: int, most: int) -> tuple[list[dict[str, Any]], int]:
        """Return some of the people whom the Hub knows, by name, and how many there are.

        Args:
            part: What their names hold; empty for all.
            first: How many come before them.
            most: How many.

        Raises:
            Unavailable: If the Hub does not answer, or does not let the service list people.
        """
        named = f"&name_filter={quote(part, safe='')}" if part else ""
        return await self._page(f"users?sort=name&offset={first}&limit={most}{named}")

    async def group_names(self, first: int, most: int) -> tuple[list[str], int]:
        """Return some of the groups that the Hub knows, and how many there are.

        Args:
            first: How many come before them.
            most: How many.

        Raises:
            Unavailable: If the Hub does not answer, or does not let the service list groups.
        """
        found, total = await self._page(f"groups?offset={first}&limit={most}")
        return sorted(str(one["name"]) for one in found), total

    async def _page(self, path: str) -> tuple[list[dict[str, Any]], int]:
        status, text = await self._get(path, Accept="application/jupyterhub-pagination+json")
        if status != 200:
            raise Unavailable("The Hub does not list people and groups.", hint="Tell an admin.")
        found: dict[str, Any] = json.loads(text)
        return list(found["items"]), int(found["_pagination"]["total"])

    async def members(self, group: str) -> list[str]:
        """Return who is in a group now, by name.

        Args:
            group: Its name.

        Raises:
            NotFound: If the Hub knows no such group.
            Unavailable: If the Hub does not answer, or does not let the service read groups.
        """
        status, text = await self._get(f"groups/{quote(group, safe='')}")
        if status not in (200, 404):
            raise Unavailable("The Hub does not say who is in a group.", hint="Tell an admin.")
        found: dict[str, Any] = json.loads(text) if status == 200 else {}
        if found.get("name") != group:
            raise NotFound("The Hub knows no group of this name.")
        return sorted(str(name) for name in found.get("users", ()))

    async def stop_server(self, user: str, server: str, why: str) -> bool:
        """Stop somebody's server.

        Args:
            user: Whose.
            server: Its name; empty for the one that has none.
            why: What its person is told.

        Returns:
            Whether the Hub stops it; else it has no such server, or is busy with it.

        Raises:
            Unavailable: If the Hub does not answer, or does not let the service stop servers.
        """
        name = quote(user, safe="")
        path = f"users/{name}/servers/{quote(server, safe='')}" if server else f"users/{name}/server"
        status, _ = await self._ask("DELETE", path, {WHY: quote(why[:_LONGEST_WHY])})
        if status in (401, 403) or status >= 500:
            raise Unavailable("The Hub does not let the service stop a server.", hint="Tell an admin.")
        return status in (202, 204)

    async def _user(self, name: str) -> dict[str, Any] | None:
        status, text = await self._get(f"users/{quote(name, safe='')}")
        if status == 404:
            return None
        if status != 200:
            raise Unavailable("The Hub does not say which groups somebody is in.", hint="Tell an admin.")
        found: dict[str, Any] = json.loads(text)
        return found if found.get("name") == name else None  # a name of dots leads to another address


def person_of(
    model: dict[str, Any], *, allowed: bool, role_groups: Mapping[str, Collection[str]] | None = None
) -> Person:
    """Return the person whom the Hub described for a session or token.

    Args:
        model: The Hub's word.
        allowed: Whether the session or token may reach this service.
        role_groups: Groups that carry roles, as the settings say.

    Raises:
        Forbidden: If it may not, or if it is no person's.
    """
    if model.get("kind", "user") != "user":
        raise Forbidden("This token belongs to a service; workflows are for people.", hint="Use a person's token.")
    if not allowed:
        raise Forbidden(
            "This session or token may not reach this service.",
            hint="Make a token with the scope access:services, or ask an admin.",
        )
    groups = frozenset(model.get("groups", ()))
    scopes = frozenset(model.get("scopes", ()))
    roles = roles_of(groups, admin=bool(model.get("admin", False)), given=role_groups)
    token_roles = frozenset(role for role in ROLES if scope_of(role) in scopes)
    return Person(str(model["name"]), groups, roles, ACT_IN_ROLES in scopes, token_roles=token_roles)
