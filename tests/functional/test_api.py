"""The API as a client meets it: shapes, statuses, headers, retries, and every way to be told no."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import nbformat
import pytest

pytestmark = [pytest.mark.functional]

API = "/services/workflows/api/v1"
ENDED = {"succeeded", "failed", "cancelled", "lost"}


def book(*sources: str, parameters: str = "n: int = 1") -> dict[str, Any]:
    cells = [nbformat.v4.new_code_cell(source, id=f"c{number}") for number, source in enumerate((parameters, *sources))]
    cells[0].metadata["tags"] = ["parameters"]
    return dict(nbformat.v4.new_notebook(cells=cells))


@pytest.fixture(scope="module")
def client(platform: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {platform.token('carla')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=60, trust_env=False) as made:
        yield made


@pytest.fixture(scope="module")
def workflow(client: httpx.Client) -> str:
    """Address of a workflow that writes a file and prints its parameter."""
    source = "open('out/data.csv', 'w').write('0123456789' * n) if __import__('os').makedirs('out') is None else 0"
    evil = "<script>alert(1)</script>"
    answer = client.post(
        f"{API}/workflows",
        json={"name": "shapes", "notebook": book(source, f"print({evil!r}, n)"), "title": "Shapes", "tags": ["form"]},
    )
    assert answer.status_code in (200, 201), answer.text
    return f"{API}/workflows/carla/shapes"


@pytest.fixture(scope="module")
def run(client: httpx.Client, workflow: str) -> dict[str, Any]:
    """A run of it that has ended."""
    answer = client.post(f"{workflow}/runs", json={"parameters": {"n": 3}})
    assert answer.status_code == 201, answer.text
    return ended(client, answer.json())


def ended(client: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while run["state"] not in ENDED:
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
        run = client.get(f"{API}/runs/{run['id']}").json()
    return run


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(found)
    assert found["status"] == status
    assert found["instance"] == f"urn:hub-ext:request:{answer.headers['x-request-id']}"
    return found


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_health_tells_of_every_part(platform: Any) -> None:
    answer = httpx.get(f"{platform.url}{API}/health", trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert {part["name"]: part["ok"] for part in answer.json()["parts"]} == {
        "process": True,
        "database": True,
        "profiles": True,
        "store": True,
        "reconciler": True,
    }


def test_profiles_say_whether_the_caller_may_use_them(client: httpx.Client) -> None:
    items = client.get(f"{API}/profiles").json()["items"]
    assert len(items) >= 3
    assert items == sorted(items, key=lambda item: not item["usable"])
    for item in items:
        assert bool(item["reason"]) == (not item["usable"])
        one = client.get(f"{API}/profiles/{item['name']}").json()
        assert {key: one[key] for key in item} == item
        assert one["version"] in one["versions"]
    assert problem(client.get(f"{API}/profiles/standrd"), 404)["hint"]


def test_a_list_has_items_next_and_total(client: httpx.Client, workflow: str) -> None:
    found = client.get(f"{API}/workflows", params={"limit": 2}).json()
    assert len(found["items"]) == 2
    assert found["total"] >= 4
    assert found["next"]


def test_paging_shows_everything_once(client: httpx.Client, workflow: str) -> None:
    names: list[str] = []
    cursor: str | None = None
    while True:
        page = client.get(f"{API}/workflows", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        names += [f"{item['owner']}/{item['name']}" for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(names) == len(set(names)) == page["total"]
    assert "carla/shapes" in names


def test_a_search_finds_by_words_tag_and_owner(client: httpx.Client, workflow: str) -> None:
    for query in ({"q": "SHÄPES"}, {"tag": "form"}, {"owner": "carla"}):
        items = client.get(f"{API}/workflows", params=query).json()["items"]
        assert "shapes" in [item["name"] for item in items], query
    assert client.get(f"{API}/workflows", params={"q": "no such thing at all"}).json()["items"] == []


def test_a_workflow_shows_its_newest_version_and_its_form(client: httpx.Client, workflow: str) -> None:
    found = client.get(workflow).json()
    assert (found["owner"], found["name"], found["title"], found["tags"]) == ("carla", "shapes", "Shapes", ["form"])
    assert found["schema"]["properties"]["n"]["type"] == "integer"
    assert found["may_edit"] is True
    version = client.get(f"{workflow}/versions/{found['version']}").json()
    assert version["schema"] == found["schema"]
    versions = client.get(f"{workflow}/versions").json()
    assert [item["version"] for item in versions["items"]] == list(range(found["version"], 0, -1))
    assert versions["total"] == found["version"]


def test_publishing_says_where_the_workflow_is(client: httpx.Client) -> None:
    notebook = book("n", f"'published {time.time_ns()}'")
    made = client.post(f"{API}/workflows", json={"name": "published", "notebook": notebook})
    assert made.status_code == 201
    assert made.headers["location"] == f"{API}/workflows/carla/published"
    assert client.get(made.headers["location"]).status_code == 200
    again = client.post(f"{API}/workflows", json={"name": "published", "notebook": json.dumps(notebook)})
    assert again.status_code == 200
    assert again.json() == made.json() | {"created": False}
    form = {"name": (None, "published"), "notebook": ("n.ipynb", json.dumps(book(f"n + {time.time_ns()}")).encode())}
    following = client.post(f"{API}/workflows", files=form)
    assert following.status_code == 201
    assert following.json()["version"] == made.json()["version"] + 1


def test_a_form_may_name_tags_and_groups_several_times(client: httpx.Client) -> None:
    fields = {"name": "tagged", "tags": ["one", "two"], "title": "Getagged: ü"}
    files = {"notebook": ("n.ipynb", json.dumps(book("n")).encode(), "application/x-ipynb+json")}
    assert client.post(f"{API}/workflows", data=fields, files=files).status_code in (200, 201)
    found = client.get(f"{API}/workflows/carla/tagged").json()
    assert (found["tags"], found["title"]) == (["one", "two"], "Getagged: ü")


def test_inspecting_stores_nothing(client: httpx.Client) -> None:
    before = client.get(f"{API}/workflows", params={"owner": "carla"}).json()["total"]
    found = client.post(f"{API}/workflows/inspect", json={"notebook": book("n")}).json()
    assert found["schema"]["properties"]["n"]["default"] == 1
    assert found["profile"]
    assert client.get(f"{API}/workflows", params={"owner": "carla"}).json()["total"] == before


def test_a_change_leaves_the_rest_as_it_is(client: httpx.Client) -> None:
    client.post(f"{API}/workflows", json={"name": "changing", "notebook": book("n"), "tags": ["kept"]})
    found = client.patch(f"{API}/workflows/carla/changing", json={"title": "New", "visibility": "everyone"})
    assert found.status_code == 200
    assert (found.json()["title"], found.json()["tags"], found.json()["visibility"]) == ("New", ["kept"], "everyone")


def test_a_favourite_is_kept_until_it_is_not(client: httpx.Client, workflow: str) -> None:
    for _ in range(2):
        assert client.put(f"{workflow}/favourite").status_code == 204
    kept = client.get(f"{API}/workflows", params={"favourite": "true"}).json()["items"]
    assert [item["name"] for item in kept] == ["shapes"]
    assert client.delete(f"{workflow}/favourite").status_code == 204
    assert client.get(f"{API}/workflows", params={"favourite": "true"}).json()["items"] == []


def test_a_run_has_what_it_was_given_and_what_it_made(client: httpx.Client, run: dict[str, Any]) -> None:
    assert run["state"] == "succeeded", run
    assert run["parameters"] == {"n": 3}
    assert run["workflow"] == {
        "owner": "carla",
        "name": "shapes",
        "version": run["workflow"]["version"],
        "title": "Shapes",
    }
    assert run["cells_done"] == run["cells_total"]
    assert run["report"]
    assert run["notebook"]
    listed = client.get(f"{API}/runs", params={"state": "succeeded"}).json()["items"]
    assert run["id"] in [item["id"] for item in listed]
    assert client.get(f"{API}/runs", params={"state": "lost"}).json()["items"] == []
    of_workflow = client.get(f"{API}/workflows/carla/shapes/runs").json()["items"]
    assert run["id"] in [item["id"] for item in of_workflow]


# -- retries -----------------------------------------------------------------------------------------------------------


def test_an_order_with_a_key_is_taken_once(client: httpx.Client, workflow: str) -> None:
    headers = {"Idempotency-Key": f"key-{time.time_ns()}"}
    order = {"parameters": {"n": 4}}
    first = client.post(f"{workflow}/runs", json=order, headers=headers)
    second = client.post(f"{workflow}/runs", json=order, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers["location"] == second.headers["location"] == f"{API}/runs/{first.json()['id']}"
    other = client.post(f"{workflow}/runs", json={"parameters": {"n": 5}}, headers=headers)
    assert "key" in problem(other, 409)["detail"].casefold()
    client.post(f"{API}/runs/{first.json()['id']}/cancel")


@pytest.mark.parametrize("key", ["", "k" * 256, "with space"])
def test_a_key_that_cannot_be(client: httpx.Client, workflow: str, key: str) -> None:
    answer = client.post(f"{workflow}/runs", json={}, headers={"Idempotency-Key": key})
    assert problem(answer, 400)["errors"][0]["field"] == "Idempotency-Key"


# -- what runs made ----------------------------------------------------------------------------------------------------


def policy(answer: httpx.Response) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize("what", ["report", "notebook", "artifacts/out/data.csv"])
def test_user_content_can_reach_nothing(client: httpx.Client, run: dict[str, Any], what: str) -> None:
    answer = client.get(f"{API}/runs/{run['id']}/{what}")
    assert answer.status_code == 200
    assets = str(client.base_url.join("/services/workflows/static/"))
    assert policy(answer) == {
        "sandbox": "allow-scripts",
        "default-src": "'none'",
        "script-src": f"'unsafe-inline' {assets}",
        "style-src": f"'unsafe-inline' {assets}",
        "img-src": "data: blob:",
        "font-src": f"data: {assets}",
        "connect-src": "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'self'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_report_is_shown_and_a_notebook_is_saved(client: httpx.Client, run: dict[str, Any]) -> None:
    report = client.get(f"{API}/runs/{run['id']}/report")
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    assert report.headers["content-disposition"].startswith("inline;")
    assert "<script>alert(1)</script>" not in report.text
    notebook = client.get(f"{API}/runs/{run['id']}/notebook")
    assert notebook.headers["content-type"] == "application/x-ipynb+json"
    assert notebook.headers["content-disposition"].startswith("attachment;")
    assert notebook.json()["nbformat"] == 4


def test_the_notebook_of_a_version_is_a_file_or_a_page(client: httpx.Client, workflow: str) -> None:
    file = client.get(f"{workflow}/versions/1/notebook")
    assert file.json()["cells"][0]["source"]
    page = client.get(f"{workflow}/versions/1/notebook", params={"format": "html"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert policy(page)["sandbox"] == "allow-scripts"
    assert "makedirs" in page.text


def test_artifacts_are_listed_and_sent_in_pieces(client: httpx.Client, run: dict[str, Any]) -> None:
    listed = client.get(f"{API}/runs/{run['id']}/artifacts").json()["items"]
    assert listed == [{"path": "out/data.csv", "size": 30, "type": "text/csv"}]
    address = f"{API}/runs/{run['id']}/artifacts/out/data.csv"
    whole = client.get(address)
    assert whole.content == b"0123456789" * 3
    piece = client.get(address, headers={"Range": "bytes=8-11"})
    assert piece.status_code == 206
    assert piece.content == b"8901"
    assert piece.headers["content-range"] == "bytes 8-11/30"
    beyond = client.get(address, headers={"Range": "bytes=30-"})
    assert beyond.headers["content-range"] == "bytes */30"
    problem(beyond, 416)
    unchanged = client.get(address, headers={"If-None-Match": whole.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = client.head(address)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "30", b"")


@pytest.mark.parametrize("path", ["%2e%2e/report.html", "out/%2e%2e/%2e%2e/report.html", "%2Fetc%2Fpasswd", "a%00b"])
def test_no_path_leads_out_of_the_artifacts(
    platform: Any, client: httpx.Client, run: dict[str, Any], path: str
) -> None:
    parts = urlsplit(platform.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)  # httpx would tidy the path up
    connection.request(
        "GET", f"{API}/runs/{run['id']}/artifacts/{path}", headers={"Authorization": client.headers["Authorization"]}
    )
    answer = connection.getresponse()
    assert answer.status in (400, 404, 422)
    assert b"<html" not in answer.read().lower()
    connection.close()


# -- roles and groups --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def admin(platform: Any) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {platform.token('admin')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=60, trust_env=False) as made:
        yield made


def test_the_record_of_acts_tells_what_was_done(admin: httpx.Client, run: dict[str, Any]) -> None:
    acts = admin.get(f"{API}/audit", params={"object": f"run:{run['id']}"}).json()["items"]
    assert {"run.create", "run.end"} <= {act["action"] for act in acts}
    assert [act["id"] for act in acts] == sorted((act["id"] for act in acts), reverse=True)
    created = next(act for act in acts if act["action"] == "run.create")
    assert (created["actor"], created["outcome"], created["object"]) == (
        "carla",
        "allowed",
        {"type": "run", "id": run["id"]},
    )


def test_acts_are_found_by_who_what_and_when(admin: httpx.Client, client: httpx.Client, run: dict[str, Any]) -> None:
    denied = client.post(f"{API}/workflows", json={"name": "not-hers", "owner": "somebody", "notebook": book("n")})
    assert denied.status_code == 403
    query = {"actor": "carla", "outcome": "denied", "action": "workflow", "limit": 1}
    (act,) = admin.get(f"{API}/audit", params=query).json()["items"]
    assert (act["action"], act["object"]["id"]) == ("workflow.publish", "somebody/not-hers")
    early = admin.get(f"{API}/audit", params={"until": run["created_at"], "actor": "carla", "limit": 100}).json()[
        "items"
    ]
    late = admin.get(f"{API}/audit", params={"since": run["created_at"], "actor": "carla", "limit": 100}).json()[
        "items"
    ]
    assert act["id"] in [one["id"] for one in late]
    assert act["id"] not in [one["id"] for one in early]


def test_paging_through_acts_shows_each_once(admin: httpx.Client, run: dict[str, Any]) -> None:
    ids: list[int] = []
    cursor: str | None = None
    while cursor is not None or not ids:
        query = {"object": "run", "limit": 3} | ({"cursor": cursor} if cursor else {})
        page = admin.get(f"{API}/audit", params=query).json()
        ids += [act["id"] for act in page["items"]]
        cursor = page["next"] if len(ids) < 30 else None
    assert ids == sorted(set(ids), reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("outcome=maybe", "outcome"),
        ("cursor=x", "cursor"),
    ],
)
def test_filters_of_acts_that_cannot_be(admin: httpx.Client, query: str, field: str) -> None:
    assert problem(admin.get(f"{API}/audit?{query}"), 422)["errors"][0]["field"] == field


def test_the_record_is_verified(admin: httpx.Client) -> None:
    found = admin.get(f"{API}/audit/verification").json()
    assert found["intact"] is True
    assert found["broken_at"] is None
    assert found["checked"] > 0


def test_a_token_not_made_for_it_does_not_act_in_roles(platform: Any) -> None:
    narrow = platform.token("admin", ["access:services!service=workflows"])
    headers = {"Authorization": f"token {narrow}"}
    assert httpx.get(f"{platform.url}{API}/runs", headers=headers, trust_env=False).status_code == 200
    problem(httpx.get(f"{platform.url}{API}/audit", headers=headers, trust_env=False), 403)


def test_a_decision_sees_the_groups_of_this_moment(platform: Any, admin: httpx.Client, client: httpx.Client) -> None:
    """Reads may believe the Hub for half a minute; what is decided on may not."""

    def publish(source: str) -> int:
        draft = {"name": "of-the-team", "owner": "team", "notebook": book(source)}
        return client.post(f"{API}/workflows", json=draft).status_code

    members = "/hub/api/groups/team-publishers/users"
    admin.post("/hub/api/groups/team-publishers")
    assert publish(f"n + {time.time_ns()}") == 403
    assert admin.post(members, json={"users": ["carla"]}).status_code == 200
    assert publish(f"n + {time.time_ns()}") == 201
    assert admin.request("DELETE", members, json={"users": ["carla"]}).status_code == 200
    assert publish(f"n + {time.time_ns()}") == 403


# -- no ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "nothing", "workflows/", "workflows/carla", "runs/r-1/nothing", "profiles/a/b"])
def test_there_is_nothing_at_other_addresses(client: httpx.Client, path: str) -> None:
    problem(client.get(f"{API}/{path}"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "workflows", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("POST", "runs", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "workflows/inspect", {"POST", "OPTIONS"}),
        ("HEAD", "workflows/inspect", {"POST", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_there(client: httpx.Client, method: str, path: str, allowed: set[str]) -> None:
    answer = client.request(method, f"{API}/{path}")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    if method != "HEAD":
        problem(answer, 405)


def test_options_says_which_methods_there_are(client: httpx.Client) -> None:
    answer = client.options(f"{API}/workflows")
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_head_answers_as_get_does(client: httpx.Client, workflow: str) -> None:
    get, head = client.get(workflow), client.head(workflow)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert client.get(workflow, headers={"If-None-Match": get.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("workflows?colour=red", "colour"),
        ("workflows?limit=0", "limit"),
        ("workflows?limit=101", "limit"),
        ("workflows?limit=many", "limit"),
        ("workflows?sort=size", "sort"),
        ("workflows?cursor=nonsense", "cursor"),
        ("workflows?q=a&q=b", "q"),
        ("workflows?q=%00", "q"),
        ("runs?state=asleep", "state"),
        ("runs?cursor=nonsense", "cursor"),
        ("profiles?limit=1", "limit"),
        ("runs/r-1?verbose=1", "verbose"),
    ],
)
def test_a_query_that_cannot_be_names_its_field(client: httpx.Client, path: str, field: str) -> None:
    assert problem(client.get(f"{API}/{path}"), 422)["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("body", "kind", "status", "field"),
    [
        (b"", "application/json", 400, "body"),
        (b"{", "application/json", 400, "body"),
        (b"\xff", "application/json", 400, "body"),
        (b"[]", "application/json", 422, "body"),
        (b'{"name": "a", "name": "b"}', "application/json", 422, "name"),
        (b'{"title": NaN}', "application/json", 422, "title"),
        (b'{"title": "a\\u0000"}', "application/json", 422, "title"),
        (b'{"colour": 1}', "application/json", 422, "colour"),
        (b"{}", "text/plain", 415, "Content-Type"),
        (b"title=a", "application/x-www-form-urlencoded", 415, "Content-Type"),
        (b"{" + b" " * 2**21 + b"}", "application/json", 413, None),
    ],
)
def test_a_body_that_cannot_be(
    client: httpx.Client, workflow: str, body: bytes, kind: str, status: int, field: str | None
) -> None:
    found = problem(client.patch(workflow, content=body, headers={"Content-Type": kind}), status)
    if field is not None:
        assert field in [error["field"] for error in found["errors"]]


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=x"])
def test_a_form_that_cannot_be_read(client: httpx.Client, boundary: str) -> None:
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    answer = client.post(f"{API}/workflows", content=b"--y\r\n\r\n--y--", headers=headers)
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code)


@pytest.mark.parametrize("chunked", [False, True])
def test_50_mb_get_an_answer_and_not_a_reset(client: httpx.Client, *, chunked: bool) -> None:
    headers = {"Content-Type": "application/json"}
    content: Any = (b" " * 2**20 for _ in range(50)) if chunked else b" " * (50 * 2**20)
    found = problem(client.post(f"{API}/workflows", content=content, headers=headers), 413)
    assert found["errors"][0]["field"] == "notebook"
    assert re.search(r"\d+ MiB", found["detail"])


def test_a_hub_that_does_not_answer_is_told_as_such(platform: Any) -> None:
    hub = platform.hub()
    hub.suspend()
    try:
        headers = {"Authorization": f"token never-seen-{time.time_ns()}"}
        answer = httpx.get(f"{platform.url}{API}/runs", headers=headers, timeout=60, trust_env=False)
        health = httpx.get(f"{platform.url}{API}/health", timeout=60, trust_env=False)
    finally:
        hub.resume()
    assert "Hub" in problem(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert health.status_code == 200  # the service itself works


# -- browsers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(platform: Any) -> Iterator[httpx.Client]:
    """Carla's session: cookies, as a browser has them."""
    made = platform.login("carla")
    made.get("/services/workflows/", follow_redirects=True, headers={"Sec-Fetch-Mode": "navigate"})
    yield made
    made.close()


def xsrf(browser: httpx.Client) -> str:
    for cookie in browser.cookies.jar:
        if cookie.name == "_xsrf" and cookie.path == "/services/workflows/":
            return str(cookie.value)
    raise AssertionError([cookie.name for cookie in browser.cookies.jar])


def test_a_session_reads_and_writes_with_the_token_of_its_page(browser: httpx.Client, workflow: str) -> None:
    headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "X-XSRFToken": xsrf(browser)}
    assert browser.get(workflow, headers=headers).status_code == 200
    assert browser.put(f"{workflow}/favourite", headers=headers).status_code == 204
    assert browser.delete(f"{workflow}/favourite", headers=headers).status_code == 204


@pytest.mark.parametrize("token", [None, "", "forged"])
def test_a_forged_request_changes_nothing(
    browser: httpx.Client, client: httpx.Client, workflow: str, token: str | None
) -> None:
    headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}
    if token is not None:
        headers["X-XSRFToken"] = token
    assert "X-XSRFToken" in problem(browser.put(f"{workflow}/favourite", headers=headers), 403)["hint"]
    assert client.get(workflow).json()["favourite"] is False


def test_another_page_of_this_host_cannot_read_with_her_session(browser: httpx.Client, workflow: str) -> None:
    headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    problem(browser.get(workflow, headers=headers), 403)
