"""Asking an authenticator of somebody else's (GitHub's, GitLab's, …) about people, also about those who do nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.utils import maybe_future
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from hub_ext.signin.provider import NOT_ABOUT_HER
from hub_ext.signin.turns import Turns

log = logging.getLogger(__name__)

_NOT_ABOUT_HER = [one.encode() for one in NOT_ABOUT_HER]
_LONGEST = 60.0  # seconds that an authenticator gets for an answer

# Errors of a question under way that are no refusal: what is not known is not "no".
_doubts: ContextVar[list[BaseException] | None] = ContextVar("_doubts", default=None)


def can_be_asked(authenticator: Any) -> bool:
    """Return whether an authenticator says of people who have signed in whether they still may.

    Args:
        authenticator: The Hub's.
    """
    says = getattr(type(authenticator), "refresh_user", Authenticator.refresh_user)
    return says is not Authenticator.refresh_user and bool(authenticator.auth_refresh_age)


class Others:
    """Asks, one question at a time for each person, whoever asks: a refresh token is often good once.

    From then on requests go this way, too: who may not sign in any more is not refreshed, and new tokens are kept
    before anybody asks again.

    Args:
        authenticator: Somebody else's.
        age: Seconds after which it is asked again about somebody.
        longest: Seconds that its last word counts where it gave nothing to ask with.
    """

    def __init__(self, authenticator: Any, age: float, longest: float) -> None:
        self._authenticator = authenticator
        self._usual = authenticator.refresh_user
        self._age = age
        self._longest = longest
        self._turns = Turns()
        self._next: dict[str, float] = {}  # when somebody may be due
        self._since: dict[str, float] = {}  # what was last known of somebody dates from here, at the latest
        authenticator.refresh_user = self.refresh_user
        if self._is_oauth():
            for name in ("get_token_info", "token_to_user"):
                setattr(authenticator, name, _doubting(getattr(authenticator, name)))

    def due(self, holders: Collection[str]) -> list[str]:
        """Return who may have to be asked about, the longest waiting first.

        Args:
            holders: Names of those who hold something.
        """
        at = time.monotonic()
        self._next = {name: when for name, when in self._next.items() if name in holders}
        self._since = {name: self._since.get(name, at) for name in holders}
        return sorted(
            (name for name in holders if self._next.get(name, 0.0) <= at), key=lambda n: self._next.get(n, 0.0)
        )

    async def refresh_user(self, user: Any, handler: Any = None, **more: Any) -> dict[str, Any] | bool:
        """Return what is true of somebody now, as JupyterHub asks for it; False: she has to sign in again.

        Args:
            user: Who.
            handler: The request that wants to know.
            more: What else JupyterHub says.
        """
        async with self._turns.of(user.name):
            return await self._asked(user, handler, **more)

    async def ask(self, user: Any) -> dict[str, Any] | bool:
        """Return the same without a request; True also where nothing can be known.

        Args:
            user: Who.
        """
        async with self._turns.of(user.name):
            at = time.monotonic()
            asked = user._auth_refreshed  # JupyterHub's own note
            if asked and at - asked < self._age:
                self._next[user.name] = asked + self._age
                return True
            self._next[user.name] = at + self._age
            doubts: list[BaseException] = []
            token = _doubts.set(doubts)
            try:
                async with asyncio.timeout(_LONGEST):
                    found = await self._asked(user, None)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is no answer
                log.warning("The authenticator cannot be asked about %s (%s)", user.name, type(error).__name__)
                return True
            finally:
                _doubts.reset(token)
            if found is False and (doubts or not await self._could_be_asked(user, at)):
                return True
            if found is not False:
                user._auth_refreshed = at
            return found

    async def _asked(self, user: Any, handler: Any, **more: Any) -> dict[str, Any] | bool:
        found = await maybe_future(self._usual(user, handler, **more))
        if not isinstance(found, dict):
            return bool(found)
        if self._is_oauth() and not await self._may_sign_in(user.name, found):
            log.info("%s may not sign in any more", user.name)
            return False
        if found.get("auth_state") is not None:
            await self._keep(user, found)
        return found

    def _is_oauth(self) -> bool:
        """Return whether its answer holds what it knows of somebody at a sign-in; others may answer in part."""
        from oauthenticator.oauth2 import OAuthenticator

        return isinstance(self._authenticator, OAuthenticator)

    async def _may_sign_in(self, name: str, found: dict[str, Any]) -> bool:
        """Return what JupyterHub would say of her at a sign-in; of a refresh it does not ask that."""
        if self._authenticator.allow_all:
            return True
        try:
            return bool(await maybe_future(self._authenticator.check_allowed(name, found)))
        except HTTPError as error:
            if error.status_code != 403:
                raise
            return False

    async def _keep(self, user: Any, found: dict[str, Any]) -> None:
        """Write down what is good for the next question, before anybody asks it. JupyterHub does that later again."""
        hook = self._authenticator.reconcile_auth_state_hook
        if hook is not None:
            found["auth_state"] = await maybe_future(hook(self._authenticator, found, await user.get_auth_state()))
        await user.save_auth_state(found["auth_state"])

    async def _could_be_asked(self, user: Any, at: float) -> bool:
        """Return whether a no is one: with a token that has ended, and none to get a new one, nothing can be asked."""
        state = await user.get_auth_state()
        if not isinstance(state, dict):
            return False  # an admin made her, or she came before tokens were kept
        answer = state.get("token_response")
        ends = isinstance(answer, dict) and answer.get("expires_in") is not None
        if state.get("refresh_token") or not ends:
            return True
        last = max(user._auth_refreshed or 0.0, self._since.get(user.name, at))
        return at - last > self._longest


def _doubting(get_token_info: Any) -> Any:
    """Return a method of oauthenticator's that also notes when it fails without a refusal: its callers hide that."""

    async def noting(*args: Any, **more: Any) -> Any:
        try:
            return await get_token_info(*args, **more)
        except Exception as error:
            doubts = _doubts.get()
            if doubts is not None and not _is_refusal(error):
                doubts.append(error)
            raise

    return noting


def _is_refusal(error: Exception) -> bool:
    """Return whether the provider said no to a person: an error of its own, or a no to the Hub, is none."""
    status = 0
    if isinstance(error, HTTPClientError):
        status = error.code
        if error.response is not None and any(one in (error.response.body or b"") for one in _NOT_ABOUT_HER):
            return False
    elif isinstance(error, HTTPError):
        status = error.status_code
    return 400 <= status < 500 and status not in (408, 429)
