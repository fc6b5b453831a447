"""Where executors in pods report: a server of its own, with nothing else of the service behind its door.

Nobody signs in here. Each request shows the token of its run; there is no answer without it.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any
from urllib.parse import urlsplit

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.routing import URLSpec
from tornado.web import Application, RequestHandler, stream_request_body

from hub_ext.errors import HubExtError, InvalidInput, NotSignedIn
from hub_ext.runs.executors import LONGEST_MESSAGE, Executors, Seat
from hub_ext.runs.mirror import Incoming
from hub_ext.web import logs
from hub_ext.web.base import BaseHandler
from hub_ext.web.context import Context
from hub_ext.web.errors import Malformed

_LAUNCH = r"/launches/(?P<launch_id>l-[0-9A-Za-z-]{1,60})/"
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]{20,100})")
_UPLOAD_TIMEOUT = 3600.0  # seconds for one file
_READ_AT_LEAST = 64 * 2**20


def listening(url: str) -> tuple[str, int]:
    """Return host and port to listen on, empty for every address of this machine.

    Args:
        url: Where pods reach us.

    Raises:
        ValueError: If it is not http://host:port.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host or not port:
        msg = f"HubExt.pods_executors_url must be http://host:port, not {url!r}"
        raise ValueError(msg)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return "", port


class _Executor(BaseHandler):
    """Base: the caller is an executor, or nobody."""

    public = True  # nobody signs in at the Hub for this; `prepare` asks for the run's token
    executors: Executors
    seat: Seat

    async def prepare(self) -> None:
        """Find out which launch asks.

        Raises:
            NotSignedIn: If none does.
            Gone: If its run has ended.
        """
        structlog.contextvars.bind_contextvars(launch=self.path_kwargs.get("launch_id"))
        await super().prepare()
        shown = _BEARER.fullmatch(self.request.headers.get("Authorization", ""))
        if shown is None or self.context.executors is None:
            raise NotSignedIn("A request needs the token of its run.")
        self.executors = self.context.executors
        self.seat = await self.call(self.executors.seat, self.path_kwargs["launch_id"], shown[1])

    def answer(self, content: dict[str, Any]) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(content))

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            Malformed: If it is none.
        """
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Malformed.of("", "the body must be a JSON object")
        return found


class Begin(_Executor):
    """``begin``: what is to be run."""

    async def post(self, launch_id: str) -> None:  # noqa: ARG002  # the seat has it
        """Tell it."""
        attempt = self.json().get("attempt")
        if not isinstance(attempt, str):
            raise InvalidInput.of("attempt", "must be text")
        self.answer(await self.call(self.executors.begin, self.seat, attempt))


class Events(_Executor):
    """``events?offset=N``: what happened since."""

    async def post(self, launch_id: str) -> None:  # noqa: ARG002  # the seat has it
        """Take it."""
        offset = self.get_query_argument("offset", "")
        if not (offset.isascii() and offset.isdecimal() and len(offset) <= 15):
            raise InvalidInput.of("offset", "must be a number of bytes")
        self.answer(await self.call(self.executors.events, self.seat, int(offset), self.request.body))


class Manifest(_Executor):
    """``manifest``: which files there are."""

    async def post(self, launch_id: str) -> None:  # noqa: ARG002  # the seat has it
        """Say which of them are wanted."""
        self.answer({"wanted": await self.call(self.executors.files, self.seat, self.json().get("files"))})


class Outcome(_Executor):
    """``outcome``: how it ended."""

    async def put(self, launch_id: str) -> None:  # noqa: ARG002  # the seat has it
        """Take it."""
        await self.call(self.executors.end, self.seat, self.json())
        self.answer({})


@stream_request_body
class Upload(_Executor):
    """A file, written as it comes."""

    incoming: Incoming | None = None
    _size = 0
    _problem: HubExtError | None = None

    async def prepare(self) -> None:
        """Look at the request before any of its body is read.

        What is refused for another reason than its token is read to its end all the same, unless it is larger than
        anything that we take: who still sends would not see an answer.

        Raises:
            InvalidInput: If it does not say how long it is.
            NotSignedIn: If it has no token of a run.
            TooLarge: If it is larger than anything that we take.
        """
        length = self.request.headers.get("Content-Length", "")
        self._size = int(length) if length.isascii() and length.isdecimal() and len(length) <= 15 else -1
        connection: Any = self.request.connection
        connection.set_max_body_size(max(self._size, 0))
        connection.set_body_timeout(_UPLOAD_TIMEOUT)
        try:
            await super().prepare()
            if self._size < 0:
                raise InvalidInput.of("Content-Length", "must say how many bytes there are")
            if self.request.method == "PUT":
                self.incoming = await self.call(self.open)
        except NotSignedIn:
            raise
        except HubExtError as error:
            if not 0 <= self._size <= max(_READ_AT_LEAST, int(self.context.settings.artifacts_limit)):
                raise
            self._problem = error

    def open(self) -> Incoming:
        """Begin to take it."""
        raise NotImplementedError

    async def data_received(self, chunk: bytes) -> None:
        """Take the next piece; what goes wrong is told once all has come, since only then there can be an answer."""
        if self.incoming is None or self._finished or self._problem is not None:
            return
        try:
            await self.call(self.incoming.write, chunk)
        except HubExtError as error:
            self._problem = error

    async def put(self, launch_id: str, name: str) -> None:  # noqa: ARG002  # `open` has both
        """Keep it: all of it has come."""
        if self._problem is not None:
            raise self._problem
        if self.incoming is not None:
            await self.call(self.incoming.keep)
        self.answer({})

    def on_finish(self) -> None:
        """Forget what was not kept."""
        super().on_finish()
        self._drop()

    def on_connection_close(self) -> None:
        """Forget what has come of a file that was cut."""
        super().on_connection_close()
        self._drop()

    def _drop(self) -> None:
        if self.incoming is not None:
            self.incoming.drop()


class NamedFile(Upload):
    """``files/{name}``: what every run leaves."""

    def open(self) -> Incoming:
        """Begin to take it."""
        return self.executors.take(self.seat, self.path_kwargs["name"], self._size)


class Artifact(Upload):
    """``artifacts/{path}``: a file that the notebook wrote."""

    def open(self) -> Incoming:
        """Begin to take it."""
        return self.executors.take_artifact(self.seat, self.path_kwargs["name"], self._size)


class Nothing(BaseHandler):
    """Anything else; said alike to everybody."""

    public = True

    async def prepare(self) -> None:
        """Refuse.

        Raises:
            NotSignedIn: Always.
        """
        await super().prepare()
        raise NotSignedIn("A request needs the token of its run.")


def door(context: Context) -> Application:
    """Return the application behind the door.

    Args:
        context: The parts of the service.
    """
    handlers: list[tuple[str, type[RequestHandler]]] = [
        (f"{_LAUNCH}begin", Begin),
        (f"{_LAUNCH}events", Events),
        (f"{_LAUNCH}manifest", Manifest),
        (f"{_LAUNCH}outcome", Outcome),
        (f"{_LAUNCH}files/(?P<name>[a-z]+)", NamedFile),
        (f"{_LAUNCH}artifacts/(?P<name>.+)", Artifact),
    ]
    routes = [URLSpec(pattern, handler) for pattern, handler in handlers]
    return Application(routes, default_handler_class=Nothing, context=context, log_function=logs.access)


def serve(context: Context) -> HTTPServer:
    """Listen for executors.

    Args:
        context: The parts of the service.

    Raises:
        ValueError: If the address cannot be one.
        OSError: If it cannot be listened on.
    """
    host, port = listening(str(context.settings.pods_executors_url))
    server = HTTPServer(door(context), max_body_size=LONGEST_MESSAGE, idle_connection_timeout=120, body_timeout=600)
    server.add_sockets(bind_sockets(port, host))
    return server
