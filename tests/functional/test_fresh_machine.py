"""A clone on a fresh machine: `make up` needs nothing but what it installs itself, which is less than tests have."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.faults import until

pytestmark = [pytest.mark.functional]

ROOT = Path(__file__).resolve().parents[2]
API = "/services/workflows/api/v1"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is in git, as it stands here."""
    folder = tmp_path_factory.mktemp("fresh") / "hub-ext"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def fresh(clone: Path, platform_class: Any) -> Iterator[Any]:
    """The platform that `make up` starts there: by the command that it hands over to, so that Ctrl-C reaches it."""
    platform = platform_class(clone / ".hub-ext")
    # Nothing of the make that runs the tests reaches this one.
    environ = {name: value for name, value in platform.environment.items() if not name.startswith(("MAKE", "MFLAGS"))}
    make = functools.partial(subprocess.run, cwd=clone, env=environ, check=True, timeout=200)
    make(["make", "setup"])
    said = make(["make", "-n", "up"], capture_output=True, text=True).stdout.split()
    assert said == ["exec", ".venv/bin/hub-ext", "up"]
    platform.command = [str(clone / said[1]), said[2]]
    try:
        platform.start()
        yield platform
    finally:
        platform.close()


def test_a_server_a_run_and_a_report(fresh: Any) -> None:
    api = fresh.api("ann")
    assert api.post("/hub/api/users/ann/server", json={"profile": "quick-look"}).status_code in (201, 202)
    until(lambda: api.get("/hub/api/users/ann").json()["servers"].get("", {}).get("ready"))
    asked = api.post(f"{API}/workflows/examples/seattle-season/runs", json={"parameters": {}})
    assert asked.status_code == 201, asked.text
    address = f"{API}/runs/{asked.json()['id']}"
    run = until(lambda: (found := api.get(address).json())["state"] not in ("queued", "starting", "running") and found)
    assert run["state"] == "succeeded", run
    assert api.get(f"{address}/report").status_code == 200


def test_ctrl_c_ends_it(fresh: Any) -> None:
    assert fresh.stop() == 0
