"""The process: light, with keys that last, on the address that the Hub names."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

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
