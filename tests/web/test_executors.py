"""The door for executors: whose token is good for what, and what of that which comes in is taken."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.runs.mirror import Mirror
from hub_ext.runs.service import RunService
from hub_ext.settings import HubExt
from hub_ext.web.context import Context
from hub_ext.web.executors import listening
from tests.runs.door import Door, Launched

Launch = Callable[..., Launched]

EVENT = b'{"t":0.1,"type":"begun"}\n'
REQUESTS = [
    ("POST", "begin", b'{"attempt": "a1"}'),
    ("POST", "events?offset=0", EVENT),
    ("POST", "manifest", b'{"files": []}'),
    ("PUT", "files/report", b"<p>"),
    ("PUT", "artifacts/a.csv", b"a"),
    ("PUT", "outcome", b'{"state": "succeeded"}'),
]


@contextmanager
def begun(launched: Launched, door: Door) -> Iterator[httpx.Client]:
    with launched.client(door) as client:
        assert client.post("begin", json={"attempt": "a1"}).status_code == 200
        yield client


def end(database: Database, launched: Launched, state: str = "failed") -> None:
    with database.write() as session:
        session.get_one(Run, launched.run_id).state = state


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=lambda one: str(one)[:20])
def test_nobody_but_the_executor_of_an_active_run_gets_in(
    door: Door, launched: Launch, database: Database, settings: HubExt, method: str, path: str, body: bytes
) -> None:
    mine, other = launched("1"), launched("2", name="other")

    def status(token: str | None, header: str | None = None) -> int:
        with mine.client(door, token) as client:
            headers = {"Authorization": header} if header is not None else {}
            answer = client.request(method, path, content=body, headers=headers)
            assert answer.json()["type"].startswith("urn:hub-ext:problem:")
            assert mine.token not in answer.text
            return answer.status_code

    assert status(None, "") == 401
    assert status(other.token) == 401
    assert status("0" * 32) == 401
    assert status(None, f"token {mine.token}") == 401  # as people show theirs
    assert status(mine.token[:-1]) == 401
    for header in ("Bearer", "Bearer x", f"Bearer {mine.token} x", f"Basic {mine.token}"):
        assert status(None, header) == 401
    end(database, mine)
    assert status(mine.token) == 410
    folder = Mirror(settings.launches).folder(mine.id)
    assert not folder.events.exists()
    assert not folder.outcome.exists()


def test_the_token_of_an_earlier_launch_of_a_run_is_no_good_any_more(
    door: Door, launched: Launch, database: Database
) -> None:
    mine = launched("1")
    with database.write() as session:
        session.get_one(Run, mine.run_id).launch_id = "l-another"
    with mine.client(door) as client:
        assert client.post("begin", json={"attempt": "a1"}).status_code == 410


@pytest.mark.parametrize(
    "path", ["/", "/health", "/launches/", "/launches/x/begin", "/api/v1/runs", "/services/workflows/"]
)
def test_nothing_else_is_behind_the_door(door: Door, launched: Launch, path: str) -> None:
    headers = {"Authorization": f"Bearer {launched('1').token}"}
    assert httpx.get(f"{door.url}{path}", headers=headers, trust_env=False).status_code == 401
    assert httpx.post(f"{door.url}{path}", headers=headers, trust_env=False).status_code == 401


def test_an_executor_is_told_what_to_run_and_once_only(door: Door, launched: Launch, settings: HubExt) -> None:
    mine = launched(
        "print(key)", parameters="from pydantic import SecretStr\nkey: SecretStr", values={"key": "hunter2"}
    )
    with mine.client(door) as client:
        told = client.post("begin", json={"attempt": "a1"}).json()
        again = client.post("begin", json={"attempt": "a1"}).json()
        other = client.post("begin", json={"attempt": "b2"})
    assert told == again
    assert list(told["secrets"].values()) == ["hunter2"]
    assert told["spec"]["kernel"][0] == "python"
    assert (told["spec"]["memory_held"], told["spec"]["repeatable"], told["offset"]) == (True, False, 0)
    assert json.loads(told["notebook"])["nbformat"] == 4
    assert other.status_code == 409
    assert b"hunter2" not in b"".join(one.read_bytes() for one in settings.launches.rglob("*") if one.is_file())


def test_a_run_that_may_be_repeated_is_told_to_another_which_goes_on_after_the_events_of_the_first(
    door: Door, launched: Launch, settings: HubExt, publish: Callable[..., str]
) -> None:
    mine = launched("1", about={"repeatable": True})
    folder = Mirror(settings.launches).folder(mine.id)
    with mine.client(door) as client:
        client.post("begin", json={"attempt": "a1"})
        client.post("events?offset=0", content=EVENT)
        client.post("manifest", json={"files": [["a", 1]]})
        client.put("artifacts/a", content=b"x")
        told = client.post("begin", json={"attempt": "b2"}).json()
        assert told["offset"] == folder.events.stat().st_size > len(EVENT)
        assert client.post(f"events?offset={told['offset']}", content=EVENT).json()["size"] == told["offset"] + len(
            EVENT
        )
    assert [event["type"] for _, event in folder.read_events(0)] == ["begun", "repeated", "begun"]
    assert list(folder.work.iterdir()) == []


def test_a_run_that_was_cancelled_is_told_to_nobody_and_one_that_runs_hears_of_it(
    door: Door, launched: Launch, service: RunService, amy: Any
) -> None:
    early, late = launched("1"), launched("2", name="late")
    with begun(late, door) as client:
        assert client.post("events?offset=0").json() == {"size": 0, "cancel": False}
        for one in (early, late):
            service.cancel(amy, one.run_id)
        assert client.post("events?offset=0", content=EVENT).json() == {"size": len(EVENT), "cancel": True}
    with early.client(door) as client:
        assert client.post("begin", json={"attempt": "a1"}).status_code == 410


def test_events_are_taken_once_whatever_is_sent_again(door: Door, launched: Launch, settings: HubExt) -> None:
    mine = launched("1")
    with begun(mine, door) as client:
        size = len(EVENT)
        assert client.post("events?offset=0", content=EVENT).json()["size"] == size
        assert client.post("events?offset=0", content=EVENT).json()["size"] == size  # its answer was lost
        assert client.post(f"events?offset={size + 7}", content=EVENT).json()["size"] == size
        assert client.post(f"events?offset={size}", content=EVENT * 2).json()["size"] == 3 * size
    assert Mirror(settings.launches).folder(mine.id).events.read_bytes() == EVENT * 3


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", EVENT, 422),
        ("?offset=-1", EVENT, 422),
        ("?offset=x", EVENT, 422),
        ("?offset=1&offset=0", b"no line", 422),
        ("?offset=0", b"no line at its end", 422),
        ("?offset=0", b"no\njson\nat\nall\n", 422),
        ("?offset=0", b'{"type": "state"}\n' * 4, 422),
        ("?offset=0", b'{"type": "x\\nevent: y"}\n' * 4, 422),
        ("?offset=0", b"[" * 100_000 + b"\n[\n[\n[\n", 422),
        ("?offset=0", b"\xff\xfe\n" * 4, 422),
    ],
)
def test_what_are_no_events_is_refused(
    door: Door, launched: Launch, settings: HubExt, query: str, body: bytes, status: int
) -> None:
    mine = launched("1")
    with begun(mine, door) as client:
        assert client.post(f"events{query}", content=body).status_code == status
    assert not Mirror(settings.launches).folder(mine.id).has_begun()


def test_events_have_an_end(door: Door, launched: Launch, context: Context, settings: HubExt) -> None:
    context.settings.output_limit = 1024
    mine = launched("1")
    line = b'{"type":"output","text":"' + b"x" * 2**20 + b'"}\n'
    with begun(mine, door) as client:
        codes = [client.post(f"events?offset={number * len(line)}", content=line).status_code for number in range(18)]
        assert codes[:17] == [*[200] * 16, 413]
        assert client.post("events?offset=0", content=b'{"type": "x"}\n' * 2**21).status_code in (400, 413)
    assert Mirror(settings.launches).folder(mine.id).events.stat().st_size <= 16 * 2**20 + 1024


def test_files_are_chosen_before_they_come(door: Door, launched: Launch, context: Context, settings: HubExt) -> None:
    context.settings.artifacts_limit = 10
    mine = launched("1")
    names = [
        ["a.csv", 3],
        ["deep/er/ü 😀.txt", 2],
        ["../../up", 1],
        ["/etc/x", 1],
        ["big", 11],
        ["ne\nw", 1],
        ["\udcff", 1],
    ]
    with begun(mine, door) as client:
        answer = client.post("manifest", content=json.dumps({"files": names}))
        assert answer.json() == {"wanted": ["a.csv", "deep/er/ü 😀.txt"]}
        assert client.post("manifest", content=json.dumps({"files": names})).json() == answer.json()
        assert client.post("manifest", json={"files": [["other", 1]]}).status_code == 409
        assert client.put("artifacts/a.csv", content=b"abc").status_code == 200
        assert client.put("artifacts/a.csv", content=b"xyz").status_code == 200  # its answer was lost
        assert client.put("artifacts/a.csv", content=b"abcd").status_code == 422
        assert client.put("artifacts/deep/er/%C3%BC%20%F0%9F%98%80.txt", content=b"xy").status_code == 200
        for path in ("..%2F..%2Fup", "%2Fetc%2Fx", "big", "never", "deep/../a.csv", "deep%2Fer"):
            assert client.put(f"artifacts/{path}", content=b"x").status_code == 422, path
    folder = Mirror(settings.launches).folder(mine.id)
    assert sorted(path.relative_to(folder.work).as_posix() for path, _ in folder.files()) == [
        "a.csv",
        "deep/er/ü 😀.txt",
    ]
    assert (folder.work / "a.csv").read_bytes() == b"xyz"
    assert folder.left_out.read_text() == (
        "left out: 4 files whose name cannot be kept, 1 file over the limit of 10 bytes in all"
    )
    assert not list(folder.root.glob("incoming-*"))


def test_a_file_cannot_be_below_another(door: Door, launched: Launch) -> None:
    with begun(launched("1"), door) as client:
        client.post("manifest", json={"files": [["a", 1], ["a/b", 1]]})
        assert client.put("artifacts/a", content=b"x").status_code == 200
        assert client.put("artifacts/a/b", content=b"x").status_code == 409
        assert client.put("artifacts/a", content=b"y").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"files": 1}',
        b'{"files": [["a"]]}',
        b'{"files": [["a", -1]]}',
        b'{"files": [["a", true]]}',
        b'{"files": [[1, 1]]}',
        b'{"files": [["a", 1], ["a", 2]]}',
        b'{"files": [["a", 1e400]]}',
        json.dumps({"files": [[str(n), 1] for n in range(20_001)]}).encode(),
        b"[" * 100_000,
    ],
    ids=lambda body: body[:30].decode(),
)
def test_what_is_no_list_of_files_is_refused(door: Door, launched: Launch, body: bytes) -> None:
    with begun(launched("1"), door) as client:
        assert client.post("manifest", content=body).status_code in (400, 422)


@pytest.mark.parametrize(("name", "size"), [("picture", 8 * 2**20 + 1), ("log", 2**20 + 1)])
def test_a_file_that_is_too_large_is_refused_before_it_has_come(
    door: Door, launched: Launch, settings: HubExt, name: str, size: int
) -> None:
    mine = launched("1")
    with begun(mine, door) as client:
        assert client.put(f"files/{name}", content=b"x" * size).status_code == 413
        assert client.put(f"files/{name}", content=b"x").status_code == 200
        assert client.put("files/outcome", content=b"x").status_code == 422
        assert client.put("files/report", content=iter([b"x"])).status_code in (400, 422)  # it does not say how long


def test_a_file_that_is_cut_in_the_middle_leaves_nothing_and_comes_again(
    door: Door, launched: Launch, settings: HubExt
) -> None:
    mine = launched("1")
    folder = Mirror(settings.launches).folder(mine.id)
    with begun(mine, door) as client:
        head = (
            f"PUT /launches/{mine.id}/files/report HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {mine.token}\r\nContent-Length: 1000000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", door.port)) as cut:
            cut.sendall(head.encode() + b"x" * 500_000)
        assert client.put("files/report", content=b"<p>whole").status_code == 200
        assert folder.report.read_bytes() == b"<p>whole"
        door.shut()
        assert not list(folder.root.glob("incoming-*"))


def test_the_first_outcome_counts_and_nothing_comes_after_it(door: Door, launched: Launch, settings: HubExt) -> None:
    mine = launched("1")
    folder = Mirror(settings.launches).folder(mine.id)
    with begun(mine, door) as client:
        for body in (b"", b"[]", b'{"state": "lost"}', b'{"state": ["succeeded"]}', b"[" * 100_000):
            assert client.put("outcome", content=body).status_code in (400, 422), body[:30]
        assert client.put("outcome", json={"state": "failed", "reason": "first"}).status_code == 200
        assert client.put("outcome", json={"state": "succeeded"}).status_code == 200  # its answer was lost
        assert client.post("events?offset=0", content=EVENT).status_code == 410
        assert client.put("files/report", content=b"x").status_code == 410
    assert (folder.read_outcome() or {})["reason"] == "first"


@pytest.mark.parametrize("url", ["", "8882", "http://host", "http://host:0", "http://host:65536", "ftp://host:1"])
def test_an_address_that_pods_cannot_use_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="pods_executors_url"):
        listening(url)


def test_the_door_is_at_the_address_that_pods_use() -> None:
    assert listening("http://10.1.2.3:8882") == ("10.1.2.3", 8882)
    assert listening("http://[fd00::1]:80/") == ("fd00::1", 80)
    assert listening("http://hub-ext-service.hub-ext:8882") == ("", 8882)
