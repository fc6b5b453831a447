"""The process: light, with keys that last, on the address that the Hub names."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import Lease
from hub_ext.embedded.processes import free_port
from hub_ext.settings import HubExt
from hub_ext.web.server import address, main, serve

HEAVY = [
    "papermill",
    "nbclient",
    "nbconvert",
    "IPython",
    "ipykernel",
    "pandas",
    "numpy",
    "matplotlib",
    "apispec",
    "pytest",
    "lark",
]


def test_the_service_never_loads_what_runs_notebooks() -> None:
    code = f"import json, sys, hub_ext.web.server; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(made.stdout) == []


@pytest.mark.parametrize(
    ("url", "found"),
    [("http://127.0.0.1:8123", ("127.0.0.1", 8123)), ("http://[::1]:80/x", ("::1", 80))],
)
def test_it_listens_where_the_hub_says(url: str, found: tuple[str, int]) -> None:
    assert address(url) == found


@pytest.mark.parametrize("url", ["", "8123", "https://host:1", "http://host", "http+unix://socket"])
def test_any_other_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="JUPYTERHUB_SERVICE_URL"):
        address(url)


def test_it_takes_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "hub_ext.web.server" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["surprise"])
    assert caught.value.code == 2


def test_what_the_hub_did_not_say_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://127.0.0.1:1/hub/api")
    for name in ("JUPYTERHUB_SERVICE_URL", "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="JUPYTERHUB_SERVICE_URL and JUPYTERHUB_API_TOKEN and JUPYTERHUB_CLIENT_ID"):
        asyncio.run(serve(HubExt(), dict(os.environ)))


def test_a_setting_that_cannot_be_stops_the_start_by_name() -> None:
    environment = {**os.environ, "HUB_EXT_UPLOAD_LIMIT": "many"}
    made = subprocess.run(
        [sys.executable, "-m", "hub_ext.web.server"], env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 1
    assert "HUB_EXT_UPLOAD_LIMIT" in json.loads(made.stderr)["error"]


HEALTH = "/services/workflows/api/v1/health"
SECONDS = 60.0


class Replica:
    """A process of the service."""

    def __init__(self, state: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_EXT", "JUPYTER"))}
        environment |= {
            "HUB_EXT_STATE_DIR": str(state),
            "HUB_EXT_NOTEBOOKS_DIR": str(state / "none"),
            "HUB_EXT_DRAIN_SECONDS": "3",
            "JUPYTERHUB_SERVICE_URL": self.url,
            "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
            "JUPYTERHUB_API_TOKEN": "none",
            "JUPYTERHUB_CLIENT_ID": "service-workflows",
        }
        command = [sys.executable, "-m", "hub_ext.web.server"]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def health(self) -> httpx.Response | None:
        try:
            return httpx.get(self.url + HEALTH, trust_env=False, timeout=10)
        except httpx.HTTPError:
            return None

    def is_ready(self) -> bool:
        found = self.health()
        return found is not None and found.status_code == 200


def until(look: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < SECONDS
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[Replica]]:
    first = Replica(tmp_path)
    made = [first]
    try:
        until(first.is_ready)
        made.append(Replica(tmp_path))
        until(made[1].is_ready)
        yield made
    finally:
        for one in made:
            one.process.kill()
            one.process.wait(SECONDS)


def test_one_that_is_told_to_end_hands_over_at_once_and_answers_until_nobody_asks_it(
    replicas: list[Replica], tmp_path: Path
) -> None:
    first, second = replicas
    database = Database(f"sqlite:///{tmp_path}/hub-ext.sqlite")

    def holders() -> dict[str, str]:
        with database.read() as session:
            return {one.name: one.holder.split()[1] for one in session.scalars(select(Lease))}

    until(lambda: holders().get("reconciler") == str(first.process.pid))
    first.process.send_signal(signal.SIGTERM)
    assert until(lambda: holders().get("reconciler") == str(second.process.pid)) < 3
    told = first.health()
    assert told is not None
    assert told.status_code == 503
    assert next(part["name"] for part in told.json()["parts"] if not part["ok"]) == "process"
    assert told.headers["connection"] == "close"
    assert second.is_ready()
    assert first.process.wait(SECONDS) == 0
    assert str(first.process.pid) not in holders().values()
    database.dispose()
