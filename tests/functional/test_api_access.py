"""Who may do what, for every address of the API: one table, and a row for each.

A stranger has no token. A colleague is signed in, and the objects are not hers and not shared with her. The owner is
who they belong to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import nbformat
import pytest

from hub_ext.governance.curation import read_profile
from hub_ext.web.api.routes import BASE, ROUTES

pytestmark = [pytest.mark.functional]

API = f"/services/workflows/{BASE}"
ENDED = {"succeeded", "failed", "cancelled", "lost"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
SOURCE = f"""
import base64
from IPython.display import Image, display
display(Image(data=base64.b64decode("{PNG}")))
open("out.csv", "w").write("a,b")
"""


PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: who-may-what, version: {number}, title: Who may what, owner: clara}}
spec:
  description: For tests; nobody may use it.
  image: notebooks/standard
  resources: {{cpu: {{request: 0.5, limit: 1}}, memory: {{request: 1Gi, limit: 2Gi}}}}
"""


def book(source: str) -> dict[str, Any]:
    return dict(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="one")]))


def maintenance() -> dict[str, str]:
    return {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat(), "why": "To test."}


@dataclass(frozen=True)
class Row:
    """What one operation answers to whom.

    Attributes:
        operation: Verb and template.
        owner: Status for who the object belongs to (or who has the role).
        colleague: Status for somebody else who is signed in.
        stranger: Status without a sign-in.
        options: Makes the request's body, query and headers.
        owned_by: Who counts as the owner.
        number: Number of the version that it is about.
        name: Name that it is about; empty for the workflow's, or that of a profile.
    """

    operation: str
    owner: int
    colleague: int
    stranger: int = 401
    options: Callable[[World], dict[str, Any]] = field(default=lambda world: {})
    owned_by: str = "ada"
    number: int = 1
    name: str = ""

    @property
    def verb(self) -> str:
        return self.operation.partition(" ")[0]

    @property
    def template(self) -> str:
        return self.operation.partition(" ")[2]


@dataclass(frozen=True)
class World:
    """A private workflow of Ada's, with a run that has ended; versions of a profile that Clara proposed."""

    url: str
    tokens: dict[str, str]
    workflow: str
    run: str
    notebook: dict[str, Any]
    exception: str = "e-none"
    entitlement: str = "n-none"
    request: str = "q-none"
    start: str = "s-none"

    def ask(self, row: Row, name: str | None) -> httpx.Response:
        shipped = row.template in ("profiles/{name}", "profiles/{name}/access")
        name_of_it = row.name or ("standard" if shipped else self.workflow)
        parts = {"owner": "ada", "name": name_of_it, "number": row.number, "start_id": self.start}
        ids = {"run_id": self.run, "exception_id": self.exception, "entitlement_id": self.entitlement}
        path = row.template.format(**parts, **ids, request_id=self.request, path="out.csv", kind="person")
        headers = {"Authorization": f"token {self.tokens[name]}"} if name else {}
        options = row.options(self)
        with (
            httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False) as client,
            client.stream(row.verb, f"{API}{path}", **options) as answer,
        ):
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.read()
            return answer


def publish_for_ada(world: World) -> dict[str, Any]:
    return {"json": {"name": world.workflow, "owner": "ada", "notebook": world.notebook}}


def of_the_run(world: World) -> dict[str, Any]:
    return {"params": {"topics": f"run:{world.run}"}}


def profile_file(number: int) -> dict[str, Any]:
    """Return a version of a profile that nobody may use, as the body of a proposal."""
    text = PROFILE.format(number=number)
    return {"json": {"content": text, "message": "For these tests."}}


def approval_of_the_first(world: World) -> dict[str, Any]:
    first = read_profile(PROFILE.format(number=1))
    return {"json": {"verdict": "approve", "digest": first.digest}}


def end_of_it(world: World) -> dict[str, Any]:
    return {"json": {"removal": "2999-01-01"}}


def exception_for_it(world: World) -> dict[str, Any]:
    until = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    return {"json": {"profile": "who-may-what", "rule": "cpu-limit", "reason": "To test.", "until": until}}


def later() -> str:
    return (datetime.now(UTC) + timedelta(days=9)).isoformat()


def entitlement_to_grant(name: str) -> dict[str, Any]:
    wanted = {"profile": "machine-learning", "kind": "person", "name": name, "until": later()}
    return {"json": wanted | {"reason": "To test."}}


def file_of_entitlements(world: World) -> dict[str, Any]:
    text = f"profile,kind,name,until,reason\nmachine-learning,person,who-imports,{later()},To test.\n"
    return {"content": text, "headers": {"Content-Type": "text/csv"}}


def refusal(world: World) -> dict[str, Any]:
    return {"json": {"verdict": "refuse", "words": "Tested."}}


def question(world: World) -> dict[str, Any]:
    return {"json": {"profile": "machine-learning", "reason": "To test."}}


W = "workflows/{owner}/{name}"
R = "runs/{run_id}"
P = "profiles/{name}/versions"
V = f"{P}/{{number}}"


def blocking(world: World) -> dict[str, Any]:
    return {"json": {"reason": "To test."}}


def inheritance(world: World) -> dict[str, Any]:
    return {"json": {"heir": "eve"}}


ROWS = [
    Row("GET profiles", 200, 200),
    Row("GET profiles/{name}", 200, 200),
    Row("GET catalog", 200, 403, owned_by="rene"),
    Row("GET images", 200, 403, owned_by="aude"),
    Row("POST images/verification", 200, 403, owned_by="clara"),
    Row("POST catalog/sync", 409, 403, owned_by="clara"),  # profiles come from a folder on this platform
    Row("GET profile-versions", 200, 403, owned_by="aude"),
    Row(
        "POST profile-checks",
        200,
        403,
        owned_by="clara",
        options=lambda world: {"json": {"content": PROFILE.format(number=9)}},
    ),
    Row(f"GET {P}", 200, 403, owned_by="rene"),
    Row(f"POST {P}", 200, 403, owned_by="clara", options=lambda world: profile_file(1)),  # it is there already
    Row(f"GET {P}/newest", 200, 403, owned_by="clara"),
    Row(f"GET {V}", 200, 403, owned_by="aude"),
    Row(f"GET {V}/file", 200, 403, owned_by="clara"),
    Row(f"GET {V}/checks", 200, 403, owned_by="clara"),
    Row(f"POST {V}/rendering", 200, 403, owned_by="rene"),
    Row(f"POST {V}/approvals", 200, 403, owned_by="admin", options=approval_of_the_first),
    Row(f"POST {V}/withdrawal", 200, 403, owned_by="clara", number=2),
    Row(f"POST {V}/deprecation", 200, 403, owned_by="clara", options=end_of_it),
    Row("GET explanations", 200, 403, owned_by="clara", options=lambda world: {"params": {"user": "ada"}}),
    Row("GET exceptions", 200, 403, owned_by="rene"),
    Row("POST exceptions", 201, 403, owned_by="clara", options=exception_for_it),
    Row(
        "POST exceptions/{exception_id}/revocation",
        200,
        403,
        owned_by="clara",
        options=lambda world: {"json": {"reason": "Tested."}},
    ),
    Row("GET policy/rules", 200, 403, owned_by="aude"),
    Row("GET profiles/{name}/access", 200, 403, owned_by="aude"),
    Row("GET entitlements", 200, 200),
    Row("POST entitlements", 201, 403, owned_by="clara", options=lambda world: entitlement_to_grant("who-knows")),
    Row("GET entitlements.csv", 200, 200),
    Row("POST entitlements/import", 200, 403, owned_by="clara", options=file_of_entitlements),
    Row("GET entitlements/{entitlement_id}", 200, 404),
    Row(
        "POST entitlements/{entitlement_id}/end",
        200,
        404,
        owned_by="clara",
        options=lambda world: {"json": {"reason": "Tested."}},
    ),
    Row("GET access", 200, 200),
    Row("GET budgets", 200, 200),
    Row("PUT budgets/{kind}/{name}", 201, 403, owned_by="clara", options=lambda world: {"json": {"servers": 1}}),
    Row("GET budgets/{kind}/{name}", 200, 404, owned_by="aude"),
    Row("DELETE budgets/{kind}/{name}", 204, 403, owned_by="clara"),
    Row("GET usage", 200, 200),
    Row("GET usage.csv", 200, 200),
    Row("GET usage/{kind}/{name}", 200, 200),
    Row("GET access-requests", 200, 200),
    Row("POST access-requests", 200, 201, options=question),  # hers waits already
    Row("GET access-requests/{request_id}", 200, 404),
    Row("POST access-requests/{request_id}/answer", 200, 404, owned_by="clara", options=refusal),
    Row("POST access-requests/{request_id}/withdrawal", 409, 404),  # it was answered: hers to withdraw, and too late
    Row("GET servers", 200, 200),
    Row("POST servers/{start_id}/keep", 404, 404),  # nobody has one here
    Row("GET workflows", 200, 200),
    Row("POST workflows", 200, 403, options=publish_for_ada),
    Row("POST workflows/inspect", 200, 200, options=lambda world: {"json": {"notebook": book("1")}}),
    Row(f"GET {W}", 200, 404),
    Row(f"PATCH {W}", 200, 404, options=lambda world: {"json": {"title": "Another"}}),
    Row(f"GET {W}/versions", 200, 404),
    Row(f"GET {W}/versions/{{number}}", 200, 404),
    Row(f"GET {W}/versions/{{number}}/notebook", 200, 404),
    Row(f"GET {W}/picture", 200, 404),
    Row(f"PUT {W}/favourite", 204, 404),
    Row(f"DELETE {W}/favourite", 204, 404),
    Row(f"GET {W}/runs", 200, 404),
    Row(f"POST {W}/runs", 201, 404, options=lambda world: {"json": {"parameters": {}}}),
    Row("GET runs", 200, 200),
    Row(f"GET {R}", 200, 404),
    Row(f"POST {R}/cancel", 409, 404),  # it has ended: hers to cancel, and too late
    Row(f"PUT {R}/example", 204, 404),
    Row(f"DELETE {R}/example", 204, 404),
    Row(f"GET {R}/report", 200, 404),
    Row(f"GET {R}/notebook", 200, 404),
    Row(f"GET {R}/picture", 200, 404),
    Row(f"GET {R}/artifacts", 200, 404),
    Row(f"GET {R}/artifacts/{{path}}", 200, 404),
    Row(f"GET {R}/events", 200, 404),
    Row("GET events", 200, 404, options=of_the_run),
    Row("PUT people/{name}/block", 200, 403, owned_by="admin", name="who-leaves", options=blocking),
    Row("GET people/{name}/account", 200, 403, owned_by="aude", name="who-leaves"),
    Row("DELETE people/{name}/block", 204, 403, owned_by="admin", name="who-leaves"),
    Row("POST people/{name}/heir", 200, 403, owned_by="admin", name="who-leaves", options=inheritance),
    Row("GET homes", 200, 403, owned_by="aude"),
    Row("POST homes/removal", 404, 403, owned_by="admin", options=lambda world: {"json": {"names": ["never-was"]}}),
    Row("GET audit", 200, 403, owned_by="admin"),
    Row("GET audit/verification", 200, 403, owned_by="admin"),
    Row("GET read-only", 200, 200),
    # Each ends at once what the one before began: the platform is shared.
    Row("PUT read-only", 200, 403, owned_by="admin", options=lambda world: {"json": maintenance()}),
    Row("DELETE read-only", 204, 403, owned_by="admin"),
    Row("GET health", 200, 200, stranger=200),
    Row("GET openapi.json", 200, 200, stranger=200),
]


@pytest.fixture(scope="module")
def world(platform: Any) -> World:
    tokens = {name: platform.token(name) for name in ("ada", "eve", "clara", "rene", "aude", "admin")}
    headers = {"Authorization": f"token {tokens['ada']}"}
    with httpx.Client(base_url=f"{platform.url}{API}", headers=headers, timeout=60, trust_env=False) as client:
        notebook = book(SOURCE)
        shown = {"output_type": "display_data", "data": {"image/png": PNG}, "metadata": {}}
        notebook["cells"][0]["outputs"] = [shown]
        notebook["cells"][0]["metadata"] = {"tags": ["picture"]}
        made = client.post("workflows", json={"name": "who-may-what", "notebook": notebook})
        assert made.status_code in (200, 201), made.text
        run = client.post("workflows/ada/who-may-what/runs", json={}).json()
        deadline = time.monotonic() + 90
        while run["state"] not in ENDED and time.monotonic() < deadline:
            time.sleep(0.1)
            run = client.get(f"runs/{run['id']}").json()
        assert run["state"] == "succeeded", run
        assert run["picture"]
        assert run["artifacts"] == 1
    headers = {"Authorization": f"token {tokens['clara']}"}
    with httpx.Client(base_url=f"{platform.url}{API}", headers=headers, timeout=60, trust_env=False) as client:
        for number in (1, 2):
            made = client.post("profiles/who-may-what/versions", **profile_file(number))
            assert made.status_code in (200, 201), made.text
        world = World(platform.url, tokens, "who-may-what", run["id"], notebook)
        made = client.post("exceptions", **exception_for_it(world))
        assert made.status_code == 201, made.text
        exception = made.json()["id"]
        made = client.post("entitlements", **entitlement_to_grant("ada"))
        assert made.status_code == 201, made.text
        entitlement = made.json()["id"]
    headers = {"Authorization": f"token {tokens['admin']}"}
    with httpx.Client(base_url=f"{platform.url}{API}", headers=headers, timeout=60, trust_env=False) as client:
        assert client.put("people/who-leaves/block", **blocking(world)).status_code == 200
    headers = {"Authorization": f"token {tokens['ada']}"}
    with httpx.Client(base_url=f"{platform.url}{API}", headers=headers, timeout=60, trust_env=False) as client:
        asked = client.post("access-requests", **question(world))
        assert asked.status_code == 201, asked.text
    return replace(world, exception=exception, entitlement=entitlement, request=asked.json()["id"])


def test_the_table_has_a_row_for_every_operation() -> None:
    known = [row.operation for row in ROWS]
    assert len(set(known)) == len(known)
    assert set(known) == {f"{verb.upper()} {route.template}" for route in ROUTES for verb in route.operations()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.operation)
def test_a_stranger_gets_nothing(world: World, row: Row) -> None:
    answer = world.ask(row, None)
    assert answer.status_code == row.stranger
    if row.stranger != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["status"] == row.stranger


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.operation)
def test_a_colleague_gets_what_is_for_everybody(world: World, row: Row) -> None:
    answer = world.ask(row, "eve")
    assert answer.status_code == row.colleague
    if row.colleague >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert world.run not in json.dumps(answer.json())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.operation)
def test_the_owner_gets_it(world: World, row: Row) -> None:
    answer = world.ask(row, row.owned_by)
    assert answer.status_code == row.owner, answer.headers


def test_what_is_hidden_and_what_is_not_there_are_told_alike(world: World) -> None:
    rows = [row for row in ROWS if row.colleague == 404 and row.template.startswith((W, R))]
    assert len(rows) >= 15
    nowhere = replace(world, workflow="never-was", run="r-00000000000000000000000000")
    for row in rows:
        hidden, missing = (one.ask(row, "eve").json() for one in (world, nowhere))
        for problem in (hidden, missing):
            problem.pop("instance")
        assert hidden == missing, row.operation


def test_a_token_without_access_to_the_service_is_refused(platform: Any, world: World) -> None:
    made = httpx.post(
        f"{platform.url}/hub/api/users/ada/tokens",
        headers={"Authorization": f"token {world.tokens['ada']}"},
        json={"scopes": ["read:users:name!user"], "note": "no access", "expires_in": 600},
        trust_env=False,
    )
    assert made.status_code == 201, made.text
    narrow = replace(world, tokens={"ada": made.json()["token"]})
    for row in ROWS:
        answer = narrow.ask(row, "ada")
        assert answer.status_code == (200 if row.stranger == 200 else 403), row.operation


def test_a_token_that_was_never_made_is_nobody_s(world: World) -> None:
    answer = replace(world, tokens={"ada": "0" * 32}).ask(ROWS[0], "ada")
    assert answer.status_code == 401


def test_a_token_that_may_not_act_in_roles_is_a_colleague_s(platform: Any, world: World) -> None:
    scopes = ["access:services!service=workflows"]
    narrow = replace(world, tokens={name: platform.token(name, scopes) for name in ("clara", "rene", "aude", "admin")})
    rows = [row for row in ROWS if row.owned_by != "ada"]
    assert len(rows) >= 20
    for row in rows:
        assert narrow.ask(row, row.owned_by).status_code == row.colleague, row.operation


def test_a_token_in_the_address_is_not_looked_at(world: World) -> None:
    row = Row("GET profiles", 401, 401, options=lambda one: {"params": {"token": one.tokens["ada"]}})
    assert world.ask(row, None).status_code == 401
