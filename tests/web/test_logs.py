"""The log: JSON lines that name the request, and never what a query holds."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from hub_ext.web import logs


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure("INFO")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_ours_and_those_of_libraries_look_alike(written: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="q-1", user="ada"):
        structlog.get_logger("ours").info("done", run="r-1")
        logging.getLogger("theirs").warning("mind %s", "this")
    ours, theirs = lines(written)
    assert (ours["event"], ours["run"], ours["request_id"], ours["user"]) == ("done", "r-1", "q-1", "ada")
    assert (theirs["event"], theirs["level"], theirs["request_id"]) == ("mind this", "warning", "q-1")


def test_an_error_is_one_line(written: io.StringIO) -> None:
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError:
        structlog.get_logger("ours").exception("it failed")
    (line,) = lines(written)
    assert "ZeroDivisionError: by zero" in line["exception"]


class Hello(RequestHandler):
    def get(self) -> None:
        self.finish("hello")


async def test_queries_are_not_written(written: io.StringIO) -> None:
    (socket,) = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application([("/hello", Hello)], log_function=logs.access))
    server.add_socket(socket)
    url = f"http://127.0.0.1:{socket.getsockname()[1]}/hello?token=secret"
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url)).text == "hello"
    server.stop()
    await server.close_all_connections()
    (line,) = [line for line in lines(written) if line["logger"] == "hub_ext.web.access"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/hello", 200)
    assert "secret" not in json.dumps(line)
