"""Starts what is measured: our platform, and a stock JupyterHub beside it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

BIN = Path(sys.executable).parent
PASSWORD = "for-measuring-only"
STOCK = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///{folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.proxy_class = "traefik_file"
c.TraefikFileProviderProxy.static_config_file = "{folder}/static.toml"
c.TraefikFileProviderProxy.dynamic_config_file = "{folder}/rules.toml"
c.TraefikFileProviderProxy.traefik_api_url = "http://127.0.0.1:{api_port}"
c.TraefikFileProviderProxy.traefik_api_username = "a"
c.TraefikFileProviderProxy.traefik_api_password = "a-password-for-measuring"
c.JupyterHub.services = [dict(name="bench", api_token="{token}")]
c.JupyterHub.load_roles = [dict(name="bench", services=["bench"], scopes=["admin:users", "admin:servers", "tokens"])]
"""  # wherever its servers run
_LOCAL = """
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home/{{username}}"
c.Spawner.args = ["--allow-root"]
"""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Platform:
    """Something that answers under an address, and the process at its root."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    admin_token: str = ""

    def client(self, token: str) -> httpx.Client:
        """Return an HTTP client with a token."""
        headers = {"Authorization": f"token {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def tree(self) -> list[psutil.Process]:
        """Return all processes of the platform."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]


def pss(process: psutil.Process) -> int:
    """Return the proportional set size of a process in bytes (memory that is shared counts by its share)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def progress(client: httpx.Client, server: str, **options: Any) -> Iterator[dict[str, Any]]:
    """Yield the events of a start until the Hub ends them.

    Args:
        client: Of somebody who may read them.
        server: Path of the server in the Hub's API.
        options: More of the request.
    """
    with client.stream("GET", f"{server}/progress", **options) as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line[5:])


def wait(url: str, process: subprocess.Popen[bytes], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            message = f"the platform ended with {process.returncode} before it answered"
            raise RuntimeError(message)
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    message = f"{url} did not answer in {seconds} s"
    raise RuntimeError(message)


@contextlib.contextmanager
def running(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    log = (folder / "output.log").open("wb")
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HUB_EXT", "JUPYTER"))}
    return {**kept, "PATH": f"{BIN}:{kept.get('PATH', '')}"}


@contextlib.contextmanager
def hub_ext(folder: Path, **settings: str) -> Iterator[Platform]:
    """Run our platform on a state folder."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    environ = environment() | {"HUB_EXT_PORT": str(port), "HUB_EXT_STATE": str(folder), "HUB_EXT_PASSWORD": PASSWORD}
    with running([str(BIN / "hub-ext"), "up"], folder, environ | settings) as process:
        url = f"http://127.0.0.1:{port}"
        wait(f"{url}/services/workflows/api/v1/health", process)
        yield Platform(url, process, folder, token(url, "admin"))


@contextlib.contextmanager
def stock(folder: Path) -> Iterator[Platform]:
    """Run a stock JupyterHub with the same proxy and the simple local spawner."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    port, admin = free_port(), "0123456789abcdef0123456789abcdef"
    text = (STOCK + _LOCAL).format(folder=folder, port=port, hub_port=free_port(), api_port=free_port(), token=admin)
    (folder / "config.py").write_text(text)
    command = [str(BIN / "jupyterhub"), "-f", str(folder / "config.py")]
    with running(command, folder, environment()) as process:
        url = f"http://127.0.0.1:{port}"
        wait(f"{url}/hub/api/", process)
        yield Platform(url, process, folder, admin)


def token(url: str, name: str) -> str:
    """Return a token of a person of our platform."""
    body = {"auth": {"username": name, "password": PASSWORD}, "note": "benchmark"}
    answer = httpx.post(f"{url}/hub/api/users/{name}/tokens", json=body, trust_env=False)
    answer.raise_for_status()
    return str(answer.json()["token"])


def percentile(values: list[float], share: float) -> float:
    """Return a percentile by the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(values: list[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return {"median": round(statistics.median(values), 4), "p95": round(percentile(values, 0.95), 4)}


def show(name: str, figures: dict[str, object], bar: str) -> None:
    """Print the figures of one benchmark, with the bar they are held against."""
    print(f"\n== {name} (bar: {bar})")
    for key, value in figures.items():
        print(f"   {key}: {json.dumps(value)}")
