"""The end of the sign-in: the Hub sends the browser back here."""

from __future__ import annotations

import functools
from typing import Any

from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError

from hub_ext.errors import Forbidden, HubExtError, Unavailable
from hub_ext.web.pages.gallery import first_page
from hub_ext.web.pages.page import Page


class SignInEnd(Page, HubOAuthCallbackHandler):
    """Takes the code that the Hub gave, and keeps the session's token in a cookie."""

    public = True
    _token = _leads = ""

    async def prepare(self) -> None:
        """Find out whether she is signed in already: then an old code does no harm."""
        await super().prepare()
        await self.identify()

    async def get(self) -> None:
        """End the sign-in.

        Raises:
            Forbidden: If it was refused, or is not one that was begun here.
            Unavailable: If the Hub does not answer.
        """
        try:
            await HubOAuthCallbackHandler.get(self)
        except HTTPError as error:
            if error.status_code >= 500:
                raise Unavailable("The Hub does not answer, so the sign-in did not end.") from error
            raise Forbidden(
                "The sign-in did not end as it began: it was refused, took too long, or began in another browser.",
                hint="Go to the start page and sign in again.",
            ) from error
        await self._look_ahead()

    def set_secure_cookie(self, name: str, value: str | bytes, *args: Any, **more: Any) -> None:
        """Set a cookie that is signed, and remember the session's token."""
        super().set_secure_cookie(name, value, *args, **more)
        if name == self.hub_auth.cookie_name:
            self._token = str(value)

    def redirect(self, url: str, *args: Any, **more: Any) -> None:
        """Send her somewhere, and remember where."""
        self._leads = url
        super().redirect(url, *args, **more)

    async def _look_ahead(self) -> None:
        """Begin to look up her home page, if she is sent there; whatever fails will be told by that page."""
        if not self._token or self._leads not in (self.context.prefix, self.hub_auth.base_url):
            return
        session = self.hub_auth.get_session_id(self)
        try:
            model = await self.hub_auth.user_for_token(self._token, session_id=session, sync=False)
            person = self.described(model)
        except (HTTPError, HubExtError):
            return
        self.context.ahead.begin(person, functools.partial(first_page, self.context, person))
