"""A platform whose results are in a bucket: what runs leave is there and nowhere else, also when it was away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.functional.conftest import HEALTH, Platform, running
from tests.functional.faults import API, ENDED, book, until
from tests.s3 import ENVIRONMENT, S3Server, s3_server

pytestmark = [pytest.mark.functional, pytest.mark.timeout(300)]

AWAY_FOR = 30.0  # seconds
TELLS = "import os\nprint('keys of the bucket:', [name for name in os.environ if name.startswith('AWS')])"
WAITS = "import os, time\nwhile not os.path.exists(gate): time.sleep(0.05)\nopen('late.txt', 'w').write('it came')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """What speaks S3."""
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(scope="module")
def platform_on_s3(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a bucket."""
    settings = {"HUB_EXT_RESULTS_URL": f"{server.bucket('results')}/ours", "HUB_EXT_RESULTS_ENDPOINT": server.endpoint}
    with running(tmp_path_factory.mktemp("on-s3") / "state", **settings, **ENVIRONMENT) as found:
        yield found


def run(ann: httpx.Client, name: str, source: str, **values: str) -> str:
    """Publish a notebook and run it; return the run's id."""
    made = ann.post(f"{API}/workflows", json={"name": name, "notebook": book(source)})
    assert made.status_code == 201, made.text
    answer = ann.post(f"{API}/workflows/ann/{name}/runs", json={"parameters": values})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def state_of(ann: httpx.Client, run_id: str) -> str:
    """Return the state of a run."""
    return str(ann.get(f"{API}/runs/{run_id}").json()["state"])


def test_a_run_leaves_its_results_in_the_bucket_alone(platform_on_s3: Platform, server: S3Server) -> None:
    ann = platform_on_s3.api("ann")
    made = run(ann, "tells", TELLS)
    until(lambda: state_of(ann, made) in ENDED)
    assert "keys of the bucket: []" in ann.get(f"{API}/runs/{made}/report").text
    assert (server.root / "results" / "ours" / "runs" / made / "report.html").is_file()
    assert not list((platform_on_s3.state / "results").rglob("*.html"))


def test_a_bucket_that_is_away_loses_nothing(platform_on_s3: Platform, server: S3Server, tmp_path: Path) -> None:
    ann, gate = platform_on_s3.api("ann"), tmp_path / "gate"
    made = run(ann, "late", WAITS, gate=str(gate))
    until(lambda: state_of(ann, made) == "running")
    server.kill()
    away = time.monotonic()
    gate.touch()
    until(lambda: httpx.get(platform_on_s3.url + HEALTH, trust_env=False, timeout=30).status_code == 503)
    assert "AWS" not in httpx.get(platform_on_s3.url + HEALTH, trust_env=False, timeout=30).text
    while (left := away + AWAY_FOR - time.monotonic()) > 0:
        assert state_of(ann, made) == "running"
        time.sleep(min(left, 1))
    server.start()
    until(lambda: state_of(ann, made) in ENDED)
    assert state_of(ann, made) == "succeeded"
    assert ann.get(f"{API}/runs/{made}/artifacts/late.txt").text == "it came"
    until(lambda: httpx.get(platform_on_s3.url + HEALTH, trust_env=False, timeout=30).status_code == 200)
