"""The API server: manifests in, manifests out; one client a process, and one rule for when it does not answer.

A call that gets no answer, 429 or 5xx is made again, with growing pauses, until its time is over. So every call here
can be made twice: one that makes something names it, and finds what an earlier try of it has made (`AlreadyThere`).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeVar

import aiohttp
import structlog
from kubernetes_asyncio.client import Configuration

from hub_ext.errors import Unavailable
from hub_ext.kubernetes.connecting import configuration_of, connections_to
from hub_ext.kubernetes.kinds import KINDS
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.turns import Turns
from hub_ext.settings import HubExt

log = structlog.get_logger("hub_ext.kubernetes.client")

MANAGER = "hub-ext"  # as the API server writes down who set a field
WITHIN = 30.0  # seconds that a call gets, with all its tries
_ONE_TRY = 15.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError)

_T = TypeVar("_T")


class NoAnswer(Unavailable):
    """The API server gave no answer in time; whatever was asked may have happened or not."""

    def __init__(self, last: str = "") -> None:
        super().__init__(
            "The cluster does not answer now.", hint="Try again in a moment; if it stays so, tell an admin."
        )
        self.last = last


class ApiError(Exception):
    """The API server said no.

    Args:
        status: HTTP status.
        reason: Its word for the kind of error, such as ``AlreadyExists``.
        message: What it said; for the log, and for `words`, not for people as it is.
        retry_after: Seconds that it asks us to wait; 0 when it does not say.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message, self.retry_after = status, reason, message, retry_after


class Missing(ApiError):
    """There is no such object."""


class AlreadyThere(ApiError):
    """There is an object of this name already."""


class Expired(ApiError):
    """A resource version is too old to go on from (410)."""


_NAMED: Mapping[str, type[ApiError]] = {"NotFound": Missing, "AlreadyExists": AlreadyThere}


def _error(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """Return what the API server said as an error."""
    try:
        said = json.loads(body)
        reason, message = str(said.get("reason", "")), str(said.get("message", ""))
    except (ValueError, AttributeError):
        reason, message = "", body[:200].decode("utf-8", "replace")
    kind = _NAMED.get(reason, Missing if status == 404 else Expired if status == 410 else ApiError)
    try:
        wait = float(headers.get("Retry-After", 0))
    except ValueError:
        wait = 0.0
    return kind(status, reason, message, wait)


async def persist(
    call: Callable[[], Awaitable[_T]],
    within: float,
    turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> _T:
    """Make a call until it is answered.

    Args:
        call: Makes one try.
        within: Seconds for all of them, and the pauses between.
        turn: What each try waits for first; that is not the API server's time: others are being answered.

    Raises:
        NoAnswer: If none was answered in time.
        ApiError: If the answer is no.
    """
    loop = asyncio.get_running_loop()
    until, pause, last = loop.time() + within, _FIRST_PAUSE, ""
    while True:
        asked = loop.time()
        async with turn():
            until += loop.time() - asked
            try:
                async with asyncio.timeout(min(_ONE_TRY, max(until - loop.time(), 0.001))):
                    return await call()
            except ApiError as error:
                if error.status not in _AGAIN:
                    raise
                last, wait = str(error), error.retry_after
            except _NO_ANSWER as error:
                last, wait = type(error).__name__, 0.0
        delay = max(wait, pause * random.uniform(0.5, 1.0))  # noqa: S311  # so that not all come back at once
        if loop.time() + delay >= until:
            log.warning("the API server does not answer", last=last[:300])
            raise NoAnswer(last)
        await asyncio.sleep(delay)
        pause = min(pause * 2, _LONGEST_PAUSE)


class Cluster:
    """One API server, as one of its accounts.

    Args:
        configuration: Where it is, and who we are.
    """

    _shared: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Task[Cluster]] = {}  # noqa: RUF012  # see `shared`

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._rest = connections_to(configuration)
        self._streams = connections_to(configuration, 0)  # any number: each start that is slow holds one
        self._turns = Turns()
        self.calls: dict[str, int] = {}  # how many of each kind were made, for figures
        self.seen: set[str] = set()  # namespaces that were there once

    @classmethod
    async def connect(cls, kubeconfig: str) -> Cluster:
        """Return a client of its own; whoever makes it closes it.

        Args:
            kubeconfig: The file; empty for the account of our own pod.

        Raises:
            Unavailable: If the file cannot be read.
        """
        return cls(await configuration_of(kubeconfig))

    @classmethod
    async def shared(cls, settings: HubExt) -> Cluster:
        """Return the one client of this process for a cluster; `close_shared` ends it.

        Raises:
            Unavailable: If it cannot be read where the cluster is.
        """
        key = (asyncio.get_running_loop(), str(settings.kubeconfig))
        making = cls._shared.get(key)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            making = cls._shared[key] = asyncio.create_task(cls.connect(key[1]))
        return await asyncio.shield(making)

    @classmethod
    async def close_shared(cls) -> None:
        """Close the clients of this loop that `shared` gave out."""
        loop = asyncio.get_running_loop()
        for key in [key for key in cls._shared if key[0] is loop or key[0].is_closed()]:
            making = cls._shared.pop(key)
            if key[0] is loop:
                (made,) = await asyncio.gather(making, return_exceptions=True)
                if isinstance(made, Cluster):
                    await made.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._rest.close()
        await self._streams.close()

    # One request.

    async def _open(
        self, method: str, path: str, query: Mapping[str, Any], body: Any, content_type: str, longest: float
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": MANAGER}
        for setting in (await self._configuration.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        self.calls[method] = self.calls.get(method, 0) + 1
        connections = self._streams if "watch" in query else self._rest
        opened: aiohttp.ClientResponse = await connections.request(
            method,
            self._configuration.host + path,
            query_params={key: str(value) for key, value in query.items() if value not in ("", None)},
            headers=headers,
            body=body,
            _preload_content=False,
            _request_timeout=aiohttp.ClientTimeout(total=longest, connect=_ONE_TRY),
        )
        return opened

    async def _once(self, method: str, path: str, query: Mapping[str, Any], body: Any, content_type: str) -> bytes:
        async with await self._open(method, path, query, body, content_type, _ONE_TRY) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise _error(answer.status, content, answer.headers)
            return content

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        within: float = WITHIN,
    ) -> Manifest:
        """Make a request, again and again if need be, and return the answer.

        Args:
            method: HTTP method.
            path: From `Kind.path`.
            query: Parameters; empty ones are left out.
            body: JSON.
            content_type: Of the body.
            within: Seconds for all tries.

        Raises:
            ApiError: If the API server says no.
            NoAnswer: If it does not answer in time.
        """
        content = await persist(
            lambda: self._once(method, path, query or {}, body, content_type), within, self._turns.turn
        )
        answer: Manifest = json.loads(content)
        return answer

    # Objects.

    async def get(self, kind: str, name: str, namespace: str = "", *, within: float = WITHIN) -> Manifest | None:
        """Return an object, None if there is none."""
        try:
            return await self.request("GET", KINDS[kind].path(namespace, name), within=within)
        except Missing:
            return None

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", within: float = WITHIN
    ) -> Manifest:
        """Return the list of all objects that fit, with its resource version.

        Args:
            kind: Which kind.
            namespace: Where; empty for everywhere.
            labels: A label selector.
            fields: A field selector.
            within: Seconds for all tries.
        """
        query = {"labelSelector": labels, "fieldSelector": fields}
        return await self.request("GET", KINDS[kind].path(namespace), query=query, within=within)

    async def create(self, manifest: Manifest, *, within: float = WITHIN) -> Manifest:
        """Make an object.

        Raises:
            AlreadyThere: If there is one of this name, perhaps from an earlier try of this call.
        """
        path = KINDS[manifest["kind"]].path(manifest["metadata"].get("namespace", ""))
        return await self.request("POST", path, query={"fieldManager": MANAGER}, body=manifest, within=within)

    async def apply(self, manifest: Manifest, *, within: float = WITHIN) -> Manifest:
        """Make an object, or make one that is there as the manifest says; what others set besides stays."""
        about = manifest["metadata"]
        return await self.request(
            "PATCH",
            KINDS[manifest["kind"]].path(about.get("namespace", ""), about["name"]),
            query={"fieldManager": MANAGER, "force": "true"},
            body=manifest,
            content_type="application/apply-patch+yaml",
            within=within,
        )

    async def merge(
        self, kind: str, name: str, namespace: str, patch: Manifest, *, within: float = WITHIN
    ) -> Manifest | None:
        """Change fields of an object; None if there is none.

        Args:
            kind: Which kind.
            name: Its name.
            namespace: Where it is.
            patch: The fields (JSON merge patch).
            within: Seconds for all tries.
        """
        try:
            return await self.request(
                "PATCH",
                KINDS[kind].path(namespace, name),
                query={"fieldManager": MANAGER},
                body=patch,
                content_type="application/merge-patch+json",
                within=within,
            )
        except Missing:
            return None

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace: int | None = None,
        propagation: str = "Background",
        within: float = WITHIN,
    ) -> bool:
        """Delete an object.

        Args:
            kind: Which kind.
            name: Its name.
            namespace: Where it is.
            uid: Only the very one with this identity.
            grace: Seconds that a pod gets to end; None for its own.
            propagation: What becomes of objects that it owns.
            within: Seconds for all tries.

        Returns:
            Whether there was one.
        """
        body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            await self.request("DELETE", KINDS[kind].path(namespace, name), body=body, within=within)
        except Missing:
            return False
        except ApiError as error:
            if uid and error.reason == "Conflict":  # another one has the name by now
                return False
            raise
        return True

    @asynccontextmanager
    async def follow(self, path: str, query: Mapping[str, Any], longest: float) -> AsyncIterator[aiohttp.StreamReader]:
        """Open a stream of lines (a watch); one try, which whoever follows makes again.

        Args:
            path: From `Kind.path`.
            query: Parameters.
            longest: Seconds after which it ends in any case.

        Raises:
            ApiError: If the API server says no.
            OSError: If it does not answer, also in the middle (`aiohttp.ClientError`, `TimeoutError`).
        """
        answer = await self._open("GET", path, {**query, "watch": "1"}, None, "application/json", longest)
        async with answer:
            if answer.status >= 300:
                raise _error(answer.status, await answer.read(), answer.headers)
            yield answer.content
