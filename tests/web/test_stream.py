"""Events on the wire, and how a stream ends: by itself, with the right to hear, with the browser, with the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from hub_ext.errors import Forbidden, InvalidInput, Unavailable
from hub_ext.web import stream
from hub_ext.web.traffic import Streams


@dataclass(frozen=True)
class Told:
    id: str
    type: str
    data: Any


def test_an_event_is_three_lines() -> None:
    assert stream.encode(Told("c-1", "run", {"state": "on"})) == 'id: c-1\nevent: run\ndata: {"state":"on"}\n\n'


def test_an_event_without_a_cursor_moves_none() -> None:
    assert stream.encode(Told("", "now", {})) == "event: now\ndata: {}\n\n"


@given(st.text())
def test_no_text_can_make_a_second_event(text: str) -> None:
    lines = stream.encode(Told("c", "output", {"text": text})).split("\n")
    assert len(lines) == 5
    assert lines[2].startswith("data: ")


# -- over HTTP ---------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """What a handler tells, and to whom it may."""

    tell: Callable[[], AsyncIterator[Told]]
    allowed: Callable[[], Awaitable[object]]
    streams: Streams = field(default_factory=Streams)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Telling(RequestHandler):
    gone: Callable[[], object] | None = None

    def initialize(self, world: World) -> None:
        self.world = world
        self.context = SimpleNamespace(streams=world.streams)

    def on_connection_close(self) -> None:
        if self.gone is not None:
            self.gone()

    async def get(self) -> None:
        try:
            await stream.send(self, self.world.tell(), self.world.allowed)  # type: ignore[arg-type]  # a small handler
        except InvalidInput as error:
            raise HTTPError(422) from error
        finally:
            self.world.ended.set()


async def always() -> None:
    return None


async def three() -> AsyncIterator[Told]:
    for number in range(3):
        yield Told(str(number), "number", number)


async def nothing() -> AsyncIterator[Told]:
    await asyncio.sleep(60)
    yield Told("never", "never", None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE", 0.05)
    monkeypatch.setattr(stream, "CHECK_AGAIN", 0.1)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[World], str]]:
    servers = []

    def start(world: World) -> str:
        (socket,) = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(Application([("/", Telling, {"world": world})], log_function=lambda _: None))
        server.add_socket(socket)
        servers.append(server)
        return f"http://127.0.0.1:{socket.getsockname()[1]}/"

    yield start
    for server in servers:
        server.stop()
        await server.close_all_connections()


async def read(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        return await client.get(url)


async def test_a_stream_tells_all_and_says_that_it_ends(serve: Callable[[World], str]) -> None:
    answer = await read(serve(World(three, always)))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    told = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    assert told == ["0", "1", "2", "{}"]
    assert answer.text.endswith("event: end\ndata: {}\n\n")


async def test_a_cursor_that_cannot_be_is_an_answer_and_not_a_stream(serve: Callable[[World], str]) -> None:
    async def refuses() -> AsyncIterator[Told]:
        raise InvalidInput.of("cursor", "is none")
        yield

    assert (await read(serve(World(refuses, always)))).status_code == 422


async def test_a_stream_ends_with_the_right_to_hear_it(serve: Callable[[World], str]) -> None:
    async def no_more() -> None:
        raise Forbidden("Your session has ended.")

    answer = await read(serve(World(nothing, no_more)))
    assert ": still here" in answer.text
    assert answer.text.endswith('event: end\ndata: {"reason": "Your session has ended."}\n\n')


async def test_a_hub_that_is_away_ends_no_stream(serve: Callable[[World], str]) -> None:
    asked: list[int] = []

    async def away_then_no_more() -> None:
        asked.append(1)
        if len(asked) < 3:
            raise Unavailable("The Hub does not answer.")
        raise Forbidden("No more.")

    answer = await read(serve(World(nothing, away_then_no_more)))
    assert len(asked) == 3
    assert "No more." in answer.text


async def test_a_stream_ends_when_the_browser_goes(serve: Callable[[World], str]) -> None:
    closed = asyncio.Event()

    async def watched() -> AsyncIterator[Told]:
        try:
            yield Told("1", "first", 1)
            await asyncio.sleep(60)
        finally:
            closed.set()

    world = World(watched, always)
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", serve(world)) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                break
        assert len(world.streams) == 1
    await asyncio.wait_for(closed.wait(), 5)
    await asyncio.wait_for(world.ended.wait(), 5)
    assert len(world.streams) == 0


async def test_a_stream_ends_with_the_service(serve: Callable[[World], str]) -> None:
    world = World(nothing, always)
    lines: list[str] = []
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", serve(world)) as answer:
        async for line in answer.aiter_lines():
            lines.append(line)
            world.streams.close()
    assert f"retry: {stream.COME_BACK}" in lines
    assert "event: end" not in lines  # the browser comes back
    assert len(world.streams) == 0
