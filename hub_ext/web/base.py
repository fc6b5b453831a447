"""The base of every handler: who asks, with which request id, and how errors are told."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, ParamSpec, TypeVar

import structlog
from jupyterhub.services.auth import HubOAuthenticated
from jupyterhub.utils import get_browser_protocol
from tornado.web import HTTPError, RequestHandler

from hub_ext.db.types import new_id
from hub_ext.errors import Forbidden, NotSignedIn, Problem, TooLarge, Unavailable
from hub_ext.people import Person, roles_of
from hub_ext.settings import HubExt
from hub_ext.web import errors
from hub_ext.web.context import Context
from hub_ext.web.hub import AWAY, person_of
from hub_ext.web.pages import theme

log = structlog.get_logger("hub_ext.web")

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class BaseHandler(HubOAuthenticated, RequestHandler):
    """Signs the caller in before its method runs, and tells errors as problems.

    Pages override `render_problem` (a page in place of JSON) and set `sign_in_page`.

    Attributes:
        public: No sign-in is needed.
        streams: The response lasts as long as somebody listens.
        changes: Its POST, PUT, PATCH and DELETE change something, and are refused while nothing may be changed.
        sign_in_page: Who is not signed in is led to the Hub's sign-in, for a GET that a browser navigates to.
        person: Who asks, with her groups as the Hub said at most `hub.BELIEVED` seconds ago.
        request_id: Finds this request in the log.
        gone: Called when the browser goes before the response has ended.
    """

    public: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    changes: ClassVar[bool] = True
    sign_in_page: ClassVar[bool] = False

    person: Person
    gone: Callable[[], object] | None = None

    def initialize(self, **_: Any) -> None:
        """Take the parts of the service from the application."""
        self.context: Context = self.application.settings["context"]
        self.hub_auth = self.context.auth
        self.context.requests.begin(self)

    # -- who asks ------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Sign the caller in.

        Raises:
            HTTPError: If there is no such method here (405).
            TooLarge: If the body is longer than `longest_body`.
            NotSignedIn: If nobody is.
            Forbidden: If she may not reach this service, or a browser's request may have been forged.
            Unavailable: If the Hub does not answer.
            ReadOnlyNow: If it would change something, and nothing may be changed.
        """
        run_id = self.path_kwargs.get("run_id")
        if run_id:
            structlog.contextvars.bind_contextvars(run=run_id)
        allowed = self.allowed_methods()
        if len(allowed) > 1 and self.request.method not in allowed:
            raise HTTPError(405)
        if getattr(self.request, "body_dropped", False):
            raise self.too_large()
        if self.public:
            return
        person = await self.identify()
        if person is None:
            if self.sign_in_page and self.request.method == "GET" and not self._fetched_by_script():
                self.redirect(self.get_login_url())
                return
            raise NotSignedIn("Nobody is signed in.", hint="Sign in, or send a token: Authorization: token <token>.")
        self.person = person
        structlog.contextvars.bind_contextvars(user=person.name)
        if self.changes and self.request.method not in _LOOKING:
            await self.call(self.context.maintenance.check)
        elif self.sign_in_page and self.context.maintenance.is_old:
            await self.call(self.context.maintenance.look)  # pages say so

    async def identify(self) -> Person | None:
        """Return who asks, None when nobody is signed in.

        Raises:
            Forbidden: If she may not reach this service, or a browser's request may have been forged.
            Unavailable: If the Hub does not answer.
        """
        self._forgery_refused = False
        try:
            model = await self.hub_auth.get_user(self, sync=False)
        except HTTPError as error:
            raise Unavailable(AWAY, hint="Try again in a moment.") from error
        if model is None:
            if self._forgery_refused:
                raise Forbidden(
                    "This request came from a page that is too old, or not from a page of this service.",
                    hint="Reload the page and try again. A script sends the _xsrf cookie back as X-XSRFToken.",
                )
            return None
        person = self.described(model)
        self.current_user = model
        return person

    def described(self, model: dict[str, Any]) -> Person:
        """Return the person whom the Hub described for a session or token.

        Args:
            model: The Hub's word.

        Raises:
            Forbidden: If it may not reach this service, or is no person's.
        """
        scopes = self.hub_auth.check_scopes(self.hub_auth.access_scopes, model)
        return person_of(model, allowed=bool(scopes), role_groups=self.context.settings.role_groups)

    async def refreshed(self) -> Person:
        """Return the caller with her groups as the Hub says them now; every decision is taken on these.

        Raises:
            NotSignedIn: If the Hub does not know her any more.
            Forbidden: If she is blocked.
            Unavailable: If the Hub does not answer.
        """
        groups, admin = await self.context.hub.groups(self.person.name)
        standing = await self.call(self.context.accounts.standing, self.person.name)
        if standing.blocked:
            raise Forbidden("You are blocked here.", hint="Ask an admin of this platform.")
        roles = roles_of(groups, admin=admin, given=self.context.settings.role_groups)
        subject = standing.subject or self.person.name
        self.person = replace(self.person, groups=groups, roles=roles, subject=subject)
        return self.person

    async def still_signed_in(self) -> Person:
        """Return who asks, found out anew: for a response that takes long.

        Raises:
            NotSignedIn: If her session or token has ended meanwhile.
            Forbidden: If it may not reach this service any more.
            Unavailable: If the Hub does not answer.
        """
        self.__dict__.pop("_cached_hub_user", None)  # the Hub's library asks once a request
        person = await self.identify()
        if person is None:
            raise NotSignedIn("Your session has ended.", hint="Sign in again.")
        self.person = person
        return person

    def get_current_user(self) -> Any:
        """Return nobody: who asks is found out in `prepare`, without blocking."""
        return None

    def check_xsrf_cookie(self) -> None:
        """Remember a refusal, so that it is not told as "not signed in".

        Raises:
            HTTPError: If a browser's request may have been forged.
        """
        try:
            super().check_xsrf_cookie()
        except HTTPError:
            self._forgery_refused = True
            raise

    def _fetched_by_script(self) -> bool:
        mode = self.request.headers.get("Sec-Fetch-Mode", "navigate")
        return mode != "navigate" or "HX-Request" in self.request.headers

    @classmethod
    def longest_body(cls, settings: HubExt) -> int:
        """Return the most bytes of a request's body; one that is longer is read, dropped and refused."""
        del settings
        return 2**20

    def too_large(self) -> TooLarge:
        """Return what is told about a body that is too long."""
        longest = self.longest_body(self.context.settings)
        return TooLarge(f"The request is larger than {longest / 2**20:.0f} MiB, the most that is read here.")

    # -- work ----------------------------------------------------------------------------------------------------

    async def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call what waits (the database, the store) in a thread."""
        return await asyncio.to_thread(function, *args, **kwargs)

    def on_finish(self) -> None:
        """Say that this request is done."""
        self.context.requests.end(self)

    def on_connection_close(self) -> None:
        """Tell who waits that nobody listens any more."""
        if self.gone is not None:
            self.gone()

    # -- addresses -----------------------------------------------------------------------------------------------

    def link(self, path: str) -> str:
        """Return the address of something in this service, from the host's root.

        Args:
            path: Below the service, without a slash in front; already quoted.
        """
        return self.context.prefix + path

    @property
    def assets(self) -> str:
        """Address of our static files, with scheme and host, as content policies need it."""
        host = self.request.host if _HOST.fullmatch(self.request.host) else "invalid"
        return f"{get_browser_protocol(self.request)}://{host}{self.context.prefix}static/"

    # -- headers and errors --------------------------------------------------------------------------------------

    def set_default_headers(self) -> None:
        """Set what every response has. It also starts the log's context, since it comes first."""
        if not hasattr(self, "request_id"):
            self.request_id = new_id("q")
            structlog.contextvars.clear_contextvars()
            structlog.contextvars.bind_contextvars(request_id=self.request_id)
        self.clear_header("Server")
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cache-Control", "no-cache, private")
        if self.application.settings["context"].requests.ending:  # `initialize` comes later
            self.set_header("Connection", "close")

    @property
    def nonce(self) -> str:
        """Value of the nonce that lets what is written into a response be used."""
        if not hasattr(self, "_nonce"):
            self._nonce = secrets.token_urlsafe(16)
        return self._nonce

    def set_page_policy(self) -> None:
        """Set the content policy of a page of ours: scripts from our static files alone, and the one in its head."""
        assets = self.assets
        policy = (
            f"default-src 'none'; script-src {assets} {theme.source()}; style-src 'self'; "
            "img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        self.set_header("Content-Security-Policy", policy)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log what nobody expected; what is told to the caller is no news."""
        if errors.status_of(value) >= 500 and not isinstance(value, Unavailable):
            log.error("request failed", exc_info=(typ, value, tb))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tell an error as a problem.

        Args:
            status_code: Status, for what was sent without an error.
            kwargs: `exc_info` of what was raised.
        """
        error = kwargs.get("exc_info", (None, HTTPError(status_code), None))[1]
        problem = errors.describe(error, self.request_id)
        self.set_status(problem["status"])
        for name, value in errors.headers_of(error).items():
            self.set_header(name, value)
        if problem["status"] == 405:
            self.set_header("Allow", ", ".join(self.allowed_methods()))
        self.render_problem(problem)

    def render_problem(self, problem: dict[str, Any]) -> None:
        """Write a problem and end the response.

        Args:
            problem: Its members (`errors.describe`).
        """
        self.set_header("Content-Type", "application/problem+json")
        self.finish(json.dumps(problem, ensure_ascii=False))

    def allowed_methods(self) -> list[str]:
        """Return the methods that this address knows."""
        names = [name for name in ("GET", "POST", "PUT", "PATCH", "DELETE") if self._knows(name.lower())]
        return [*(["HEAD"] if "GET" in names else []), *names, "OPTIONS"]

    def _knows(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(RequestHandler, method)

    async def head(self, *args: Any, **kwargs: Any) -> None:
        """Answer as GET does, without its body."""
        await self.get(*args, **kwargs)  # type: ignore[misc]  # tornado types it as sync or async

    def options(self, *_args: Any, **_kwargs: Any) -> None:
        """Say which methods there are."""
        self.set_header("Allow", ", ".join(self.allowed_methods()))
        self.set_status(204)


class TakesNotebook:
    """Mixin for a handler that takes a notebook: its body may be as long as one."""

    context: Context

    @classmethod
    def longest_body(cls, settings: HubExt) -> int:
        """Return the most bytes of a body: a notebook, escaped in JSON or in base 64, and fields beside it."""
        return int(settings.upload_limit) * 3 // 2 + 2**20

    def too_large(self) -> TooLarge:
        """Return what is told about a body that is too long."""
        longest = self.context.settings.upload_limit / 2**20
        return TooLarge(
            f"notebook: is larger than {longest:.0f} MiB, the most that can be published.",
            hint="Clear large outputs, or keep the data in a file beside the notebook.",
            problems=[Problem("notebook", f"may have at most {longest:.0f} MiB")],
        )
