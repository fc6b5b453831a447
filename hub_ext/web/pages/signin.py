"""Where the Hub leads a person back to, once she is signed in."""

from __future__ import annotations

from jupyterhub.services.auth import HubOAuthCallbackHandler

from hub_ext.web.pages.page import Page


class SignedIn(Page, HubOAuthCallbackHandler):
    """``oauth_callback``: takes the Hub's word and leads on to where she wanted to go."""

    public = True
