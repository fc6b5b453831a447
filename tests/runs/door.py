"""A real door for executors, on a port of this machine: what the service has, without the rest of it."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.db.types import new_id
from hub_ext.runs.executors import LONGEST_MESSAGE
from hub_ext.runs.mirror import Mirror
from hub_ext.runs.tokens import RunTokens
from hub_ext.settings import HubExt
from hub_ext.web.context import Context
from hub_ext.web.executors import door


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Door:
    """The door, in a thread; it can be shut and opened again.

    Args:
        context: The parts of the service.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Listen."""
        up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, args=(self._loop, up))
        self._thread.start()
        assert up.wait(10)

    def _live(self, loop: asyncio.AbstractEventLoop, up: threading.Event) -> None:
        asyncio.set_event_loop(loop)
        loop.set_default_executor(ThreadPoolExecutor(4))
        made: list[HTTPServer] = []

        async def begin() -> None:
            made.append(HTTPServer(door(self._context), max_body_size=LONGEST_MESSAGE))
            made[0].add_sockets(bind_sockets(self.port, "127.0.0.1"))

        async def end() -> None:
            made[0].stop()
            await made[0].close_all_connections()

        loop.run_until_complete(begin())
        up.set()
        loop.run_forever()
        loop.run_until_complete(end())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(_gather(left))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def shut(self) -> None:
        """Listen no more, and cut what is open."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(20)
            self._loop = None


async def _gather(tasks: Any) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Launched:
    """A run whose executor may report.

    Attributes:
        run_id: The run.
        id: The launch.
        token: What its executor shows.
    """

    run_id: str
    id: str
    token: str

    def client(self, door: Door, token: str | None = None) -> httpx.Client:
        """Return a client that shows its token, or another."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return httpx.Client(base_url=f"{door.url}/launches/{self.id}/", headers=headers, trust_env=False, timeout=20)


def start_launch(database: Database, settings: HubExt, run: Any) -> Launched:
    """Do what the reconciler and the runtime do at a start, without a cluster."""
    launch_id = new_id("l")
    with database.write() as session:
        row = session.get_one(Run, run.id)
        row.launch_id, row.state = launch_id, "starting"
    Mirror(settings.launches).make(launch_id, {"namespace": "somewhere"})
    return Launched(run.id, launch_id, RunTokens(settings.state).token(launch_id))
