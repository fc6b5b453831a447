"""The Hub's requests of a sign-in: its begin, its end, the sign-out, and what the provider reports."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jupyterhub.apihandlers.auth import OAuthAuthorizeHandler
from jupyterhub.handlers.base import BaseHandler
from oauthenticator.oauth2 import STATE_COOKIE_NAME, OAuthCallbackHandler, OAuthLoginHandler, OAuthLogoutHandler
from tornado.httputil import url_concat
from tornado.web import HTTPError

from hub_ext.auth import SignInRefused
from hub_ext.signin.provider import ProviderAway
from hub_ext.signin.tokens import TokenRefused

AWAY = "The sign-in provider does not answer, so nobody can sign in right now. Try again in a moment."
_LASTS = 3600  # seconds that a sign-in may take
_AGAIN = "Go to the start page and sign in again."
_NOT_BEGUN = f"This sign-in was not begun in this browser, took too long, or was begun anew in another window. {_AGAIN}"


@dataclass(frozen=True)
class Begun:
    """A sign-in that was begun in this browser; it is kept in a cookie that the Hub signs.

    Attributes:
        state: Comes back from the provider's page, and shows that this browser began.
        nonce: Comes back in the ID token, and shows that it was made for this sign-in.
        code_verifier: Is shown with the code (PKCE), so that a code that somebody steals is good for nothing.
        then: Path where she goes afterwards; empty: home.
        at: When, in seconds since 1970.
    """

    state: str
    nonce: str
    code_verifier: str
    then: str
    at: float

    @classmethod
    def now(cls, then: str) -> Begun:
        """Begin one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, then, time.time())

    @property
    def code_challenge(self) -> str:
        """What the provider is told of the verifier."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.code_verifier.encode()).digest()).decode().rstrip("=")

    @classmethod
    def read(cls, cookie: str) -> Begun | None:
        """Return what a cookie of ours holds, None when it is none, or too old."""
        try:
            found = cls(**json.loads(cookie))
        except (ValueError, TypeError):
            return None
        return found if 0 <= time.time() - found.at <= _LASTS else None


class TellsRefusals:
    """Mixin for the requests of a sign-in: a refusal is told with the way to begin again."""

    def render_template(self, name: str, *args: Any, **ns: Any) -> Any:
        """Render a page of the Hub's."""
        page = "refused.html" if name == "error.html" else name
        return super().render_template(page, *args, **ns)  # type: ignore[misc]  # JupyterHub's handler comes next


class SignIn(TellsRefusals, OAuthLoginHandler):
    """Sends the browser to the provider."""

    async def get(self) -> None:
        """Begin a sign-in.

        Raises:
            SignInRefused: If the provider does not answer (503).
        """
        try:
            described = await self.authenticator.provider.metadata()
        except ProviderAway as error:
            self.log.warning("The sign-in provider cannot be used: %s", error)
            raise SignInRefused(503, AWAY, {"Retry-After": "10"}) from None
        then = self._validate_next_url(self.get_argument("next", "", strip=False))
        begun = Begun.now(then if then.isprintable() else "")  # browsers leave out what cannot be seen
        cookie = json.dumps(asdict(begun))
        self._set_cookie(STATE_COOKIE_NAME, cookie, expires_days=_LASTS / 86_400, path=self.hub.base_url)
        ours = {
            "response_type": "code",
            "client_id": self.authenticator.client_id,
            "redirect_uri": self.authenticator.get_callback_url(self),
            "scope": " ".join(self.authenticator.scope),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": begun.code_challenge,
            "code_challenge_method": "S256",
        }
        self.redirect(url_concat(described.authorization, {**self.authenticator.extra_authorize_params, **ours}))


class SignInEnd(TellsRefusals, OAuthCallbackHandler, OAuthAuthorizeHandler):
    """Takes the code that the provider gave.

    Who came from a service that asks nothing has its request for a sign-in answered at once, by JupyterHub's own code
    and with all its checks: the browser need not be sent there to be known by its cookie.
    """

    begun: Begun

    async def get(self) -> None:
        """End the sign-in.

        Raises:
            SignInRefused: If it is not the one that was begun in this browser, or is refused.
        """
        self.begun = await self._the_one_begun()
        self._check_answer()
        user = await self.login_user()
        if user is None:  # a name on `blocked_users`, or one that cannot be; the log has it
            raise SignInRefused(403, "You may not sign in here. Ask an admin of this platform.")
        self._then = self._validate_next_url(self.begun.then)
        if self._is_asked_by_service():
            self._resolve_roles_and_scopes()  # nobody's, when this request began
            await OAuthAuthorizeHandler.get(self)
            return
        self.redirect(self._then or self.get_next_url(user))

    def post(self) -> None:
        """Refuse: the answer to JupyterHub's question goes to its own address.

        Raises:
            HTTPError: Always (405).
        """
        raise HTTPError(405)

    def _is_asked_by_service(self) -> bool:
        """Return whether she goes to the Hub's own OAuth, for a client that needs no word of hers."""
        asked = urlsplit(self._then)
        clients = parse_qs(asked.query).get("client_id", [])
        known = self.settings.get("oauth_no_confirm_list", ())
        return asked.path == f"{self.hub.base_url}api/oauth2/authorize" and len(clients) == 1 and clients[0] in known

    def extract_oauth_params(self) -> tuple[str, str, bytes, Any]:
        """Return what a service asks: in the address where she goes, not in that of this request."""
        return self._then, "GET", b"", self.request.headers

    async def _the_one_begun(self) -> Begun:
        cookie = (self.get_secure_cookie(STATE_COOKIE_NAME, max_age_days=1) or b"").decode("utf-8", "replace")
        self.clear_cookie(STATE_COOKIE_NAME, path=self.hub.base_url)
        begun = Begun.read(cookie)
        state = self.get_argument("state", "")
        if begun is None or not hmac.compare_digest(state.encode("utf-8", "replace"), begun.state.encode()):
            raise SignInRefused(400, _NOT_BEGUN)
        if not await asyncio.to_thread(self.authenticator.accounts.use, "state", begun.state):
            raise SignInRefused(400, f"This sign-in has ended already. {_AGAIN}")
        return begun

    def _check_answer(self) -> None:
        """Refuse an answer without a code; what stands in it is somebody else's text, and is not repeated."""
        if self.get_argument("iss", self.authenticator.provider.issuer) != self.authenticator.provider.issuer:
            raise SignInRefused(400, f"Another provider answered than the one that was asked. {_AGAIN}")
        error = self.get_argument("error", "")
        if error == "access_denied":
            raise SignInRefused(403, f"The sign-in was ended at the provider. {_AGAIN}")
        if error or not self.get_argument("code", ""):
            self.log.warning("The provider ended a sign-in with an error (%d characters)", len(error))
            raise SignInRefused(403, f"The provider could not sign you in. {_AGAIN}")

    def get_next_url(self, user: Any = None, default: str | None = None) -> str:
        """Return home: the address of this request holds nothing that decides where to go."""
        del user
        return str(default or self.default_url or self.hub.base_url)


class SignOut(TellsRefusals, OAuthLogoutHandler):
    """Ends the session here; with ``?everywhere``, also the one at the provider."""

    async def render_logout_page(self) -> None:
        """Say that she is signed out, or lead to the provider's own sign-out."""
        described = None
        try:
            described = await self.authenticator.provider.metadata()
        except ProviderAway as error:
            self.log.warning("The sign-in provider cannot be used: %s", error)
        if self.get_argument("everywhere", None) is None:
            can = described is not None and bool(described.end_session)
            ends = self.authenticator.ours.sign_in_logout_ends == "everything"
            self.finish(await self.render_template("signed_out.html", everywhere=can, ends_everything=ends))
            return
        if described is None or not described.end_session:
            raise SignInRefused(503, "You are signed out here. The provider does not say where to sign out of it.")
        back = self.authenticator.get_callback_url(self).rpartition("/")[0] + "/login"
        # Without a token as a hint: it would stand in an address. So the provider asks.
        told = {"client_id": self.authenticator.client_id, "post_logout_redirect_uri": back}
        self.redirect(url_concat(described.end_session, told))


class Left(BaseHandler):
    """The provider reports that somebody's session there has ended (OpenID Connect Back-Channel Logout)."""

    def check_xsrf_cookie(self) -> None:
        """Let it in: no browser sends this, and the token says who did."""

    async def post(self) -> None:
        """Take what she holds, if the token is the provider's word."""
        self.set_header("Cache-Control", "no-store")
        try:
            name = await self.authenticator.left(self.get_body_argument("logout_token", ""))
        except TokenRefused as error:
            self.log.warning("A logout token is refused: %s", error.why)
            self._refuse(400, error.why)
            return
        except ProviderAway as error:
            self.log.warning("A logout token cannot be checked: %s", error)
            self._refuse(503, "its signature cannot be checked now")
            return
        if name is not None:
            await self.authenticator.sweeper.signed_out(name)
        self.set_status(200)

    def _refuse(self, status: int, why: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"error": "invalid_request", "error_description": why}))
