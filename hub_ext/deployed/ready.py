"""Whether the Hub can work: it answers, and so do its databases. Asked by the kubelet at a port of its own.

JupyterHub's own `/hub/health` says that the process answers, and no more: that is for liveness, since a new process
makes no database come back.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookLong
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.db.addresses import driver, patience
from hub_ext.deployed.turn import HEALTH
from hub_ext.kubernetes.network import HUB_PORT

PATH = "/ready"
PORT = 8083
_PATIENCE = 3.0  # seconds that a part gets to answer
_FRESH = 0.5  # seconds that an answer is good for
_SILENT = "It does not answer in time."

Ask = Callable[[], str]


class AsksDatabase:
    """Asks a database whether it answers, by one connection that is kept.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        options = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
        self._engine = create_engine(driver(url), connect_args=patience(url), **options)

    def __call__(self) -> str:
        """Return an empty text when it answers, else what is to be said; its own words have addresses and names."""
        try:
            with self._engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return "It does not answer."
        return ""

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()


def asks_hub(url: str) -> Ask:
    """Return what asks the Hub whether its process answers.

    Args:
        url: Of its health.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask() -> str:
        try:
            with opener.open(url, timeout=_PATIENCE):
                return ""
        except OSError:
            return "It does not answer."

    return ask


class Readiness:
    """Asks all parts, each in a thread of its own, and never twice at once.

    Args:
        parts: Name of a part → what asks it.
        patience: Seconds that a part gets.
    """

    def __init__(self, parts: Mapping[str, Ask], patience: float = _PATIENCE) -> None:
        self._parts = dict(parts)
        self._patience = patience
        self._threads = ThreadPoolExecutor(len(self._parts), thread_name_prefix="ready")
        self._asked: dict[str, Future[str]] = {}
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._found: dict[str, str] = {}

    def look(self) -> dict[str, str]:
        """Return what is wrong with each part; an empty text for nothing."""
        with self._lock:
            if time.monotonic() > self._until:
                for name, ask in self._parts.items():
                    before = self._asked.get(name)
                    if before is None or before.done():
                        self._asked[name] = self._threads.submit(ask)
                deadline = time.monotonic() + self._patience
                self._found = {name: self._answer(one, deadline) for name, one in self._asked.items()}
                self._until = time.monotonic() + _FRESH
            return dict(self._found)

    def _answer(self, asked: Future[str], deadline: float) -> str:
        try:
            return asked.result(max(0.0, deadline - time.monotonic()))
        except TookLong:
            return _SILENT

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, readiness: Readiness) -> None:
        self.readiness = readiness
        super().__init__(("", port), _Answers)


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:  # as http.server calls it
        """Say how the parts are."""
        if self.path != PATH:
            self.send_error(404)
            return
        found = self.server.readiness.look()
        parts = [{"name": name, "ok": not wrong, "detail": wrong} for name, wrong in found.items()]
        works = not any(found.values())
        body = json.dumps({"status": "ok" if works else "unavailable", "parts": parts}).encode()
        self.send_response(200 if works else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: it is asked every second."""


def tell(parts: Mapping[str, Ask], port: int = PORT) -> ThreadingHTTPServer:
    """Answer from now on, in threads, until the process ends or `shutdown` is called.

    Args:
        parts: Name of a part → what asks it.
        port: Where to listen.
    """
    server = _Server(port, Readiness(parts))
    threading.Thread(target=server.serve_forever, name="readiness", daemon=True).start()
    return server


def tell_of_hub(environ: Mapping[str, str], port: int = PORT) -> ThreadingHTTPServer:
    """Answer for the Hub of this process, from before it loads.

    Args:
        environ: What the chart sets.
        port: Where to listen.
    """
    parts = {"hub": asks_hub(f"http://127.0.0.1:{HUB_PORT}{HEALTH}")}
    names = {"database": "HUB_EXT_DATABASE_URL", "the Hub's database": "HUB_EXT_HUB_DATABASE_URL"}
    parts |= {name: AsksDatabase(environ[variable]) for name, variable in names.items() if environ.get(variable)}
    return tell(parts, port)
