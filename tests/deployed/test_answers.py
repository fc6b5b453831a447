"""What `helm test` looks at: every part answers, or it is told which does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hub_ext.deployed.answers import look


class _Proxy(BaseHTTPRequestHandler):
    broken = ""

    def do_GET(self) -> None:
        bad = self.broken and self.broken in self.path
        body = b'{"parts": "the database does not answer"}' if bad else b"{}"
        self.send_response(503 if bad else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_parts_answer(proxy: str) -> None:
    said: list[str] = []
    assert look(proxy, said.append)
    assert len(said) == 3
    assert all(one.endswith(": answers") for one in said)


def test_the_part_that_does_not_is_named_with_what_it_says(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Proxy, "broken", "workflows")
    said: list[str] = []
    assert not look(proxy, said.append, within=0)
    assert "/services/workflows/api/v1/health: 503" in said[-1]
    assert "the database does not answer" in said[-1]


def test_nobody_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    assert not look("http://127.0.0.1:1", said.append, within=0)
    assert "refused" in said[0]
