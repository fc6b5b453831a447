"""Read-only: every address is tried, so that none is forgotten; what runs goes on, and what waits begins afterwards."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from tornado.web import RequestHandler

from hub_ext.web.api.routes import ROUTES
from hub_ext.web.application import all_routes
from hub_ext.web.base import BaseHandler
from tests.functional.conftest import Platform, clean_environment, running
from tests.timing import Pauses

pytestmark = [pytest.mark.functional, pytest.mark.xdist_group("platform")]

HUB_EXT = Path(sys.executable).with_name("hub-ext")
API = "/services/workflows/api/v1"
PREFIX = "/services/workflows/"
WHY = "The disk is replaced."
ENDED = {"succeeded", "failed", "cancelled", "lost"}
# What looks like a change and is none, or is what ends it.
NO_CHANGE = {
    "PUT read-only",
    "DELETE read-only",
    "POST profile-checks",
    "POST profiles/{name}/versions/{number}/rendering",
    "POST workflows/inspect",
}
NO_CHANGE_PAGES = {"CheckForm", "MaintenancePage"}
PARTS = {"number": "1", "kind": "person", "path": "out.csv"}
SAMPLES = {
    "w/([^/]+)/([^/]+)": "w/ann/slow",
    "profiles/([a-z0-9-]{1,63})/([1-9][0-9]{0,8})": "profiles/standard/1",
}
CHANGES = [
    f"{verb.upper()} {route.template}" for route in ROUTES for verb in route.operations() if verb not in ("get", "head")
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of this module alone: others would be refused."""
    roles = json.dumps({"clara": ["curator"], "adam": ["admin"]})
    with running(tmp_path_factory.mktemp("read-only") / "state", HUB_EXT_ROLES=roles, HUB_EXT_RUNS_AT_ONCE="1") as made:
        yield made


def notebook() -> dict[str, Any]:
    cell = nbformat.v4.new_code_cell("import time\nfor n in range(80):\n    print(n, flush=True)\n    time.sleep(0.1)")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return dict(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}))


def wait_for(look: Callable[[], Any], seconds: float = 90.0) -> Any:
    deadline, pause = time.monotonic() + seconds, Pauses()
    while not (found := look()):
        assert time.monotonic() < deadline
        pause()
    return found


class World:
    """A platform that is read-only, with a run that goes on and one that waits."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.ann, self.adam = platform.api("ann"), platform.api("adam")
        made = self.ann.post(f"{API}/workflows", json={"name": "slow", "notebook": notebook()})
        assert made.status_code == 201, made.text
        self.runs = [self.order().json()["id"] for _ in range(2)]
        wait_for(lambda: self.state(self.runs[0]) == "running")
        body = {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat(), "why": WHY}
        begun = self.adam.put(f"{API}/read-only", json=body)
        assert begun.status_code == 200, begun.text
        assert begun.json()["read_only"] is True

    def order(self) -> httpx.Response:
        return self.ann.post(f"{API}/workflows/ann/slow/runs", json={"parameters": {}})

    def state(self, run: str) -> str:
        return str(self.ann.get(f"{API}/runs/{run}").json()["state"])


@pytest.fixture(scope="module")
def world(kept: Platform) -> World:
    return World(kept)


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, (answer.status_code, answer.text[:300])
    assert WHY in answer.text
    assert 0 < int(answer.headers["retry-after"]) <= 3600


def path_of(template: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: PARTS.get(found[1], "x1"), template)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_api_is_refused_with_the_reason_and_the_end(world: World, change: str) -> None:
    verb, _, template = change.partition(" ")
    if change in NO_CHANGE:
        (route,) = (route for route in ROUTES if route.template == template)
        assert route.handler.changes is False
        return
    answer = world.platform.api("clara").request(verb, f"{API}/{path_of(template)}")
    refused(answer)
    assert answer.json()["type"] == "urn:hub-ext:problem:read-only"


def test_every_form_of_the_pages_is_refused(world: World) -> None:
    browser = world.platform.login("clara")
    page = browser.get(PREFIX)
    assert WHY in page.text
    token = re.search(r'"X-XSRFToken": "([^"]+)"', page.text)
    assert token
    tried = 0
    for spec in all_routes(PREFIX):
        handler = spec.handler_class
        posts = issubclass(handler, BaseHandler) and handler.post is not RequestHandler.post
        if not posts or "api/" in spec.regex.pattern:
            continue
        if not handler.changes:
            assert handler.__name__ in NO_CHANGE_PAGES
            continue
        path = spec.regex.pattern.removesuffix("$").replace("\\", "")
        for pattern, sample in SAMPLES.items():
            path = path.replace(pattern, sample)
        path = re.sub(r"\([^()]*\)", "x1", path)
        refused(browser.post(path, headers={"X-XSRFToken": token[1]}))
        tried += 1
    assert tried >= 20


HUB_PAGES = ("/hub/home?servers", "/hub/token", "/hub/spawn", "/hub/spawn-pending/ann", "/hub/admin", "/hub/nowhere")


def test_the_hubs_own_pages_say_it_in_the_same_words_to_whoever_is_signed_in(world: World) -> None:
    ann, adam = world.platform.login("ann"), world.platform.login("adam")
    words = re.search(r"<strong>(Read-only until [^<]+)</strong> ([^<]+) <a", adam.get(PREFIX).text)
    assert words
    for path in HUB_PAGES:
        text = (adam if path == "/hub/admin" else ann).get(path).text
        assert f"<strong>{words[1]}</strong> {words[2]} <a" in text, path
    stranger = httpx.get(f"{world.platform.url}/hub/login", trust_env=False)
    assert stranger.status_code == 200
    assert WHY not in stranger.text


def test_everything_can_be_read(world: World) -> None:
    for path in ("workflows", "runs", "profiles", "servers", "access", "read-only", f"runs/{world.runs[0]}"):
        assert world.ann.get(f"{API}/{path}").status_code == 200, path
    found = world.ann.get(f"{API}/read-only").json()
    assert (found["why"], found["by"]) == (WHY, "adam")


def test_no_server_starts_and_the_reason_is_told(world: World) -> None:
    answer = world.ann.post("/hub/api/users/ann/server", json={"profile": "quick-look", "options": {}})
    assert answer.status_code == 503, answer.text
    assert WHY in answer.text


def test_what_runs_goes_on_and_what_waits_begins_when_it_is_over(world: World) -> None:
    goes_on, waits = world.runs
    wait_for(lambda: world.state(goes_on) in ENDED)
    assert world.state(goes_on) == "succeeded"
    assert world.ann.get(f"{API}/runs/{goes_on}/report").status_code == 200
    assert world.state(waits) == "queued"
    assert world.adam.delete(f"{API}/read-only").status_code == 204
    wait_for(lambda: world.state(waits) == "running")
    browser = world.platform.login("ann")
    assert WHY not in browser.get(PREFIX).text
    wait_for(lambda: WHY not in browser.get("/hub/token").text)
    assert world.order().status_code == 201


def test_the_page_begins_and_ends_it_for_admins_alone(world: World) -> None:
    reader, admin = world.platform.login("ann"), world.platform.login("adam")
    assert "Admins begin and end it." in reader.get(f"{PREFIX}read-only").text

    def post(browser: httpx.Client, **fields: str) -> httpx.Response:
        found = re.search(r'"X-XSRFToken": "([^"]+)"', browser.get(f"{PREFIX}read-only").text)
        assert found
        return browser.post(f"{PREFIX}read-only", data=fields | {"_xsrf": found[1]})

    assert post(reader, act="begin", minutes="15", why="x").status_code == 403
    assert post(admin, act="begin", minutes="15", why="").status_code == 422
    assert post(admin, act="begin", minutes="7", why="x").status_code == 422
    assert "Backup <now>" not in post(admin, act="begin", minutes="15", why="Backup <now>").text
    assert "Backup &lt;now&gt;" in wait_for(
        lambda: text if "Backup" in (text := reader.get(f"{PREFIX}gallery").text) else ""
    )
    assert "Backup &lt;now&gt;" in wait_for(lambda: text if "Backup" in (text := reader.get("/hub/token").text) else "")
    assert post(admin, act="end").status_code == 200
    assert world.ann.get(f"{API}/read-only").json()["read_only"] is False


def test_the_command_begins_shows_and_ends_it(world: World) -> None:
    def command(*arguments: str) -> str:
        environment = clean_environment() | {
            "HUB_EXT_URL": world.platform.url,
            "HUB_EXT_TOKEN": world.platform.token("adam"),
        }
        done = subprocess.run(
            [str(HUB_EXT), "read-only", *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Nothing can be changed now" in command("on", "--minutes", "5", "--why", WHY)
    assert json.loads(command("show", "--json"))["why"] == WHY
    assert WHY in command("show")
    assert "again" in command("off")
    assert "Everything can be changed" in command("show")
