"""Budgets by REST: set, reached by servers and runs, told how, given back, reported."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import nbformat
import pytest

from hub_ext.web.api.routes import BASE
from tests.functional.conftest import Platform

pytestmark = [pytest.mark.functional]

API = f"/services/workflows/{BASE}"
SLEEP = "import time\ntime.sleep(600)"
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(platform: Platform) -> Ask:
    """Ask the API as somebody."""

    def ask(name: str, verb: str, path: str, **options: Any) -> httpx.Response:
        return platform.api(name).request(verb, f"{API}{path}", **options)

    return ask


def until(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.1)
    return found


def mine(ask: Ask, name: str) -> dict[str, Any]:
    found = ask(name, "GET", "access")
    assert found.status_code == 200, found.text
    return next(one for one in found.json()["budgets"] if one["kind"] == "person")


def test_runs_up_to_the_budget_and_how_it_is_told(ask: Ask) -> None:
    notebook = dict(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SLEEP, id="one")]))
    made = ask("wilma", "POST", "workflows", json={"name": "sleeps", "notebook": notebook})
    assert made.status_code in (200, 201), made.text
    put = ask("clara", "PUT", "budgets/person/wilma", json={"runs": 1, "reason": "A start."})
    assert (put.status_code, put.json()["runs"], put.json()["changed_by"]) == (201, 1, "clara")

    first = ask("wilma", "POST", "workflows/wilma/sleeps/runs", json={})
    assert first.status_code == 201, first.text
    denied = ask("wilma", "POST", "workflows/wilma/sleeps/runs", json={})
    assert denied.status_code == 403
    assert "you have 1 of 1 runs at once" in denied.json()["detail"]
    assert "a curator" in denied.json()["hint"]
    assert (mine(ask, "wilma")["used"]["runs"], mine(ask, "wilma")["limits"]["runs"]) == (1, 1)

    assert ask("clara", "PUT", "budgets/person/wilma", json={"runs": 2}).status_code == 200
    second = ask("wilma", "POST", "workflows/wilma/sleeps/runs", json={})
    assert second.status_code == 201
    ask("clara", "PUT", "budgets/person/wilma", json={"runs": 1, "cpu_hours": 5})
    assert "2 of 1 runs" in ask("wilma", "POST", "workflows/wilma/sleeps/runs", json={}).json()["detail"]
    for run in (first, second):
        ask("wilma", "POST", f"runs/{run.json()['id']}/cancel")
    until(lambda: mine(ask, "wilma")["used"]["runs"] == 0)
    acts = ask("aude", "GET", "audit", params={"object": "budget:person:wilma"}).json()["items"]
    assert [act["action"] for act in acts] == ["budget.set"] * 3


def test_servers_up_to_the_budget(ask: Ask, platform: Platform) -> None:
    hub = platform.api("wanda")
    start = {"profile": "quick-look"}
    assert ask("clara", "PUT", "budgets/person/wanda", json={"servers": 1}).status_code == 201
    first = hub.post("/hub/api/users/wanda/servers/one", json=start)
    assert first.status_code in (201, 202), first.text
    until(lambda: hub.get("/hub/api/users/wanda").json()["servers"].get("one", {}).get("ready"))
    denied = hub.post("/hub/api/users/wanda/servers/two", json=start)
    assert denied.status_code == 403
    assert "you have 1 of 1 servers at once" in denied.json()["message"]
    used = until(lambda: found if (found := mine(ask, "wanda")["used"])["cpu_hours"] > 0 else None)
    assert used["servers"] == 1
    found = ask("wanda", "GET", "access").json()["profiles"]
    quick = next(one for one in found if one["name"] == "quick-look")
    assert quick["usable"]
    assert "1 of 1 servers" in quick["full"][0]
    assert quick["cost"]

    hub.delete("/hub/api/users/wanda/servers/one")
    until(lambda: mine(ask, "wanda")["used"]["servers"] == 0)
    assert hub.post("/hub/api/users/wanda/servers/two", json=start).status_code in (201, 202)
    until(lambda: hub.get("/hub/api/users/wanda").json()["servers"].get("two", {}).get("ready"))
    hub.delete("/hub/api/users/wanda/servers/two")
    until(lambda: mine(ask, "wanda")["used"]["servers"] == 0)
    usage = {one["name"]: one for one in ask("aude", "GET", "usage", params={"limit": 100}).json()["items"]}
    assert usage["wanda"]["servers"] >= 2
    assert ",wanda," in ask("aude", "GET", "usage.csv").text
    assert ask("wanda", "GET", "usage/person/wanda").json()["items"][-1]["cpu_hours"] > 0
    assert ask("wilma", "GET", "usage/person/wanda").json()["items"][-1]["cpu_hours"] == 0
    assert ask("wilma", "GET", "usage/everyone/everyone").status_code == 404
    assert "wanda" not in ask("wilma", "GET", "usage.csv").text


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("person/x", {"servers": -1}, 422, "servers"),
        ("person/x", {"servers": 1.5}, 422, "servers"),
        ("person/x", {"servers": "many"}, 422, "servers"),
        ("person/x", {"cpu_hours": 10**12}, 422, "cpu_hours"),
        ("person/x", {"soft": 0}, 422, "soft"),
        ("person/x", {"colour": "red"}, 422, "colour"),
        ("everyone/all", {}, 422, "name"),
        ("team/x", {}, 404, ""),
        ("person/%00", {}, 422, "name"),
        ("person/" + "x" * 300, {}, 422, "name"),
    ],
)
def test_bad_input_is_refused_by_field(ask: Ask, path: str, body: dict[str, Any], status: int, field: str) -> None:
    answer = ask("clara", "PUT", f"budgets/{path}", json=body)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert [one["field"] for one in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("month", ["2026-13", "now", "2026"])
def test_what_is_no_month_is_refused(ask: Ask, month: str) -> None:
    for path in ("usage", "usage.csv"):
        answer = ask("clara", "GET", path, params={"month": month})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "month")
