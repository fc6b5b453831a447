"""What the fault tests share: workflows that count how often they ran, and what is left of a platform."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import nbformat
import psutil
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.functional.conftest import COMMAND, HEALTH, Platform
from tests.timing import Pauses

API = "/services/workflows/api/v1"
ENDED = {"succeeded", "failed", "cancelled", "lost"}
TRUE_WITHIN = 10.0  # seconds from the first 200 of health on
PATIENCE = 240.0  # seconds; the machine may be busy

PARAMETERS = """
from pydantic import SecretStr
name: str = ""
tally: str = ""
seconds: float = 0.0
gate: str = ""
key: SecretStr = ""
"""

# Each line goes to the end of the tally in one write, whoever else writes.
WORK = """
import os, subprocess, sys, time

def tell(word):
    with open(tally, "a") as file:
        file.write(f"{word} {name}\\n")

tell("begun")
if gate:
    subprocess.Popen(["sleep", "3600"], start_new_session=True)
    while not os.path.exists(gate):
        time.sleep(0.05)
time.sleep(seconds)
print("x" * 1000)
tell("done")
"""

_T = TypeVar("_T")


def book(*sources: str, parameters: str = PARAMETERS) -> dict[str, Any]:
    """Return a notebook with these code cells after its parameters."""
    cells = [nbformat.v4.new_code_cell(source, id=f"c{number}") for number, source in enumerate((parameters, *sources))]
    cells[0].metadata["tags"] = ["parameters"]
    return dict(nbformat.v4.new_notebook(cells=cells))


def until(look: Callable[[], _T | None], seconds: float = PATIENCE, what: object = "") -> _T:
    """Wait for a look to find something, and return it; errors of a connection count as nothing."""
    deadline, pause = time.monotonic() + seconds, Pauses()
    while True:
        with contextlib.suppress(httpx.TransportError):
            if found := look():
                return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        pause()


def alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that waits for its parent to notice its end does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(processes: Iterable[psutil.Process]) -> None:
    """Wait until processes have ended."""
    for process in processes:
        until(lambda one=process: not alive(one), 30, process)


def kill(*processes: psutil.Process) -> None:
    """Send SIGKILL to processes, all at once, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    gone(processes)


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        if any(text in part for part in process.cmdline()) or text in process.cwd():
            return True
        return any(text in value for value in process.environ().values())
    except (psutil.Error, OSError):
        return False


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return every process whose command, environment or working folder has to do with a folder; this one aside."""
    return [
        one for one in psutil.process_iter() if one.pid != os.getpid() and _mentions(one, str(folder)) and alive(one)
    ]


def listening(port: int) -> bool:
    """Return whether anybody listens on a port of the loopback address."""
    return any(
        one.laddr and one.laddr.port == port and one.status == psutil.CONN_LISTEN
        for one in psutil.net_connections("tcp")
    )


def refused(state: Path) -> str:
    """Return what `hub-ext up` says when it does not start on a state folder: two lines, and nothing is left."""
    environment = Platform(state).environment
    found = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert found.returncode == 1, found
    assert (found.stdout, len(found.stderr.splitlines())) == ("", 2)
    assert not processes_of(state)
    return found.stderr


def sign_in(browser: httpx.Client, platform: Platform, user: str) -> httpx.Response:
    """Sign in at a platform with a browser that may be signed in elsewhere, and return the last answer."""
    page = browser.get(f"{platform.url}/hub/login")
    found = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
    assert found, page.text[:500]
    fields = {"username": user, "password": platform.password, "_xsrf": found[1]}
    return browser.post(f"{platform.url}/hub/login?next=/services/workflows/", data=fields)


class World:
    """A platform of one's own, people on it, and a tally that their runs write.

    Args:
        folder: Where the tally and the gates are.
        state: The state folder; one below `folder` by default.
        settings: Variables for `hub-ext up`.
    """

    def __init__(self, folder: Path, state: Path | None = None, **settings: str) -> None:
        self.folder = folder
        self.tally = folder / "tally"
        self.tally.touch()
        self.platform = Platform(state or folder / "state", **settings)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.platform.state

    def up(self) -> None:
        """Start the platform unless it runs."""
        if self.platform.process is None or self.platform.process.poll() is not None:
            self.platform.start()

    def up_again(self) -> None:
        """Start `hub-ext up` after it was killed."""
        assert self.platform.process is not None
        self.platform.process.wait(30)
        self.platform.start()

    def close(self) -> None:
        """End whatever is left, for good."""
        while left := processes_of(self.folder):
            kill(*left)
        if self.platform.process is not None:
            self.platform.process.wait(30)

    # People and runs.

    def ask(self, method: str, path: str, user: str = "amy", **more: Any) -> httpx.Response:
        """Send a request as a user, once."""
        with self.platform.api(user) as client:
            return client.request(method, path, **more)

    def publish(self, name: str = "work", *sources: str, user: str = "amy") -> httpx.Response:
        """Publish a workflow; by default the one that counts."""
        body = {"name": name, "notebook": book(*(sources or (WORK,))), "profile": "quick-look"}
        return self.ask("POST", f"{API}/workflows", user, json=body)

    def gate(self, name: str) -> Path:
        """Return the file that a run which waits is waiting for."""
        return self.folder / f"gate-{name}"

    def order(self, name: str, *, waits: bool = False, workflow: str = "amy/work", **values: Any) -> str:
        """Order a run and return its id; asks again, under the same key, until there is an answer."""
        values |= {"name": name, "tally": str(self.tally), "key": f"secret of {name}"}
        if waits:
            values["gate"] = str(self.gate(name))
        path, key = f"{API}/workflows/{workflow}/runs", {"Idempotency-Key": str(uuid4())}

        def send() -> str | None:
            answer = self.ask("POST", path, json={"parameters": values}, headers=key)
            assert answer.status_code in (200, 201, 502, 503, 504), answer.text
            return str(answer.json()["id"]) if answer.is_success else None

        return until(send, what=f"run {name}")

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run, and wait for the service if it does not answer."""

        def look() -> dict[str, Any] | None:
            answer = self.ask("GET", f"{API}/runs/{run_id}")
            assert answer.status_code in (200, 502, 503, 504), answer.text
            return dict(answer.json()) if answer.status_code == 200 else None

        return until(look)

    def states(self, runs: Iterable[str]) -> dict[str, str]:
        """Return the states of runs."""
        return {run_id: str(self.run(run_id)["state"]) for run_id in runs}

    def until_state(self, run_id: str, *states: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until a run is in one of some states, and return it."""

        def look() -> dict[str, Any] | None:
            run = self.run(run_id)
            assert run["state"] in states or run["state"] not in ENDED, run
            return run if run["state"] in states else None

        return until(look, seconds, lambda: self.run(run_id))

    def begun(self, name: str) -> str:
        """Order a run that waits at its gate, return its id once it waits there."""
        run_id = self.order(name, waits=True)
        until(lambda: "begun" in self.told(name), what=lambda: self.run(run_id))
        self.until_state(run_id, "running")
        return run_id

    def told(self, name: str) -> list[str]:
        """Return what a run told: nothing, begun, or begun and done, if all is well."""
        lines = [line.split(" ", 1) for line in self.tally.read_text().splitlines()]
        return [word for word, who in lines if who == name]

    def true_after(self, since: float, wanted: dict[str, str]) -> None:
        """Check that runs reach their true states in time.

        Args:
            since: When health first answered with 200.
            wanted: Id of a run → its true state.
        """
        until(
            lambda: self.states(wanted) == wanted,
            since + TRUE_WITHIN - time.monotonic(),
            lambda: [(self.run(run_id), state) for run_id, state in wanted.items()],
        )

    # The platform.

    def healthy(self, seconds: float = PATIENCE) -> float:
        """Wait for the first 200 of health, and return when that was."""

        def look() -> float | None:
            answer = httpx.get(self.platform.url + HEALTH, trust_env=False, timeout=5)
            return time.monotonic() if answer.status_code == 200 else None

        return until(look, seconds, self.platform.said)

    def worker(self) -> psutil.Process:
        """Return the process of the sharing service, once there is one."""

        def look() -> psutil.Process | None:
            with contextlib.suppress(AssertionError, psutil.NoSuchProcess):
                found = [one for one in self.platform.recorded("service").children() if alive(one)]
                return found[0] if found else None
            return None

        return until(look)

    def parts(self) -> list[psutil.Process]:
        """Return `up`, the Hub, the proxy, the supervisor and the service."""
        assert self.platform.process is not None
        recorded = [self.platform.recorded(name) for name in ("hub", "proxy", "service")]
        return [psutil.Process(self.platform.process.pid), *recorded, self.worker()]

    def of_run(self, run_id: str) -> dict[str, psutil.Process]:
        """Return the executor and the kernel of a run."""
        found = {}
        for process in processes_of(self.state / "launches" / self.column("launch_id", run_id)):
            with contextlib.suppress(psutil.Error):
                command = " ".join(process.cmdline())
                found |= {"executor": process} if "hub_ext.executor" in command else {}
                found |= {"kernel": process} if "ipykernel_launcher" in command else {}
        return found

    def column(self, column: str, run_id: str) -> str:
        """Return what the row of a run holds in a column, as text."""
        return self._select(f"select {column} from runs where id = ?", run_id)

    def holds(self, process: psutil.Process, lease: str) -> bool:
        """Return whether a process holds a lease."""
        holder = self._select("select holder from leases where name = ?", lease)
        return str(process.pid) in re.split(r"[ :]", holder)

    def set_clock_back(self) -> None:
        """Make all leases end tomorrow, as they do when the clock of the machine was set back by a day."""
        assert self._select("update leases set expires_at = datetime('now', ?) returning name", "1 day")

    def _select(self, query: str, value: str) -> str:
        with contextlib.closing(sqlite3.connect(self.state / "hub-ext.sqlite", timeout=30)) as database:
            found = database.execute(query, (value,)).fetchall()
            database.commit()
        return str(found[0][0]) if found else ""

    # Servers.

    def start_server(self, user: str) -> None:
        """Ask for a server, and return at once."""
        answer = self.ask("POST", f"/hub/api/users/{user}/server", user, json={"profile": "quick-look"})
        assert answer.status_code in (201, 202), answer.text

    def server(self, user: str) -> dict[str, Any]:
        """Return the default server of a user as the Hub shows it; empty if there is none."""

        def look() -> dict[str, Any] | None:
            answer = self.ask("GET", f"/hub/api/users/{user}", user)
            return dict(answer.json()) if answer.status_code == 200 else None

        servers: dict[str, Any] = until(look)["servers"]
        return dict(servers.get("", {}))

    def server_ready(self, user: str) -> None:
        """Wait until a user's server is ready."""
        until(lambda: self.server(user).get("ready"), what=lambda: (self.server(user), self.platform.said()))

    def new_kernel(self, user: str) -> str:
        """Start a kernel in a user's server and return its address; asks again while the proxy has no route to it."""

        def ask() -> str | None:
            answer = self.ask("POST", f"/user/{user}/api/kernels", user, json={})
            assert answer.status_code in (201, 404, 502, 503, 504), answer.text
            return str(answer.json()["id"]) if answer.status_code == 201 else None

        return f"/user/{user}/api/kernels/{until(ask)}"

    def execute(self, user: str, kernel: str, code: str) -> str:
        """Run code in a kernel, through proxy and server, and return what it printed."""
        return asyncio.run(self._execute(user, kernel, code))

    async def _execute(self, user: str, kernel: str, code: str) -> str:
        url = f"{self.platform.url.replace('http:', 'ws:')}{kernel}/channels"
        headers = {"Authorization": f"token {self.platform.token(user)}"}
        connection = await self._connect(HTTPRequest(url, headers=headers, request_timeout=PATIENCE))
        mine = uuid4().hex
        header = {"msg_id": mine, "session": mine, "username": user, "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        await connection.write_message(json.dumps(message))
        text, missing = "", {"execute_reply", "status"}  # they come on channels of their own, in any order
        async with asyncio.timeout(PATIENCE):
            while missing:
                answer = json.loads(await connection.read_message() or "{}")
                if answer.get("parent_header", {}).get("msg_id") == mine:
                    text += answer["content"].get("text", "") if answer["msg_type"] == "stream" else ""
                    if answer["content"].get("execution_state") != "busy":
                        missing.discard(answer["msg_type"])
            connection.close()
            while await connection.read_message() is not None:
                continue
        return text

    async def _connect(self, request: HTTPRequest) -> WebSocketClientConnection:
        """Open a connection; asks again while the proxy has no route, or the server behind it does not listen yet."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await websocket_connect(request)
            except (HTTPClientError, OSError):
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    # What is left.

    def nothing_of_runs(self) -> None:
        """Check that no process, folder or secret of a run is left, with the platform up or not."""
        launches, secrets = self.state / "launches", self.state / "secrets"
        until(lambda: not list(launches.iterdir()), 60, lambda: list(launches.iterdir()))
        until(lambda: not processes_of(launches), 30, lambda: processes_of(launches))
        # An order that was cut before its run was committed leaves one, and nobody can tell until it is old.
        kept = [path.name for path in secrets.iterdir()] if secrets.is_dir() else []
        assert not [name for name in kept if self.column("id", name)]
        until(lambda: not secrets.is_dir() or not list(secrets.iterdir()), 150)

    def nothing_runs(self) -> None:
        """Check that no process of the platform is left, and no port that listens."""
        until(lambda: not processes_of(self.state), 30, lambda: processes_of(self.state))
        ports = [self.platform.port, json.loads((self.state / "run" / "service-port.json").read_text())]
        ports += json.loads((self.state / "run" / "ports.json").read_text()).values()
        assert not [port for port in ports if listening(port)]

    def audit_is_intact(self) -> None:
        """Check that the record's chain fits, and that all of it is sealed soon."""
        command = [str(Path(sys.executable).parent / "hub-ext"), "audit", "verify", "--state", str(self.state)]

        def look() -> bool:
            found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
            assert found.returncode == 0, found.stdout + found.stderr
            return ", 0 not sealed yet" in found.stdout

        assert until(look, 60, "the end of the record is not sealed")
