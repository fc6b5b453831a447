"""Event streams: whatever breaks a connection, nothing is missed and nothing is told twice."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import nbformat
import pytest

from tests.timing import Watch, kept_within

pytestmark = [pytest.mark.functional]

API = "/services/workflows/api/v1"
PATIENCE = 120.0

SLOW = """
import time
for number in range(10):
    print("line", number, flush=True)
    time.sleep(0.2)
"""


@dataclass(frozen=True)
class Told:
    id: str
    type: str
    data: Any


def events(client: httpx.Client, path: str, last: str | None = None, **params: str) -> Iterator[Told]:
    """Yield the events of a stream until it ends."""
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", f"{API}/{path}", headers=headers, params=params, timeout=PATIENCE) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if not line:
                if "event" in fields:
                    yield Told(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
                fields = {}
            elif line.startswith(":"):
                yield Told("", "comment", line)
            else:
                name, _, value = line.partition(": ")
                fields[name] = value


@pytest.fixture(scope="module")
def client(platform: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {platform.token('ada')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=60, trust_env=False) as made:
        notebook = dict(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SLOW, id="one")]))
        answer = made.post(f"{API}/workflows", json={"name": "slow-lines", "notebook": notebook})
        assert answer.status_code in (200, 201), answer.text
        yield made


def start(client: httpx.Client) -> str:
    answer = client.post(f"{API}/workflows/ada/slow-lines/runs", json={})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def texts(told: list[Told]) -> str:
    """Return all output that events tell of."""
    return "".join(str(one.data.get("text", "")) for one in told if one.type == "output")


def test_a_run_is_followed_to_its_end(client: httpx.Client) -> None:
    run = start(client)
    told = list(events(client, f"runs/{run}/events"))
    assert told[-1].type == "end"
    assert [one for one in told if one.data and one.type != "output" and one.data.get("state") == "succeeded"]
    assert texts(told) == "".join(f"line {number}\n" for number in range(10))
    ids = [one.id for one in told if one.id]
    assert len(ids) == len(set(ids))


def test_a_stream_that_breaks_goes_on_where_it_was(client: httpx.Client) -> None:
    run = start(client)
    whole: list[Told] = []
    last: str | None = None
    for _ in range(30):
        part: list[Told] = []
        for one in events(client, f"runs/{run}/events", last):
            part.append(one)
            if one.id and one.type == "output":
                break  # the connection goes away after each piece of output
        whole += part
        last = next((one.id for one in reversed(part) if one.id), last)
        if part and part[-1].type == "end":
            break
    assert whole[-1].type == "end"
    assert texts(whole) == "".join(f"line {number}\n" for number in range(10))


def test_a_service_that_dies_tells_the_rest_when_it_is_back(client: httpx.Client, platform: Any) -> None:
    run = start(client)
    whole: list[Told] = []
    killed = False
    deadline = time.monotonic() + PATIENCE
    while not (whole and whole[-1].type == "end") and time.monotonic() < deadline:
        last = next((one.id for one in reversed(whole) if one.id), None)
        with contextlib.suppress(httpx.HTTPError, AssertionError):  # it is away, or the proxy says that it is
            for one in events(client, f"runs/{run}/events", last):
                whole.append(one)
                if one.type == "output" and not killed:
                    killed = True
                    for worker in platform.recorded("service").children():
                        worker.kill()
        time.sleep(0.05)
    assert killed
    assert whole[-1].type == "end"
    assert texts(whole) == "".join(f"line {number}\n" for number in range(10))


def test_one_stream_tells_of_all_topics(client: httpx.Client) -> None:
    seen: dict[str, str] = {}
    stream = events(client, "events", topics="runs,workflows")
    run = ""
    deadline = time.monotonic() + PATIENCE
    for one in stream:
        if not run:
            run = start(client)  # once the stream is open: it tells what comes after
        if one.data and isinstance(one.data, dict) and one.data.get("id") == run:
            seen[str(one.data.get("state"))] = one.id
        if "succeeded" in seen or time.monotonic() > deadline:
            break
    assert "succeeded" in seen
    assert all(seen.values())


def test_a_quiet_stream_says_that_it_is_there(client: httpx.Client) -> None:
    stream = events(client, "events", topics="workflows")

    def next_sign() -> float:
        watch = Watch()
        assert any(one.type == "comment" for one in stream)
        return watch()

    kept_within(12, next_sign)


def test_another_person_s_runs_are_not_told(client: httpx.Client, platform: Any) -> None:
    headers = {"Authorization": f"token {platform.token('eve')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=60, trust_env=False) as eve:
        refused = eve.get(f"{API}/events", params={"topics": "runs:ada"})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "topics"
        run = start(client)
        assert eve.get(f"{API}/events", params={"topics": f"run:{run}"}).status_code == 404
        for one in events(eve, "events", topics="runs"):
            assert run not in json.dumps(one.data)
            if one.type == "comment" and client.get(f"{API}/runs/{run}").json()["state"] == "succeeded":
                break


@pytest.mark.parametrize("topics", ["", ",", "secrets", "run:", "runs:ada:x", ",".join(f"run:{n}" for n in range(21))])
def test_topics_that_cannot_be(client: httpx.Client, topics: str) -> None:
    answer = client.get(f"{API}/events", params={"topics": topics})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "topics"


@pytest.mark.parametrize("cursor", ["nonsense", "0" * 400, "-1", "😀"])
def test_a_cursor_that_is_none_of_ours(client: httpx.Client, cursor: str) -> None:
    answer = client.get(f"{API}/events", params={"topics": "workflows", "cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"
