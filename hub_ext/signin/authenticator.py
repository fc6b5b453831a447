"""Sign-in at the Hub by an OpenID Connect provider: oauthenticator's generic one, with every check of OIDC."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from jupyterhub import orm
from oauthenticator.generic import GenericOAuthenticator
from sqlalchemy import func
from tornado.web import RequestHandler
from traitlets import Unicode, default

from hub_ext.auth import SignInRefused
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput
from hub_ext.people import groups_of_roles
from hub_ext.settings import HubExt
from hub_ext.signin import names, secret, tokens
from hub_ext.signin.accounts import Accounts, Arrival, allowed_in
from hub_ext.signin.handlers import AWAY, Left, SignIn, SignInEnd, SignOut
from hub_ext.signin.provider import NOT_ABOUT_HER, Metadata, Provider, ProviderAway, ProviderRefused
from hub_ext.signin.sweep import Sweeper
from hub_ext.signin.tokens import Expected, TokenRefused
from hub_ext.signin.turns import Turns
from hub_ext.spawner.ledger import Ledger

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NOT_BELIEVED = "The answer of the sign-in provider is not believed: "


class NotKnownAnyMore(Exception):
    """The provider says no more who somebody is: she has to sign in again, if she can."""


class CannotAsk(Exception):
    """The provider gives no refresh token, so that nothing can be asked without the person."""


@dataclass(frozen=True)
class Heard:
    """What the provider said of somebody.

    Attributes:
        claims: Of the ID token, and of userinfo above them.
        tokens: Tokens as they are now; kept encrypted in the Hub's `auth_state`.
        by_userinfo: Her groups are told to whoever shows the access token.
    """

    claims: dict[str, Any]
    tokens: dict[str, Any]
    by_userinfo: bool


class ProviderAuthenticator(GenericOAuthenticator):
    """Signs people in by a provider, and asks it again and again who is still there."""

    login_handler = SignIn
    callback_handler = SignInEnd
    logout_handler = SignOut

    home = Unicode("/services/workflows/", help="Where /hub/home leads.").tag(config=True)

    @default("login_service")
    def _called_as_set(self) -> str:
        return self.ours.sign_in_service or self.provider.issuer.partition("://")[2].partition("/")[0]

    @default("any_allow_config")
    def _settings_say_who(self) -> bool:
        return True

    @default("delete_invalid_users")
    def _keep_users(self) -> bool:
        return False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ours = HubExt(config=self.config)
        self.provider = Provider(str(self.ours.sign_in_issuer), str(self.ours.sign_in_ca_file))
        self.client_id = str(self.ours.sign_in_client_id)
        self.scope = list(self.ours.sign_in_scopes)
        self.extra_authorize_params = dict(self.ours.sign_in_parameters)
        self.accounts = Accounts(Ledger.shared(self.ours).database, self.ours)
        self.sweeper: Sweeper | None = None
        self._turns = Turns()

    @default("client_secret")
    def _not_in_the_configuration(self) -> str:
        return secret.read(self.ours)

    # What JupyterHub asks.

    def normalize_username(self, username: str) -> str:
        """Return the name as it is: what a sign-in brings was made one name by `names.user_name` already."""
        return username

    def validate_username(self, username: str) -> bool:
        """Return whether a name can be a user's (of a sign-in, or made by an admin)."""
        try:
            return names.user_name(username) == username and bool(super().validate_username(username))
        except InvalidInput:
            return False

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:  # noqa: ARG002
        """Return whether she may sign in, by her groups."""
        return auth_model is None or allowed_in(auth_model.get("groups", ()), self.ours.sign_in_groups)

    def get_handlers(self, app: Any) -> list[tuple[str, type[RequestHandler]]]:
        """Return the handlers of the sign-in, and those that come before JupyterHub's own; also begins the sweep."""
        from hub_ext.spawner.handlers import handlers

        self.sweeper = Sweeper.of(app, self.refresh_user)
        return [*super().get_handlers(app), (r"/backchannel_logout", Left), *handlers(app)]

    # Signing in.

    async def authenticate(self, handler: Any, data: dict[str, str] | None = None, **_: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return who signs in. `handler` has checked the state of the sign-in already.

        Raises:
            SignInRefused: If she cannot; its words are for her.
        """
        try:
            heard = await self._exchange(handler)
            arrival = self._arrival(heard, handler.db)
            if not allowed_in(arrival.groups, self.ours.sign_in_groups):
                await self._in_thread(self.accounts.refused, arrival.name, "not in a group that may sign in")
                raise SignInRefused(403, "You are in no group that may sign in here. Ask an admin of this platform.")
            name = await self._in_thread(self.accounts.sign_in, arrival)
        except ProviderAway as error:
            self.log.warning("The sign-in provider cannot be used: %s", error)
            raise SignInRefused(503, AWAY, {"Retry-After": "10"}) from None
        except ProviderRefused as error:
            self.log.warning("The sign-in provider refused a sign-in: %s", error)
            raise SignInRefused(403, "The sign-in provider did not accept this sign-in. Begin it again.") from None
        except TokenRefused as error:
            self.log.warning("A sign-in is refused: %s", error.why)
            raise SignInRefused(403, f"{_NOT_BELIEVED}{error.why}. Tell an admin if this goes on.") from None
        except InvalidInput as error:
            self.log.warning("A sign-in is refused: %s", error.detail)
            raise SignInRefused(403, f"You cannot sign in: {error.problems[0].message}. Ask an admin.") from None
        except HubExtError as error:
            status = 403 if isinstance(error, Conflict | Forbidden) else 503
            raise SignInRefused(status, f"{error.detail} {error.hint}".strip()) from None
        return self._model(name, arrival, heard)

    async def _exchange(self, handler: Any) -> Heard:
        begun = handler.begun
        form = {
            "grant_type": "authorization_code",
            "code": handler.get_argument("code"),
            "redirect_uri": self.get_callback_url(handler),
            "code_verifier": begun.code_verifier,
        }
        found = await self._tokens(form)
        claims = await self._believed(found.get("id_token"), begun.nonce)
        return await self._with_userinfo(claims, found)

    async def _tokens(self, form: dict[str, str]) -> dict[str, Any]:
        described = await self.provider.metadata()
        if not described.basic:
            return await self.provider.tokens(
                form | {"client_id": self.client_id, "client_secret": self.client_secret}, {}
            )
        both = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        return await self.provider.tokens(form, {"Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"})

    async def _believed(self, id_token: object, nonce: str | None) -> dict[str, Any]:
        """Return the claims of an ID token that was made just now; a key that is new is asked for once."""
        return await self._verified(lambda expected: tokens.id_token_claims(id_token, expected, nonce))

    async def _verified(self, verify: Callable[[Expected], dict[str, Any]]) -> dict[str, Any]:
        try:
            return verify(await self._expected())
        except TokenRefused as error:
            if not error.unknown_key:
                raise
        return verify(await self._expected(again=True))

    async def _expected(self, *, again: bool = False) -> Expected:
        described: Metadata = await self.provider.metadata()
        return Expected(
            issuer=self.provider.issuer,
            client_id=self.client_id,
            keys=await self.provider.keys(again=again),
            skew=int(self.ours.sign_in_clock_skew),
            algorithms=described.algorithms,
        )

    async def _with_userinfo(self, claims: dict[str, Any], found: dict[str, Any]) -> Heard:
        more = await self.provider.userinfo(found["access_token"])
        if more and not hmac.compare_digest(str(more.get("sub", "")).encode(), claims["sub"].encode()):
            raise TokenRefused("userinfo is about somebody else")
        by_userinfo = names.claim_in(more, str(self.ours.sign_in_groups_claim)) is not None
        return Heard({**claims, **more}, found, by_userinfo)

    def _arrival(self, heard: Heard, db: Any) -> Arrival:
        """Return somebody who arrives, as the provider describes her.

        Raises:
            InvalidInput: If a claim cannot be what it is to be.
        """
        given = self.ours.sign_in_names.get(heard.claims["sub"])
        name = names.user_name(given or names.claim_in(heard.claims, str(self.ours.sign_in_name_claim)))
        session = heard.claims.get("sid")
        return replace(
            self._again(heard, name, None),
            session=session if isinstance(session, str) and len(session) <= 255 else "",
            at_hub=_at_hub(db, name),
        )

    def _again(self, heard: Heard, name: str, subject: str | None) -> Arrival:
        """Return somebody whose name is known, as the provider describes her.

        Args:
            heard: What it said.
            name: Her name here.
            subject: Who she is, if it does not say so this time.

        Raises:
            InvalidInput: If a claim cannot be what it is to be.
        """
        groups = names.groups_in(heard.claims, str(self.ours.sign_in_groups_claim))
        if groups is None:
            self.log.warning("The provider names no groups (claim %s)", self.ours.sign_in_groups_claim)
        found = names.claim_in(heard.claims, str(self.ours.sign_in_subject_claim))
        found = subject if found is None else found
        if not isinstance(found, str) or not 0 < len(found) <= 1000:
            raise InvalidInput.of("subject", "the provider does not say which person this account is")
        sub = str(heard.claims["sub"])
        return Arrival(self.provider.issuer, sub, subject=found, name=name, groups=tuple(groups or ()))

    def _model(self, name: str, arrival: Arrival, heard: Heard) -> dict[str, Any]:
        admins = groups_of_roles(self.ours.role_groups)["admin"]
        kept = {one: heard.tokens[one] for one in ("access_token", "refresh_token") if heard.tokens.get(one)}
        return {
            "name": name,
            "admin": bool(set(arrival.groups).intersection(admins)),
            "groups": list(arrival.groups),
            "auth_state": {
                **kept,
                "sub": arrival.sub,
                "subject": arrival.subject,
                "by_userinfo": heard.by_userinfo,
            },
        }

    # Asking again.

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> dict[str, Any] | bool:
        """Return what is true of a person now; True: nothing new can be had; False: she has to sign in again.

        One at a time for each person: a refresh token is often good once.
        """
        if handler is not None and not hasattr(handler, "_token_authenticated"):
            handler._token_authenticated = False  # JupyterHub 6.1 reads it after a no, and sets it for tokens alone
        async with self._turns.of(user.name):
            state = await user.get_auth_state()
            if not state or not state.get("sub") or user.name in self.blocked_users:
                return False
            try:
                return await self._refreshed(user, state)
            except ProviderAway as error:
                self.log.warning("The sign-in provider cannot be asked about %s: %s", user.name, error)
                return await self._in_thread(self.accounts.not_confirmed, user.name, away=True)
            except CannotAsk:
                return await self._in_thread(self.accounts.not_confirmed, user.name, away=False)
            except (NotKnownAnyMore, TokenRefused, InvalidInput) as error:
                self.log.info("%s has to sign in again (%s)", user.name, error or "the provider refuses a refresh")
                return False

    async def _refreshed(self, user: Any, state: dict[str, Any]) -> dict[str, Any] | bool:
        heard = await self._heard_again(state)
        if heard.claims.get("sub") != state["sub"]:
            raise TokenRefused("the provider speaks of somebody else")
        arrival = self._again(heard, user.name, state.get("subject"))
        model = self._model(user.name, arrival, heard)
        await user.save_auth_state(model["auth_state"])  # before anything else: the old refresh token may be void now
        if not allowed_in(arrival.groups, self.ours.sign_in_groups):
            raise NotKnownAnyMore
        if not await self._in_thread(self.accounts.confirm, user.name, arrival):
            raise NotKnownAnyMore
        return model

    async def _heard_again(self, state: dict[str, Any]) -> Heard:
        """Ask with the access token where that is enough, else with the refresh token.

        Raises:
            NotKnownAnyMore: If the provider refuses.
            CannotAsk: If the provider gave nothing to ask with.
            ProviderAway: If it does not answer.
            TokenRefused: If its answer is not believed.
        """
        if state.get("by_userinfo"):
            try:
                claims = await self.provider.userinfo(state["access_token"])
            except ProviderRefused:
                claims = {}
            if names.claim_in(claims, str(self.ours.sign_in_groups_claim)) is not None:
                return Heard(claims, state, by_userinfo=True)
        if not state.get("refresh_token"):
            raise CannotAsk
        try:
            found = await self._tokens({"grant_type": "refresh_token", "refresh_token": state["refresh_token"]})
            found.setdefault("refresh_token", state["refresh_token"])
            claims = {"sub": state["sub"]}
            if found.get("id_token"):
                claims = await self._believed(found["id_token"], None)
            return await self._with_userinfo(claims, found)
        except ProviderRefused as error:
            if error.code in NOT_ABOUT_HER:
                raise ProviderAway(f"it refuses this platform: {error}") from None
            raise NotKnownAnyMore(f"the provider refuses: {error}") from None

    # What the provider reports.

    async def left(self, logout_token: str) -> str | None:
        """Return whose sessions the provider has ended; None if nobody here had one.

        Raises:
            TokenRefused: If the token is not the provider's word of now, or was used.
            ProviderAway: If its keys cannot be asked for.
        """
        claims = await self._verified(lambda expected: tokens.logout_claims(logout_token, expected))
        if not await self._in_thread(self.accounts.use, "logout", self.provider.issuer, claims["jti"]):
            raise TokenRefused("this logout token was used before")
        sub, session = str(claims.get("sub", "")), str(claims.get("sid", ""))
        return await self._in_thread(self.accounts.name_of, self.provider.issuer, sub, session)

    def _in_thread(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _T]:
        return asyncio.to_thread(call, *args, **kwargs)


def _at_hub(db: Any, name: str) -> str:
    """Return the name of the Hub's user who has this name, or one that differs from it in case or form alone."""
    if orm.User.find(db, name) is not None:
        return name
    alike = db.query(orm.User.name).filter(func.lower(orm.User.name) == name)
    return next((found for (found,) in alike if names.same_form(found) == name), "")
