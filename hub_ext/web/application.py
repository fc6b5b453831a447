"""The Tornado application: routes, settings, and the limit on what is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tornado import httputil
from tornado.routing import URLSpec
from tornado.web import Application, HTTPError, RequestHandler, _HandlerDelegate

from hub_ext.web import logs
from hub_ext.web.api.health import Checkup
from hub_ext.web.api.routes import routes as api_routes
from hub_ext.web.base import BaseHandler
from hub_ext.web.context import Context
from hub_ext.web.figures import Traffic
from hub_ext.web.metrics import Metrics
from hub_ext.web.pages.page import Nowhere
from hub_ext.web.pages.routes import routes as page_routes
from hub_ext.web.sign_in import SignInEnd

# Most bytes of a body that is read to its end only to be refused in words; one that is longer is cut off.
LONGEST_BODY = 2**30


class Unknown(BaseHandler):
    """Nothing is at this address; said alike to everybody, signed in or not."""

    public = True

    async def prepare(self) -> None:
        """Refuse.

        Raises:
            HTTPError: Always (404).
        """
        await super().prepare()
        raise HTTPError(404)


class _Limited(httputil.HTTPMessageDelegate):
    """Drops the body of a request beyond its handler's limit, so that memory is bounded and the answer still comes."""

    def __init__(self, inner: _HandlerDelegate, request: httputil.HTTPServerRequest, limit: int) -> None:
        self._inner, self._request, self._limit, self._read = inner, request, limit, 0

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> Any:
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        self._read += len(chunk)
        if self._read <= self._limit:
            return self._inner.data_received(chunk)
        self._inner.chunks = bytearray()
        return None

    def finish(self) -> None:
        if self._read > self._limit:
            self._request.body_dropped = True  # type: ignore[attr-defined]  # read by BaseHandler.prepare
            self._request.headers["Content-Type"] = ""  # what is left must not be parsed as a form
        self._inner.finish()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()


class Service(Application):
    """The application.

    Args:
        context: The parts of the service.
        cookie_secret: Signs the session cookies.
    """

    def __init__(self, context: Context, cookie_secret: bytes) -> None:
        traffic = Traffic()

        def answered(handler: RequestHandler) -> None:
            logs.access(handler)
            traffic.answered(handler)

        super().__init__(
            list(all_routes(context.prefix)),
            default_handler_class=Nowhere,
            context=context,
            checkup=Checkup(context),
            cookie_secret=cookie_secret,
            traffic=traffic,
            log_function=answered,
            compress_response=False,
            autoescape="xhtml_escape",
        )

    def get_handler_delegate(
        self,
        request: httputil.HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> Any:
        """Return what takes in a request for a handler, with the handler's limit on the body."""
        inner = super().get_handler_delegate(request, target_class, target_kwargs, path_args, path_kwargs)
        longest = target_class.longest_body if issubclass(target_class, BaseHandler) else BaseHandler.longest_body
        return _Limited(inner, request, longest(self.settings["context"].settings))


def all_routes(prefix: str) -> Iterable[URLSpec]:
    """Return every route of the service.

    Args:
        prefix: Path of the service, with a slash at both ends.
    """
    yield from api_routes(prefix)
    yield URLSpec(f"{prefix}api(?:/.*)?", Unknown)
    yield URLSpec(f"{prefix}metrics", Metrics)
    yield URLSpec(f"{prefix}oauth_callback", SignInEnd)
    yield from page_routes(prefix)
