"""A real platform for the functional tests: `hub-ext up` on a free port with a state folder of its own."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser

from tests.timing import Pauses

COMMAND = [str(Path(sys.executable).parent / "hub-ext"), "up"]
ROLES = {"clara": ["curator"], "cora": ["curator"], "rene": ["reviewer"], "aude": ["auditor"], "adam": ["admin"]}
HEALTH = "/services/workflows/api/v1/health"

_known_fonts: dict[str, bytes] = {}  # matplotlib's list of them, once a platform of this worker has it


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """Return the environment without what another platform put there."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HUB_EXT", "JUPYTER"))}


@functools.cache
def few_authorities() -> dict[str, str]:
    """Return what has OpenSSL look for an authority when it needs one: to read all takes each platform 0.2 s.

    A file of one authority stands for the file of all; the folder that is looked into by name is as it was.
    """
    every = ssl.get_default_verify_paths().cafile
    if every is None:
        return {}
    first, end, _ = Path(every).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "authority.pem"
    path.write_text(first + end, encoding="utf-8")
    return {"SSL_CERT_FILE": str(path)}


class Platform:
    """A platform that runs, or ran.

    Attributes:
        url: Its address.
        password: What everybody signs in with.
        state: Its state folder.
        process: The process of `hub-ext up`.
        output: File that its terminal output goes to.
        command: What starts it.
    """

    def __init__(self, state: Path, **settings: str) -> None:
        self.state = state
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = "correct horse battery staple"
        self.settings = settings
        self.command = COMMAND
        self.output = state.with_name(f"{state.name}.output")
        self.process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[tuple[str, tuple[str, ...] | None], str] = {}
        self._clients: list[httpx.Client] = []

    @property
    def environment(self) -> dict[str, str]:
        """What `hub-ext up` is started with."""
        return clean_environment() | {
            "HUB_EXT_PORT": str(self.port),
            "HUB_EXT_STATE": str(self.state),
            **few_authorities(),
            **({"HUB_EXT_PASSWORD": self.password} if self.password else {}),
            **self.settings,
        }

    def launch(self) -> None:
        """Start `hub-ext up` without waiting for it."""
        self._share_fonts()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def _share_fonts(self) -> None:
        """Give what another platform here found of this machine's fonts: each would look for a second of processor."""
        if not _known_fonts or self._fonts.exists():
            return
        with contextlib.suppress(OSError):  # a test's disk that is full, or a folder that nobody may write
            self.state.mkdir(mode=0o700, exist_ok=True)
            self._fonts.mkdir(parents=True)
            for name, content in _known_fonts.items():
                (self._fonts / name).write_bytes(content)

    @property
    def _fonts(self) -> Path:
        return self.state / "cache" / "fonts"

    def start(self, seconds: float = 280) -> None:
        """Start and wait until the sharing service is healthy."""
        self.launch()
        self.wait_until_up(seconds)

    def wait_until_up(self, seconds: float = 280) -> None:
        """Wait until the sharing service is healthy."""
        deadline, pause = time.monotonic() + seconds, Pauses()
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.said()}"
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(self.url + HEALTH, trust_env=False, timeout=5).status_code == 200:
                    return
            pause()
        pytest.fail(f"not up within {seconds} s: {self.said()}")

    def said(self) -> str:
        """Return what stood in the terminal."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def stop(self, number: int = signal.SIGINT, seconds: float = 120) -> int:
        """Stop as Ctrl-C does; return the exit code."""
        assert self.process is not None
        _known_fonts.update({path.name: path.read_bytes() for path in self._fonts.glob("fontlist-*.json")})
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def restart(self) -> None:
        """Stop as Ctrl-C does, and start again on the same state."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill `hub-ext up` and its Hub with SIGKILL, as a crash of the machine's memory would."""
        assert self.process is not None
        hub = self.hub()
        self.process.kill()
        self.process.wait()
        hub.kill()
        psutil.wait_procs([hub], timeout=10)

    def recorded(self, name: str) -> psutil.Process:
        """Return a process that the platform wrote down: hub, proxy or service."""
        from hub_ext.embedded.processes import Recorded

        found = Recorded.load(self.state / "run" / f"{name}.json")
        assert found is not None
        process = found.process()
        assert process is not None, f"{name} does not run"
        return process

    def hub(self) -> psutil.Process:
        """Return the Hub's process."""
        return self.recorded("hub")

    def login(self, user: str) -> httpx.Client:
        """Return a browser-like client that is signed in at the Hub and at the sharing service."""
        client = self._client(follow_redirects=True)
        page = client.get("/hub/login")
        found = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
        assert found, page.text[:500]
        fields = {"username": user, "password": self.password, "_xsrf": found[1]}
        answer = client.post("/hub/login?next=/services/workflows/", data=fields)
        assert answer.status_code == 200, (answer.status_code, answer.text[:500])
        return client

    def token(self, user: str, scopes: Sequence[str] | None = None) -> str:
        """Return an API token of a person, who becomes a user if she is none; made once for each set of scopes."""
        key = (user, tuple(scopes) if scopes is not None else None)
        if key not in self._tokens:
            body = {"auth": {"username": user, "password": self.password}, "note": "test"}
            if scopes is not None:
                body["scopes"] = list(scopes)
            answer = httpx.post(f"{self.url}/hub/api/users/{user}/tokens", json=body, trust_env=False, timeout=60)
            assert answer.status_code == 201, answer.text
            self._tokens[key] = str(answer.json()["token"])
        return self._tokens[key]

    def know_token(self, user: str, token: str) -> None:
        """Use a token of a person that was made elsewhere."""
        self._tokens[user, None] = token

    def api(self, user: str, scopes: Sequence[str] | None = None) -> httpx.Client:
        """Return a client with a token of a person."""
        return self._client(headers={"Authorization": f"token {self.token(user, scopes)}"})

    def _client(self, **options: Any) -> httpx.Client:
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=60, **options)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all clients that were made, and stop."""
        for client in self._clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.stop()
        for name in ("hub", "service", "proxy"):  # of a test that failed between a crash and the next start
            with contextlib.suppress(AssertionError, psutil.NoSuchProcess):
                self.recorded(name).kill()


@contextlib.contextmanager
def running(state: Path, **settings: str) -> Iterator[Platform]:
    """Run a platform on a state folder, and stop it at the end."""
    platform = Platform(state, **settings)
    try:
        platform.start()
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that all tests of a worker share: leave it running, and use names of your own."""
    folder = tmp_path_factory.mktemp("platform")
    with running(folder / "state", HUB_EXT_ROLES=json.dumps(ROLES), HUB_EXT_HOME_KEPT_DAYS="0") as found:
        yield found


@pytest.fixture(scope="session")
def platform_class() -> type[Platform]:
    """The class of platforms, for tests that need one of their own."""
    return Platform


@pytest.fixture(scope="module")  # its loop runs as long: asynchronous tests of the same worker come after it
def browser() -> Iterator[Browser]:
    """Debian's Chromium, for the tests of a file."""
    from tests.functional.browser import chromium  # which needs what is above

    with chromium() as found:
        yield found
