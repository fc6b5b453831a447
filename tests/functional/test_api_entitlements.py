"""Access by REST: asked for, granted, used, ended; in files; and what is sent in bad faith or at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import nbformat
import pytest

from hub_ext.web.api.routes import BASE
from tests.functional.conftest import Platform

pytestmark = [pytest.mark.functional]

API = f"/services/workflows/{BASE}"
PROFILE = "machine-learning"  # for modellers, and nobody here is one


def days(count: float) -> str:
    return (datetime.now(UTC) + timedelta(days=count)).isoformat()


@pytest.fixture
def ask(platform: Platform) -> Any:
    """Ask the API as somebody."""

    def ask(name: str, verb: str, path: str, **options: Any) -> httpx.Response:
        return platform.api(name).request(verb, f"{API}{path}", **options)

    return ask


@pytest.fixture(scope="module")
def workflow(platform: Platform) -> str:
    """A workflow for everybody that runs with a profile that nobody may use."""
    cell = nbformat.v4.new_code_cell("1", id="one")
    notebook = dict(nbformat.v4.new_notebook(cells=[cell]))
    body = {"name": "trains", "notebook": notebook, "profile": PROFILE, "visibility": "everyone"}
    made = platform.api("amelie").post(f"{API}workflows", json=body)
    assert made.status_code in (200, 201), made.text
    return "workflows/amelie/trains"


def grant(ask: Any, name: str, until: str, *, by: str = "clara", kind: str = "person") -> dict[str, Any]:
    body = {"profile": PROFILE, "kind": kind, "name": name, "until": until, "reason": "For tests."}
    made = ask(by, "POST", "entitlements", json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def test_from_a_denial_by_a_request_to_a_run_and_back(ask: Any, workflow: str) -> None:
    def run() -> httpx.Response:
        return ask("nora", "POST", f"{workflow}/runs", json={})

    denied = run()
    assert denied.status_code == 403
    assert "Ask for access" in denied.json()["hint"]
    assert not ask("nora", "GET", f"profiles/{PROFILE}").json()["usable"]

    asked = ask("nora", "POST", "access-requests", json={"profile": PROFILE, "reason": "Trains."})
    assert asked.status_code == 201, asked.text
    again = ask("nora", "POST", "access-requests", json={"profile": PROFILE, "reason": "Trains!"})
    assert (again.status_code, again.json()["id"]) == (200, asked.json()["id"])
    waiting = ask("clara", "GET", "access-requests", params={"state": "waiting", "answerable": True, "user": "nora"})
    assert [one["id"] for one in waiting.json()["items"]] == [asked.json()["id"]]

    path = f"access-requests/{asked.json()['id']}"
    answered = ask("clara", "POST", f"{path}/answer", json={"verdict": "grant", "until": days(30)})
    assert answered.status_code == 200, answered.text
    late = ask("admin", "POST", f"{path}/answer", json={"verdict": "refuse", "words": "No."})
    assert late.status_code == 409
    assert "by clara" in late.json()["detail"]

    allowed = run()
    assert allowed.status_code == 201, allowed.text
    found = ask("nora", "GET", "explanations", params={"profile": PROFILE}).json()["items"][0]
    assert found["allowed"]
    assert "clara granted it to nora" in " ".join(part["words"] for part in found["parts"])
    who = ask("aude", "GET", f"profiles/{PROFILE}/access").json()
    assert [group["name"] for group in who["groups"]] == ["modellers"]
    assert ("nora", "clara") in [(one["name"], one["granted_by"]) for one in who["items"]]

    ended = ask("clara", "POST", f"entitlements/{answered.json()['entitlement']}/end", json={"reason": "Enough."})
    assert ended.status_code == 200
    over = run()
    assert over.status_code == 403
    assert "Your access ended on" in over.json()["detail"]
    acts = ask("aude", "GET", "audit", params={"object": f"profile:{PROFILE}", "limit": 100}).json()["items"]
    assert {"access.ask", "entitlement.grant", "entitlement.shorten"} <= {act["action"] for act in acts}
    ask("nora", "POST", f"runs/{allowed.json()['id']}/cancel")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("entitlements", {"until": "2020-01-01"}, "until"),
        ("entitlements", {"until": "tomorrow"}, "until"),
        ("entitlements", {"until": 5}, "until"),
        ("entitlements", {"until": days(-1)}, "until"),
        ("entitlements", {"until": days(3000)}, "until"),
        ("entitlements", {"kind": "everybody"}, "kind"),
        ("entitlements", {"profile": "nothing"}, "profile"),
        ("entitlements", {"name": "clara"}, "name"),
        ("entitlements", {"reason": ""}, "reason"),
        ("entitlements", {"more": 1}, "more"),
        ("entitlements", {"name": "a\u0000b"}, "name"),
        ("access-requests", {"until": days(-1)}, "until"),
        ("access-requests", {"reason": "x" * 3000}, "reason"),
        ("access-requests", {"profile": ["standard"]}, "profile"),
    ],
)
def test_bad_input_is_refused_by_field(ask: Any, path: str, body: dict[str, Any], field: str) -> None:
    good: dict[str, Any] = {"profile": PROFILE, "reason": "Why."}
    if path == "entitlements":
        good |= {"kind": "person", "name": "max", "until": days(1)}
    answer = ask("clara", "POST", path, json=good | body)
    assert answer.status_code == 422, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_a_notebook_server_s_token_neither_asks_nor_entitles(platform: Platform, ask: Any) -> None:
    scopes = ["access:services!service=workflows", "read:users:name!user", "read:users:groups!user"]
    own = platform.api("clara", scopes)
    body = {"profile": PROFILE, "reason": "The notebook wants it."}
    assert own.post(f"{API}access-requests", json=body).status_code == 403
    body |= {"kind": "person", "name": "max", "until": days(1)}
    assert own.post(f"{API}entitlements", json=body).status_code == 403
    head = {"Content-Type": "text/csv"}
    assert own.post(f"{API}entitlements/import", content="profile,kind\n", headers=head).status_code == 403
    assert own.get(f"{API}profiles/{PROFILE}/access").status_code == 403


def test_ten_curators_at_once_and_one_answer_holds(ask: Any) -> None:
    asked = ask("otto", "POST", "access-requests", json={"profile": PROFILE, "reason": "Trains."}).json()
    path = f"access-requests/{asked['id']}/answer"
    names = ["clara", "admin"]

    def answer(number: int) -> httpx.Response:
        body = {"verdict": "grant", "until": days(number + 1)} if number % 2 else {"verdict": "refuse", "words": "No."}
        return ask(names[number % 2], "POST", path, json=body)

    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(answer, range(10)))
    assert sorted(one.status_code for one in found) == [200] + [409] * 9
    held = next(one.json() for one in found if one.status_code == 200)
    given = ask("clara", "GET", "entitlements", params={"name": "otto"}).json()["items"]
    assert len(given) == (1 if held["state"] == "granted" else 0)


# --- files -----------------------------------------------------------------------------------------------------------


def load(ask: Any, text: str | bytes, **headers: str) -> httpx.Response:
    return ask("clara", "POST", "entitlements/import", content=text, headers={"Content-Type": "text/csv", **headers})


def test_a_file_in_and_out(ask: Any) -> None:
    until = days(12)
    rows = "".join(f"{PROFILE};person;filed-{number};{until};=cmd|' /C calc'!A0\r\n" for number in range(2500))
    text = b"\xef\xbb\xbf" + f"profile;kind;name;until;reason\r\n{rows}".encode()
    found = load(ask, text)
    assert found.status_code == 200, found.text
    assert (found.json()["rows"], found.json()["added"]) == (2500, 2500)
    assert load(ask, text).json()["unchanged"] == 2500
    out = ask("clara", "GET", "entitlements.csv", params={"profile": PROFILE})
    assert out.headers["content-type"] == "text/csv; charset=utf-8"
    lines = out.text.splitlines()
    assert sum("filed-" in line for line in lines) == 2500
    assert all(",'=cmd" in line for line in lines if "filed-" in line)
    assert load(ask, out.content).json()["added"] == 0
    assert ask("filed-7", "GET", "entitlements.csv").text.count("filed-") == 1


def test_a_file_with_faults_names_line_and_column_and_nothing_is_kept(ask: Any) -> None:
    rows = [f"{PROFILE},person,faulty-{number},{days(5)},x" for number in range(30)]
    rows[11] = f"{PROFILE},person,faulty-11,tomorrow,x"
    rows[20] = f"nothing,person,faulty-20,{days(5)},x"
    answer = load(ask, "profile,kind,name,until,reason\n" + "\n".join(rows))
    assert answer.status_code == 422
    assert [(one["field"], one["line"]) for one in answer.json()["errors"]] == [("until", 13), ("profile", 22)]
    assert ask("clara", "GET", "entitlements", params={"name": "faulty-1"}).json()["items"] == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "text/csv", 422),
        (b"\xff\xfe\x00", "text/csv", 422),
        (b"profile,kind,name,until,reason\n", "text/csv", 200),
        (b"profile,kind,name,until,reason\n", "application/json", 415),
        (b'"', "text/csv", 422),
        (b"profile,kind,name,until,reason\n" + b"," * 3_000_000, "text/csv", 422),
    ],
    ids=["empty", "binary", "header", "json", "open", "wide"],
)
def test_what_is_no_file_of_entitlements(ask: Any, content: bytes, kind: str, status: int) -> None:
    answer = ask("clara", "POST", "entitlements/import", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text


def test_who_may_not_import_is_told_before_she_has_sent_it(ask: Any, platform: Platform) -> None:
    answer = ask("nora", "POST", "entitlements/import", content=b"x" * 5_000_000, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 403
    stranger = httpx.post(f"{platform.url}{API}entitlements/import", content=b"x" * 5_000_000, trust_env=False)
    assert stranger.status_code == 401


def test_pages_follow_each_other(ask: Any) -> None:
    for number in range(5):
        grant(ask, f"paged-{number}", days(40 + number), kind="group")
    seen: list[str] = []
    cursor = None
    while True:
        params = {"profile": PROFILE, "kind": "group", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = ask("aude", "GET", "entitlements", params=params).json()
        seen += [one["name"] for one in page["items"] if one["name"].startswith("paged-")]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"paged-{number}" for number in range(5)]
