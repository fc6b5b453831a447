"""The Hub is ready while it answers and its databases do; it is told which one does not, without its address."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from hub_ext.deployed import ready
from hub_ext.deployed.ready import Ask, AsksDatabase, Readiness, tell, tell_of_hub
from tests.postgresql import Cluster

SECONDS = 30.0


@contextmanager
def told(parts: dict[str, Ask]) -> Iterator[str]:
    server = tell(parts, 0)
    try:
        yield f"http://127.0.0.1:{server.server_port}{ready.PATH}"
    finally:
        server.shutdown()
        server.server_close()


def ask(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status), json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until(url: str, status: int) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while (found := ask(url))[0] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found[1]


def test_a_database_that_is_away_is_named_and_ready_comes_back_with_it(postgresql: Cluster) -> None:
    url = postgresql.make()
    with closing(AsksDatabase(url)) as asks, told({"hub": lambda: "", "the Hub's database": asks}) as address:
        assert until(address, 200)["status"] == "ok"
        with postgresql.away(url):
            found = until(address, 503)
            assert found["status"] == "unavailable"
            assert {part["name"]: part["ok"] for part in found["parts"]} == {"hub": True, "the Hub's database": False}
            assert "not currently accepting" not in json.dumps(found)
            assert url.rpartition("/")[2] not in json.dumps(found)
        until(address, 200)


def test_a_hub_that_does_not_answer_is_not_ready() -> None:
    server = tell_of_hub({}, 0)
    try:
        status, found = ask(f"http://127.0.0.1:{server.server_port}{ready.PATH}")
    finally:
        server.shutdown()
        server.server_close()
    assert status == 503
    assert [part["name"] for part in found["parts"]] == ["hub"]


def test_what_hangs_is_told_in_time_and_not_asked_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "_FRESH", 0.0)
    goes_on, asked = threading.Event(), []

    def hangs() -> str:
        asked.append(1)
        goes_on.wait(SECONDS)
        return ""

    readiness = Readiness({"slow": hangs, "quick": lambda: ""}, patience=0.1)
    try:
        for _ in range(3):
            assert readiness.look() == {"slow": "It does not answer in time.", "quick": ""}
        assert len(asked) == 1
        goes_on.set()
        deadline = time.monotonic() + SECONDS
        while readiness.look()["slow"]:
            assert time.monotonic() < deadline
    finally:
        goes_on.set()
        readiness.close()


def test_nothing_else_is_answered_there() -> None:
    with told({"hub": lambda: ""}) as address, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address.replace(ready.PATH, "/hub/login"), timeout=10)
    caught.value.close()
    assert caught.value.code == 404
