"""A real HTTP proxy in front of a real API server, that makes the trouble which one has with it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "accept-encoding", "content-encoding"})
_EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


class ApiProxy:
    """The proxy, in a thread of its own; what it does can be changed while it runs.

    Args:
        kubeconfig: Of the API server behind it; its server and authority are used, no account.
    """

    def __init__(self, kubeconfig: Path) -> None:
        there = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        self._target = str(there["server"])
        self._ssl = ssl.create_default_context(cadata=_authority(there, kubeconfig))
        self.delay = 0.0  # seconds before each call
        self.refusing = False  # answers everything with 429
        self.asked: list[str] = []
        self._watches: set[asyncio.Event] = set()
        self._expired = 0  # so many watches are told that they are too old
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api proxy", daemon=True)
        self._thread.start()
        self._call(self._begin())

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _begin(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._ssl, limit=0))
        await self._listen()

    async def _listen(self) -> None:
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def _leave(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def close(self) -> None:
        """End it."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        await self._leave()
        await self._session.close()

    # Trouble.

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Answer nobody: connections are cut, new ones refused."""
        self._call(self._leave())
        try:
            yield
        finally:
            self._call(self._listen())

    @contextlib.contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Take so long for each call."""
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0.0

    @contextlib.contextmanager
    def refuses(self) -> Iterator[None]:
        """Answer everything with 429."""
        self.refusing = True
        try:
            yield
        finally:
            self.refusing = False

    def drop_watches(self) -> int:
        """End all watches, and tell those who come back that their version is too old; return how many there were."""

        async def drop() -> int:
            self._expired = len(self._watches)
            for watch in self._watches:
                watch.set()
            return self._expired

        return int(self._call(drop()))

    # Passing on.

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        watching = "watch" in request.query
        await asyncio.sleep(self.delay)
        if self.refusing:
            said = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "too many requests"}
            return web.json_response(said, status=429, headers={"Retry-After": "1"})
        if watching and self._expired:
            self._expired -= 1
            return web.json_response(_EXPIRED)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        body = await request.read()
        url = self._target + request.raw_path
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, timeout=aiohttp.ClientTimeout(total=None)
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            given = web.StreamResponse(status=answer.status, headers=kept)
            await given.prepare(request)
            await self._stream(answer, given, watching=watching)
            return given

    async def _stream(self, answer: aiohttp.ClientResponse, given: web.StreamResponse, *, watching: bool) -> None:
        if not watching:
            async for chunk in answer.content.iter_any():
                await given.write(chunk)
            return
        over = asyncio.Event()
        self._watches.add(over)
        ending = reading = asyncio.ensure_future(over.wait())
        try:
            while True:
                reading = asyncio.ensure_future(answer.content.readany())
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done() or not (chunk := reading.result()):
                    return
                await given.write(chunk)
        finally:
            for task in (reading, ending):
                task.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)
            self._watches.discard(over)


def _authority(there: dict[str, Any], kubeconfig: Path) -> str:
    """Return the certificates that the API server's own is held against."""
    if "certificate-authority-data" in there:
        return base64.b64decode(there["certificate-authority-data"]).decode()
    return (kubeconfig.parent / there["certificate-authority"]).read_text()
