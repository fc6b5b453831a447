"""Notebook servers on a real platform: what starts, what is refused by every way, and what is told."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.timing import Pauses, Watch, kept_within

pytestmark = [pytest.mark.functional]

QUICK = {"profile": "quick-look"}


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true value; fail after a while."""
    deadline, pause = time.monotonic() + seconds, Pauses()
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        pause()
    return pytest.fail("it did not happen in time")


class Person:
    """A person with an API token, and her servers."""

    def __init__(self, platform: Any, name: str) -> None:
        self.platform = platform
        self.name = name
        self.api: httpx.Client = platform.api(name)

    def path(self, server: str = "") -> str:
        base = f"/hub/api/users/{self.name}"
        return f"{base}/servers/{server}" if server else f"{base}/server"

    def start(self, body: Any = None, server: str = "") -> httpx.Response:
        return self.api.post(self.path(server), json=body) if body is not None else self.api.post(self.path(server))

    def stop(self, server: str = "") -> httpx.Response:
        return self.api.request("DELETE", self.path(server))

    def events(self, server: str = "") -> list[dict[str, Any]]:
        with self.api.stream("GET", f"{self.path(server)}/progress") as stream:
            return [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]

    def servers(self) -> dict[str, Any]:
        return dict(self.api.get(f"/hub/api/users/{self.name}").json()["servers"])

    def stored(self, server: str = "") -> Any:
        found = self.api.get(f"/hub/api/users/{self.name}?include_stopped_servers=1").json()["servers"]
        return found.get(server, {}).get("user_options")

    def process(self) -> psutil.Process | None:
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("JUPYTERHUB_USER") == self.name
                if mine and "jupyterhub.singleuser" in process.cmdline():
                    return process
            except psutil.Error:
                continue
        return None


@pytest.fixture
def person(platform: Any, request: pytest.FixtureRequest) -> Iterator[Person]:
    found = Person(platform, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-"))
    yield found
    for server in found.servers():
        found.stop(server)
    until(lambda: not found.servers())


@pytest.fixture(scope="module")
def denied(platform: Any) -> Person:
    """Somebody who never gets a server."""
    return Person(platform, "denied")


# What is refused, by every way.

HOSTILE: list[tuple[Any, str]] = [
    (None, "profile"),
    ({}, "profile"),
    ({"user_options": {}}, "profile"),
    ({"user_options": None}, "profile"),
    ({"display_name": "just a name"}, "profile"),
    ({"profile": None}, "profile"),
    ({"profile": ""}, "profile"),
    ({"profile": ["standard"]}, "profile"),
    ({"profile": {"name": "standard"}}, "profile"),
    ({"profile": "no-such-profile"}, "There is no profile"),
    ({"profile": "../standard"}, "There is no profile"),
    ({"profile": "standard\x00"}, "There is no profile"),
    ({"profile": "machine-learning"}, "modellers"),
    ({"profile": "standard", "version": 2}, "version"),
    ({"profile": "standard", "version": 0}, "version"),
    ({"profile": "standard", "version": "1"}, "version"),
    ({"profile": "standard", "version": True}, "version"),
    ({"profile": "standard", "version": 1.5}, "version"),
    ({"profile": "standard", "options": {"memory": "16Gi"}}, "Memory"),
    ({"profile": "standard", "options": {"memory": 8}}, "Memory"),
    ({"profile": "standard", "options": {"memory": ["8Gi"]}}, "Memory"),
    ({"profile": "standard", "options": {"memory": None}}, "Memory"),
    ({"profile": "standard", "options": {"idle": 10**9}}, "idle"),
    ({"profile": "standard", "options": {"idle": -1}}, "idle"),
    ({"profile": "standard", "options": {"idle": True}}, "idle"),
    ({"profile": "standard", "options": {"idle": "60; rm -rf /"}}, "idle"),
    ({"profile": "standard", "options": {"idle": 15.5}}, "idle"),
    ({"profile": "standard", "options": {"cores": 64}}, "no option 'cores'"),
    ({"profile": "standard", "options": {"__class__": "x"}}, "no option"),
    ({"profile": "standard", "options": ["memory"]}, "options"),
    ({"profile": "standard", "options": "memory=8Gi"}, "options"),
    ({"profile": "standard", "image": "evil/image"}, "image"),
    ({"profile": "standard", "cmd": ["/bin/sh"]}, "cmd"),
    ({"profile": "standard", "environment": {"LD_PRELOAD": "x"}}, "environment"),
    ({"profile": "standard", "spawner_override": {"mem_limit": "1T"}}, "spawner_override"),
    ({"display_name": "x", "user_options": {"image": "evil"}}, "profile"),
    ({"profile": "standard", "options": {"memory": "x" * 100_000}}, "Memory"),
    ({f"key{number}": number for number in range(300)}, "profile"),
]


@pytest.mark.parametrize(("body", "words"), HOSTILE, ids=[json.dumps(body)[:50] for body, _ in HOSTILE])
def test_what_is_no_allowed_start_is_denied_with_its_reason(denied: Person, body: Any, words: str) -> None:
    answer = denied.start(body)
    assert answer.status_code == 403, answer.text[:300]
    assert words in answer.json()["message"]
    assert denied.servers() == {}


@pytest.mark.parametrize("body", [[], ["standard"], "standard", 7, True])
def test_a_body_that_is_no_object_starts_nothing(denied: Person, body: Any) -> None:
    assert denied.start(body).status_code in (400, 403)
    assert denied.servers() == {}


def test_a_denial_leaves_nothing_stored_where_nothing_was_allowed_before(platform: Any) -> None:
    person = Person(platform, "never-allowed")
    assert person.start({"profile": "machine-learning"}).status_code == 403
    assert person.start().status_code == 403
    assert not person.stored()


def test_a_hostile_named_server_is_denied_at_its_start_however_its_options_got_there(platform: Any) -> None:
    person = Person(platform, "named")
    made = person.api.put(person.path("second"), json={"user_options": {"image": "evil"}, "display_name": "second"})
    assert made.status_code == 201
    for body in (None, {}, {"display_name": "renamed"}):
        assert person.start(body, "second").status_code == 403
    changed = person.api.patch(person.path("second"), json={"user_options": {"profile": "machine-learning"}})
    assert changed.status_code == 200
    answer = person.start(None, "second")
    assert answer.status_code == 403
    assert "modellers" in answer.json()["message"]
    assert not person.stored("second")


def test_an_admin_starts_for_somebody_what_that_person_may_use_and_no_more(platform: Any) -> None:
    target, admin = Person(platform, "on-behalf"), platform.api("admin")
    refused = admin.post(target.path(), json={"profile": "machine-learning"})
    assert refused.status_code == 403
    assert "modellers" in refused.json()["message"]


def test_a_link_starts_nothing_and_shows_the_form_with_a_sentence(platform: Any) -> None:
    browser = platform.login("linked")
    for query in ("profile=standard", "opt-profile=standard", "image=evil&profile=quick-look"):
        page = browser.get(f"/hub/spawn?{query}")
        assert page.status_code == 400
        assert "A link cannot start a server" in page.text
        assert "Standard analysis" in page.text
    assert Person(platform, "linked").servers() == {}


def post_form(browser: httpx.Client, fields: dict[str, Any]) -> httpx.Response:
    page = browser.get("/hub/spawn")
    found = re.search(r'action="([^"]+_xsrf=[^"]+)"', page.text)
    assert found
    return browser.post(found[1].replace("&amp;", "&"), data=fields)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({}, 400, "choose one profile"),
        ({"profile": ["standard", "quick-look"]}, 400, "choose one profile"),
        ({"profile": "standard", "image": "evil"}, 400, "image: is not a field of this form"),
        ({"profile": "machine-learning", "version:machine-learning": "1"}, 403, "modellers"),
        ({"profile": "standard", "version:standard": "7"}, 403, "version 7"),
        ({"profile": "standard", "option:standard:memory": "64Gi"}, 403, "Memory cannot be 64Gi"),
        ({"profile": "standard", "option:standard:cores": "64"}, 403, "There is no option"),
    ],
)
def test_a_hostile_form_comes_back_with_its_reason(
    platform: Any, fields: dict[str, Any], status: int, words: str
) -> None:
    browser = platform.login("formed")
    answer = post_form(browser, fields)
    if "/spawn-pending/" in answer.url.path:  # the decision took longer than the second that the form waits
        answer = until(lambda: (page := browser.get(answer.url)).status_code != 200 and page)
    assert answer.status_code == status
    assert words in answer.text.replace("&#39;", "'")
    assert Person(platform, "formed").servers() == {}


def test_a_form_that_is_denied_keeps_what_was_typed_beside_the_field(platform: Any) -> None:
    browser = platform.login("typed")

    def denied_on_the_page() -> Any:
        page = post_form(browser, {"profile": "standard", "option:standard:idle": "241"})
        return "/spawn-pending/" not in page.url.path and page  # else the decision took longer than a second

    answer = until(denied_on_the_page)
    assert answer.status_code == 403
    field = re.search(r'<input[^>]*id="option-standard-idle"[^>]*>', answer.text)
    assert field
    assert 'value="241"' in field[0]
    assert "is-invalid" in field[0]
    assert 'id="option-standard-idle-error"' in answer.text
    again = platform.login("typed").get("/hub/spawn")
    assert 'value="241"' not in again.text


def test_a_form_without_the_token_against_cross_site_requests_starts_nothing(platform: Any) -> None:
    browser = platform.login("crossed")
    assert browser.post("/hub/spawn", data={"profile": "standard"}).status_code == 403
    assert Person(platform, "crossed").servers() == {}


# What starts.


def test_a_start_tells_what_happens_and_its_server_has_what_was_decided(person: Person) -> None:
    assert person.start({"profile": "standard", "options": {"memory": "8Gi", "idle": 30}}).status_code in (201, 202)
    events = person.events()
    assert events[-1]["ready"] is True
    process = person.process()
    assert process is not None
    environ, line = process.environ(), process.cmdline()
    assert environ["MEM_LIMIT"] == str(8 * 2**30)
    assert environ["CPU_LIMIT"] == "2.0"
    assert "--ServerApp.shutdown_no_activity_timeout=1800" in line
    assert environ["HOME"].startswith(str(person.platform.state / "homes"))
    assert environ["HUB_EXT_URL"] == person.platform.url
    assert not [name for name in environ if name.startswith("HUB_EXT") and "SECRET" in name]
    assert "CONFIGPROXY_AUTH_TOKEN" not in environ


def test_a_start_without_options_uses_the_stored_ones_and_decides_again(person: Person) -> None:
    assert person.start({"profile": "quick-look", "version": 1}).status_code in (201, 202)
    person.events()
    assert person.stop().status_code in (202, 204)
    until(lambda: not person.servers())
    assert person.start({"profile": "standard", "options": {"memory": "1Ti"}}).status_code == 403
    assert person.stored() == {"profile": "quick-look", "version": 1, "options": {}}
    assert person.start().status_code in (201, 202)
    assert person.events()[-1].get("ready")


def test_a_stopped_server_leaves_no_process_behind(person: Person) -> None:
    assert person.start(QUICK).status_code in (201, 202)
    person.events()
    kernel = person.api.post(f"/user/{person.name}/api/kernels", json={"name": "python3"})
    assert kernel.status_code == 201
    process = person.process()
    assert process is not None
    tree = [process, *until(lambda: process.children(recursive=True))]
    assert person.stop().status_code in (202, 204)
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in tree))


def test_a_start_can_be_cancelled_within_two_seconds_and_says_by_whom(person: Person) -> None:
    person.api.post("/hub/api/users/" + person.name)  # no matter whether she is there already

    def cancel() -> float:
        started = until_pending(person)
        process = until(person.process)
        watch = Watch()
        assert person.stop().status_code in (202, 204)
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
        taken = watch()
        started.close()
        assert person.servers() == {}
        assert any(row["action"] == "server.cancel" for row in acts(person))
        return taken

    kept_within(2.5, cancel)
    assert person.start(QUICK).status_code in (201, 202)


def until_pending(person: Person) -> httpx.Client:
    """Ask for a start by the form, which answers after a second while the server boots."""
    browser: httpx.Client = person.platform.login(person.name)
    answer = post_form(browser, {"profile": "quick-look", "version:quick-look": "1"})
    assert answer.status_code == 200
    return browser


def acts(person: Person) -> list[dict[str, Any]]:
    """Return what the record holds of a person's server, as an admin reads it."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        import sqlite3

        with sqlite3.connect(f"file:{person.platform.state / 'hub-ext.sqlite'}?mode=ro", uri=True) as database:
            rows = database.execute(
                "SELECT actor, action, outcome, detail FROM audit WHERE object_id = ? ORDER BY id", (person.name,)
            ).fetchall()
        database.close()
        found[:] = [dict(zip(("actor", "action", "outcome", "detail"), row, strict=True)) for row in rows]
        return bool(found) and found[-1]["action"] not in ("server.start", "server.decide")

    until(look)
    return found


def test_the_record_tells_the_whole_life_of_a_server(person: Person) -> None:
    assert person.start(QUICK).status_code in (201, 202)
    person.events()
    person.platform.api("admin").request("DELETE", person.path())
    until(lambda: acts(person)[-1]["action"] == "server.stop")
    assert [(act["actor"], act["action"]) for act in acts(person)] == [
        (person.name, "server.decide"),
        (person.name, "server.start"),
        ("service:hub", "server.ready"),
        ("admin", "server.stop"),
    ]


def test_a_server_that_dies_while_it_starts_says_why_at_once_and_is_never_counted(person: Person) -> None:
    home = person.platform.state / "homes"
    login = person.platform.login(person.name)
    login.get("/hub/spawn")
    from jupyterhub.slugs import safe_slug

    config = home / safe_slug(person.name) / ".jupyter"
    config.mkdir(parents=True)
    (config / "jupyter_server_config.py").write_text("raise RuntimeError('a broken file of mine')\n")
    (config / "jupyter_config.py").write_text("import sys; sys.exit('a broken file of mine')\n")
    for _ in range(2):
        began = time.monotonic()
        answer = person.start(QUICK)
        # JupyterHub waits ten seconds for a start; after them its end is told by the events alone.
        told = answer.json() if answer.status_code == 500 else person.events()[-1]
        assert "ended by itself" in told["message"]
        assert time.monotonic() - began < 50  # long before the time that a start may take
    (config / "jupyter_config.py").unlink()
    (config / "jupyter_server_config.py").unlink()
    assert person.start(QUICK).status_code in (201, 202)


def test_a_servers_own_token_may_use_the_service_and_not_act_in_roles(platform: Any) -> None:
    person = Person(platform, "aude")  # an auditor
    assert person.api.get("/services/workflows/api/v1/audit").status_code == 200
    assert platform.login("aude").get("/services/workflows/audit").status_code == 200
    assert person.start(QUICK).status_code in (201, 202)
    person.events()
    process = person.process()
    assert process is not None
    own = process.environ()["JUPYTERHUB_API_TOKEN"]
    headers = {"Authorization": f"token {own}"}
    with httpx.Client(base_url=person.platform.url, headers=headers, trust_env=False, timeout=30) as api:
        model = api.get("/hub/api/user").json()
        assert "access:services!service=workflows" in model["scopes"]
        assert "custom:hub-ext:act-in-roles" not in model["scopes"]
        assert api.get("/services/workflows/api/v1/workflows").status_code == 200
        assert api.get("/services/workflows/api/v1/audit").status_code == 403
        assert api.post(f"/hub/api/users/{person.name}/tokens", json={}).status_code == 403
        assert api.post(person.path("another"), json=QUICK).status_code == 403
    person.stop()
    until(lambda: not person.servers())
    with httpx.Client(base_url=person.platform.url, headers=headers, trust_env=False, timeout=30) as api:
        assert api.get("/hub/api/user").status_code == 403


def test_two_named_servers_of_one_person_run_beside_each_other(person: Person) -> None:
    assert person.start(QUICK, "one").status_code in (201, 202)
    assert person.start(QUICK, "two").status_code in (201, 202)
    for name in ("one", "two"):
        assert person.events(name)[-1].get("ready")
        assert person.api.get(f"/user/{person.name}/{name}/api/status").status_code == 200


@pytest.mark.browser
def test_a_person_chooses_waits_and_works_in_jupyterlab(platform: Any) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_context().new_page()
        page.goto(f"{platform.url}/hub/login")
        expect(page.get_by_role("heading", name="One machine, one trust domain")).to_be_visible()
        page.get_by_label("Name").fill("browsing")
        page.get_by_label("Password").fill(platform.password)
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"{platform.url}/hub/spawn")
        page.get_by_label("Search profiles").fill("pandas")
        expect(page.get_by_role("heading", name="Standard analysis")).to_be_visible()
        expect(page.get_by_role("heading", name="Quick look")).to_be_hidden()
        page.get_by_label("Search profiles").fill("nothing like it")
        expect(page.get_by_text("No profile fits these words.")).to_be_visible()
        page.get_by_role("button", name="Show all").click()
        card = page.locator("section", has=page.get_by_role("heading", name="Standard analysis"))
        card.get_by_text("Change").click()
        card.get_by_label("Stop when idle for").fill("5")
        card.get_by_role("button", name="Start").click()
        expect(page).to_have_url(re.compile(r"/hub/spawn$"))  # the browser holds it back: below the minimum
        card.get_by_label("Stop when idle for").fill("20")
        card.get_by_label("Stop when idle for").press("Enter")
        page.wait_for_url("**/user/browsing/lab**", timeout=90_000)
        page.get_by_role("main").get_by_text("Notebook", exact=True).first.wait_for(timeout=90_000)
        page.goto(f"{platform.url}/hub/home")
        expect(page).to_have_url(f"{platform.url}/services/workflows/")
        chromium.close()
    person = Person(platform, "browsing")
    assert person.stored()["options"] == {"memory": "4Gi", "idle": 20}
    person.stop()


@pytest.mark.browser
def test_a_person_who_waits_can_cancel_and_is_told_so(platform: Any) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_context().new_page()
        page.goto(f"{platform.url}/hub/login?next=/hub/spawn")
        page.get_by_label("Name").fill("cancelling")
        page.get_by_label("Password").fill(platform.password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Start Quick look").click()
        page.wait_for_url("**/spawn-pending/**")
        page.get_by_role("button", name="Cancel the start").click()
        expect(page.get_by_role("alert").get_by_text("Cancelled by you")).to_be_visible(timeout=10_000)
        page.get_by_role("link", name="Choose again").click()
        expect(page.get_by_text("your last choice")).to_be_visible()
        chromium.close()
    assert Person(platform, "cancelling").servers() == {}
