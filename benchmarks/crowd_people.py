"""People with browsers and servers of theirs, as a platform meets them: pages, event streams, reports of activity."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from benchmarks.harness import PASSWORD

KINDS = {"home": 4, "gallery": 3, "workflow": 2, "start": 1}  # how often each kind of page is asked for
REPORTS_EVERY = 300.0  # seconds, as jupyterhub-singleuser has it
LAB_ASKS_EVERY = 60.0  # seconds, as hub_ext/executor/announce has it
_AT_ONCE = 8  # people who sign in at once
_SEED = 7


@dataclass(frozen=True)
class Load:
    """How much is asked.

    Attributes:
        people: How many are signed in.
        servers: How many of them have a server with an open JupyterLab.
        seconds: For how long.
        every: Seconds from one page of a person to her next, on average.
    """

    people: int = 200
    servers: int = 100
    seconds: float = 120.0
    every: float = 30.0

    def visits(self, number: int) -> Iterator[tuple[float, str]]:
        """Yield when a person asks for which kind of page; the same at each call.

        Args:
            number: Of the person; the first ones have servers, and do not look for another.
        """
        chance = random.Random(f"{_SEED} {number}")  # no secret: two platforms get the same load
        at = chance.uniform(0, self.every)
        while at < self.seconds:
            (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
            yield at, "home" if kind == "start" and number < self.servers else kind
            at += chance.uniform(0.5, 1.5) * self.every


@dataclass(frozen=True)
class Side:
    """A platform, as browsers and servers see it.

    Attributes:
        url: Of its proxy.
        hub: Of the Hub, where servers reach it.
        service: Of the sharing service, where servers reach it; empty where there is none.
        pages: Kind of page → path.
    """

    url: str
    hub: str
    service: str
    pages: Mapping[str, str]


@dataclass
class Seen:
    """What came of it.

    Attributes:
        pages: Kind of page → seconds that each took.
        asked: What else was asked, and how often.
        failed: What did not work, in words.
    """

    pages: dict[str, list[float]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def count(self, what: str, answer: aiohttp.ClientResponse) -> None:
        """Count something that was asked, and whether it worked."""
        self.asked[what] = self.asked.get(what, 0) + 1
        if answer.status >= 400:
            self.failed.append(f"{what}: {answer.status}")


class Browser:
    """Somebody's browser: a session of its own, connections of its own, one event stream while a page has one.

    Args:
        side: Where she is.
        name: Her name.
        seen: Where it is written down.
    """

    def __init__(self, side: Side, name: str, seen: Seen) -> None:
        self.side, self.name, self.seen = side, name, seen
        self._stream: asyncio.Task[None] | None = None
        self._http = aiohttp.ClientSession(
            side.url,
            cookie_jar=aiohttp.CookieJar(unsafe=True, quote_cookie=False),
            connector=aiohttp.TCPConnector(limit=6),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60),
        )

    async def sign_in(self) -> None:
        """Sign in by the form, and open the first page."""
        async with self._http.get("/hub/login") as page:
            (xsrf,) = re.findall(r'name="_xsrf" value="([^"]+)"', await page.text())[:1]
        fields = {"username": self.name, "password": PASSWORD, "_xsrf": xsrf}
        async with self._http.post("/hub/login", data=fields) as page:
            page.raise_for_status()
        async with self._http.get(self.side.pages["home"]) as page:
            page.raise_for_status()
            if "/login" in page.url.path:
                message = f"{self.name} is not signed in at {page.url.path}"
                raise RuntimeError(message)

    async def visit(self, kind: str) -> None:
        """Ask for a page; its files are known from the one before."""
        await self._leave()
        began, text = time.perf_counter(), ""
        try:
            async with self._http.get(self.side.pages[kind]) as page:
                text = await page.text()
                if page.status != 200 or "/login" in page.url.path:
                    self.seen.failed.append(f"{kind}: {page.status} at {page.url.path}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.seen.failed.append(f"{kind}: {type(error).__name__}")
        self.seen.pages.setdefault(kind, []).append(time.perf_counter() - began)
        told = {name: re.search(rf'<meta name="hx-{name}" content="([^"]*)"', text) for name in ("base", "topics")}
        token = re.search(r'"X-XSRFToken": "([^"]+)"', text)
        if told["base"] and told["topics"] and token:
            url = f"{told['base'][1]}api/v1/events?topics={told['topics'][1]}"
            self._stream = asyncio.create_task(self._listen(url, token[1]))

    async def _listen(self, url: str, token: str) -> None:
        headers = {"Accept": "text/event-stream", "X-XSRFToken": token, "Sec-Fetch-Mode": "cors"}
        with contextlib.suppress(asyncio.CancelledError):
            try:
                async with self._http.get(url, headers=headers) as stream:
                    self.seen.count("event streams", stream)
                    async for _ in stream.content:
                        pass
            except (aiohttp.ClientError, TimeoutError) as error:
                self.seen.failed.append(f"event streams: {type(error).__name__}")

    async def _leave(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
            await asyncio.gather(self._stream, return_exceptions=True)
            self._stream = None

    async def stay(self, load: Load, number: int, began: float) -> None:
        """Ask for pages until the time is over."""
        for at, kind in load.visits(number):
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await self.visit(kind)

    async def close(self) -> None:
        """Close the browser."""
        await self._leave()
        await self._http.close()


class Crowd:
    """Everybody, in one loop of this process.

    Args:
        side: Where they are.
        load: How many they are, and what they do.
        names: Of the people.
    """

    def __init__(self, side: Side, load: Load, names: list[str]) -> None:
        self.side, self.load, self.names = side, load, names
        self.seen = Seen()
        self._loop = asyncio.new_event_loop()
        self._browsers: list[Browser] = []

    def sign_in(self) -> None:
        """Sign everybody in."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(browser: Browser) -> None:
            async with gate:
                await browser.sign_in()

        async def all_of_them() -> None:
            self._browsers = [Browser(self.side, name, self.seen) for name in self.names]
            await asyncio.gather(*map(one, self._browsers))

        self._loop.run_until_complete(all_of_them())

    def stay(self, tokens: Mapping[str, str]) -> None:
        """Let everybody ask for pages, and their servers report, for as long as the load says.

        Args:
            tokens: Name of who has a server → the server's own token.
        """

        async def all_of_them() -> None:
            began = time.monotonic()
            async with aiohttp.ClientSession() as http:
                servers = [asyncio.create_task(one) for one in self._servers(http, tokens)]
                people = [one.stay(self.load, number, began) for number, one in enumerate(self._browsers)]
                await asyncio.gather(*people)
                await asyncio.sleep(max(0.0, began + self.load.seconds - time.monotonic()))
                for task in servers:
                    task.cancel()
                found = await asyncio.gather(*servers, return_exceptions=True)
            self.seen.failed += [repr(one) for one in found if isinstance(one, Exception)]

        self._loop.run_until_complete(all_of_them())

    def _servers(self, http: aiohttp.ClientSession, tokens: Mapping[str, str]) -> Iterator[Coroutine[Any, Any, None]]:
        chance = random.Random(_SEED)
        for name, token in sorted(tokens.items()):
            yield self._report(http, name, token, chance)
            if self.side.service:
                yield self._ask_for_end(http, token, chance)

    async def _report(self, http: aiohttp.ClientSession, name: str, token: str, chance: random.Random) -> None:
        """Report activity as a notebook server does."""
        headers = {"Authorization": f"token {token}"}
        await asyncio.sleep(chance.uniform(0, REPORTS_EVERY))
        while True:
            at = datetime.now(UTC).isoformat()
            body = {"servers": {"": {"last_activity": at}}, "last_activity": at}
            url = f"{self.side.hub}/hub/api/users/{name}/activity"
            await self._ask("reports of activity", http.post(url, json=body, headers=headers))
            await asyncio.sleep(REPORTS_EVERY * chance.uniform(0.9, 1.1))

    async def _ask_for_end(self, http: aiohttp.ClientSession, token: str, chance: random.Random) -> None:
        """Ask when this server ends, as one does whose JupyterLab is open."""
        headers = {"Authorization": f"token {token}"}
        await asyncio.sleep(chance.uniform(0, LAB_ASKS_EVERY))
        while True:
            url = f"{self.side.service}/services/workflows/api/v1/servers"
            await self._ask("questions of JupyterLab", http.get(url, headers=headers))
            await asyncio.sleep(LAB_ASKS_EVERY)

    async def _ask(self, what: str, asking: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> None:
        try:
            async with asking as answer:
                self.seen.count(what, answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.seen.failed.append(f"{what}: {type(error).__name__}")

    def close(self) -> None:
        """Close all browsers."""

        async def all_of_them() -> None:
            await asyncio.gather(*(one.close() for one in self._browsers))

        self._loop.run_until_complete(all_of_them())
        self._loop.close()
