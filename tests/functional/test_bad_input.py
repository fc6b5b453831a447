"""What people send that cannot be: a clear answer that names the field, and nothing half-made."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import nbformat
import pytest

pytestmark = [pytest.mark.functional]

API = "/services/workflows/api/v1"
JSON = {"Content-Type": "application/json"}


def book(parameters: str | None, *cells: str, version: int = 5) -> dict[str, Any]:
    """Return a notebook as JSON; its first cell is tagged `parameters`."""
    made = nbformat.v4.new_notebook()
    made.nbformat_minor = version
    for number, source in enumerate(([] if parameters is None else [parameters]) + list(cells)):
        cell = nbformat.v4.new_code_cell(source, id=f"c{number}")
        if version < 5:
            del cell["id"]
        made.cells.append(cell)
    if parameters is not None:
        made.cells[0].metadata["tags"] = ["parameters"]
    return dict(made)


@pytest.fixture(scope="module")
def client(platform: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {platform.token('boris')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=60, trust_env=False) as made:
        yield made


def publish(client: httpx.Client, name: str, notebook: Any, **fields: Any) -> httpx.Response:
    return client.post(f"{API}/workflows", json={"name": name, "notebook": notebook, **fields})


def count(client: httpx.Client) -> int:
    return int(client.get(f"{API}/workflows", params={"owner": "boris"}).json()["total"])


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    """Check that an answer is a problem with that status, whose text holds the words.

    What no JSON document of ours may hold at all (half a character, a number beyond 64 bits) is 400 in place of 422.
    """
    allowed = (400, 422) if status == 422 else (status,)
    assert answer.status_code in allowed, answer.text[:500]
    assert answer.headers["content-type"].startswith("application/problem+json")
    text = json.dumps(answer.json(), ensure_ascii=False).casefold()
    for word in words:
        assert word.casefold() in text, text


R = {"name": "ir", "language": "R", "display_name": "R"}
FOURTWO = {"nbformat": 4, "nbformat_minor": 2, "metadata": {}}
NOTEBOOKS: list[tuple[str, Any, int, list[str]]] = [
    ("not a notebook", {"hello": "world"}, 422, ["notebook"]),
    ("a list", [1, 2], 422, ["notebook"]),
    ("nothing", None, 422, ["notebook"]),
    ("a cell without a type", {**FOURTWO, "cells": [{"source": "x"}]}, 422, ["notebook", "cell"]),
    ("of the future", {"nbformat": 9, "nbformat_minor": 0, "metadata": {}, "cells": []}, 422, ["notebook"]),
    ("two parameters cells", None, 422, ["parameters"]),
    ("a syntax error", book("n = = 2"), 422, ["line"]),
    ("a keyword", book("class = 1"), 422, ["line"]),
    ("a call as a name", book("__import__('os') = 1"), 422, ["line"]),
    ("names that only running would tell", book("x = make()"), 422, ["line 1", "x"]),
    (
        "another language",
        {**book("n = 1"), "metadata": {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}}},
        415,
        ["R"],
    ),
]


@pytest.mark.parametrize(("what", "notebook", "status", "words"), NOTEBOOKS, ids=[row[0] for row in NOTEBOOKS])
def test_notebooks_that_cannot_be_published(
    client: httpx.Client, what: str, notebook: Any, status: int, words: list[str]
) -> None:
    if what == "two parameters cells":
        notebook = book("n = 1", "m = 2")
        notebook["cells"][1]["metadata"]["tags"] = ["parameters"]
    before = count(client)
    refused(publish(client, "cannot-be", notebook), status, *words)
    assert count(client) == before


def test_a_notebook_of_50_mb_is_refused_with_the_limit(client: httpx.Client) -> None:
    before = count(client)
    files = {"notebook": ("big.ipynb", b" " * 50_000_000)}
    refused(client.post(f"{API}/workflows", data={"name": "big"}, files=files), 413, "MiB")
    assert count(client) == before


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 5])
def test_notebooks_of_every_4_x_are_taken(client: httpx.Client, version: int) -> None:
    answer = publish(client, f"minor-{version}", book(f"n = {version}", "n", version=version))
    assert answer.status_code == 201, answer.text


def test_a_notebook_of_format_3_is_upgraded_or_refused_with_words(client: httpx.Client) -> None:
    cell = {
        "cell_type": "code",
        "language": "python",
        "input": ["1 + 1"],
        "outputs": [],
        "collapsed": False,
        "metadata": {},
    }
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "old"},
        "worksheets": [{"cells": [cell], "metadata": {}}],
    }
    answer = publish(client, "format-3", old)
    assert answer.status_code in (201, 422), answer.text
    if answer.status_code == 422:
        refused(answer, 422, "notebook")


def test_a_notebook_without_parameters_is_a_workflow_without_a_form(client: httpx.Client) -> None:
    assert publish(client, "no-parameters", book(None, "print('hello')")).status_code == 201
    assert client.get(f"{API}/workflows/boris/no-parameters").json()["schema"]["properties"] == {}


NAMES = ["", "a/b", "..", "a..b", "-a", "Großes", "🎉", "n" * 300, "a b", "API", "<script>", "a\x00b", None, 7, ["x"]]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_that_cannot_be(client: httpx.Client, name: Any) -> None:
    refused(client.post(f"{API}/workflows", json={"name": name, "notebook": book("n = 1")}), 422, "name")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "t" * 201),
        ("title", 5),
        ("visibility", "public"),
        ("tags", "weather"),
        ("tags", ["x" * 100]),
        ("groups", ["a-group-of-others"]),
        ("profile", "no-such-profile"),
        ("owner", "somebody-else"),
        ("colour", "red"),
    ],
)
def test_fields_that_cannot_be(client: httpx.Client, field: str, value: Any) -> None:
    fields = {field: value} | ({"visibility": "groups"} if field == "groups" else {})
    answer = publish(client, "bad-fields", book("n = 1"), **fields)
    refused(answer, 403 if field == "owner" else 422, field)


SOURCE = """
from datetime import date
from typing import Literal
n: int = 2  # A number [1..50]
x: float = 1.5
day: date = date(2024, 1, 31)
kind: Literal["a", "b"] = "a"
names: list[str] = []
needed: str
"""
GOOD = {"needed": "yes"}
VALUES: list[tuple[str, Any]] = [
    ("needed", None),
    ("n", "5"),
    ("n", True),
    ("n", 51),
    ("n", 0),
    ("n", 2.5),
    ("n", 10**400),
    ("x", "1.5"),
    ("x", 10**400),
    ("day", "2023-02-30"),
    ("day", "31.01.2024"),
    ("day", 7),
    ("kind", "c"),
    ("names", "a"),
    ("names", [1]),
    ("nn", 1),
    ("__class__", 1),
    ("needed", "a\ud800b"),
]


@pytest.mark.parametrize(("name", "value"), VALUES, ids=[f"{name}={value!r:.30}" for name, value in VALUES])
def test_values_that_cannot_be(client: httpx.Client, name: str, value: Any) -> None:
    assert publish(client, "typed", book(SOURCE, "n")).status_code in (200, 201)
    before = client.get(f"{API}/workflows/boris/typed/runs").json()["items"]
    body = json.dumps({"parameters": {**GOOD, name: value}}).encode()
    answer = client.post(f"{API}/workflows/boris/typed/runs", content=body, headers=JSON)
    refused(answer, 422, name)
    assert client.get(f"{API}/workflows/boris/typed/runs").json()["items"] == before


@pytest.mark.parametrize(
    "body", [b"{", b"NaN", b'{"parameters": {"x": NaN}}', b'{"parameters": []}', b"[]", b"\xff", b"[" * 100000]
)
def test_bodies_that_are_not_an_order(client: httpx.Client, body: bytes) -> None:
    assert publish(client, "typed", book(SOURCE, "n")).status_code in (200, 201)
    answer = client.post(f"{API}/workflows/boris/typed/runs", content=body, headers=JSON)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_publishing_one_name_twice_at_once_gives_two_versions(client: httpx.Client) -> None:
    answers: list[httpx.Response] = []
    start = threading.Barrier(4)

    def one(number: int) -> None:
        start.wait()
        answers.append(publish(client, "at-once", book(f"n = {number}", "n")))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 4
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3, 4]


def test_a_private_workflow_of_somebody_else_is_as_if_it_were_not_there(client: httpx.Client, platform: Any) -> None:
    assert publish(client, "mine-alone", book("n = 1", "n")).status_code in (200, 201)
    headers = {"Authorization": f"token {platform.token('eve')}"}
    with httpx.Client(base_url=platform.url, headers=headers, trust_env=False) as other:
        hidden = other.post(f"{API}/workflows/boris/mine-alone/runs", json={"parameters": {}})
        missing = other.post(f"{API}/workflows/boris/never-was/runs", json={"parameters": {}})
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["detail"].replace("mine-alone", "") == missing.json()["detail"].replace("never-was", "")


CELLS = [
    ("raises", "raise KeyError('nobody')", "failed", "KeyError"),
    ("leaves", "import sys; sys.exit(3)", "failed", "SystemExit"),
    ("dies", "import os; os._exit(7)", "failed", "exit code 7"),
    ("kills its kernel", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "failed", "kernel"),
    ("asks", "input('?')", "failed", "input"),
    ("forks", "import os\npid = os.fork()\nif pid == 0:\n    import time; time.sleep(300)", "succeeded", ""),
    ("prints a lot", "for _ in range(30000): print('x' * 1000)", "succeeded", ""),
]


@pytest.mark.parametrize(("what", "source", "state", "words"), CELLS, ids=[row[0] for row in CELLS])
def test_cells_that_misbehave_end_in_a_true_state(
    client: httpx.Client, what: str, source: str, state: str, words: str
) -> None:
    name = f"cell-{what.replace(' ', '-')}"
    assert publish(client, name, book("n = 1", source)).status_code in (200, 201)
    run = client.post(f"{API}/workflows/boris/{name}/runs", json={"parameters": {}}).json()
    deadline = time.monotonic() + 90
    while run["state"] in ("queued", "starting", "running") and time.monotonic() < deadline:
        time.sleep(0.2)
        run = client.get(f"{API}/runs/{run['id']}").json()
    assert run["state"] == state, run
    assert words in json.dumps(run)
    assert client.get(f"{API}/runs/{run['id']}/report").status_code == 200
    assert client.get(f"{API}/health").status_code == 200
