"""The end of the sign-in: the Hub sends the browser back here."""

from __future__ import annotations

from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError

from hub_ext.errors import Forbidden, Unavailable
from hub_ext.web.pages.page import Page


class SignInEnd(Page, HubOAuthCallbackHandler):
    """Takes the code that the Hub gave, and keeps the session's token in a cookie."""

    public = True

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
