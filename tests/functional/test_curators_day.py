"""A curator's day from an empty catalog: in a real browser, and by the command line alone. Two approvals are needed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.functional.browser import PATIENCE, Visitor, visiting
from tests.functional.conftest import Platform, clean_environment, running

pytestmark = [
    pytest.mark.functional,
    pytest.mark.browser,
    pytest.mark.timeout(900),
]

CURATORS = ("cleo", "eva", "omar")
COMMAND = str(Path(sys.executable).parent / "hub-ext")
REMOVAL = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: {version}, title: {title}, owner: gis-team}}
spec:
  description: For maps, terrain and satellite pictures.
  access: {{groups: [analysts]}}
  image: notebooks/standard
  resources: {{cpu: {{request: 0.5, limit: 1}}, memory: {{request: 1Gi, limit: {memory}}}}}
"""


def text(name: str, title: str, version: int = 1, memory: str = "2Gi") -> str:
    return PROFILE.format(name=name, title=title, version=version, memory=memory)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profiles folder with nothing in it."""
    return tmp_path_factory.mktemp("profiles")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Platform]:
    """A platform with an empty catalog and three curators, two of whom must approve."""
    roles = ",".join(f"{name}=curator" for name in CURATORS)
    settings = {"HUB_EXT_ROLES": roles, "HUB_EXT_APPROVALS_REQUIRED": "2", "HUB_EXT_PROFILES_DIR": str(folder)}
    with running(tmp_path_factory.mktemp("town") / "state", **settings) as found:
        yield found


def put(folder: Path, content: str, name: str, version: int = 1) -> Path:
    """Write a file into the profiles folder, as somebody who merges a change does."""
    path = folder / name / f"{version}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def reload_until(page: Page, words: str) -> None:
    """Load a page again and again until it says something: files are looked at once a second."""
    deadline = time.monotonic() + PATIENCE / 1000
    while words not in page.inner_text("main"):
        assert time.monotonic() < deadline, page.inner_text("main")
        page.wait_for_timeout(300)
        page.reload()


# --- in a browser ----------------------------------------------------------------------------------------------------


def approve(visitor: Visitor, title: str, comment: str) -> None:
    """Follow what waits on one's home page, look at it and approve it."""
    page = visitor.page
    visitor.go("")
    page.get_by_role("link", name=f"Approve {title}?").click()
    page.get_by_label("Your words").fill(comment)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Your approval counts.")).to_be_visible()


def test_the_day_in_a_browser(town: Platform, browser: Browser, folder: Path, tmp_path: Path) -> None:
    with (
        visiting(browser, town, tmp_path) as cleo,
        visiting(browser, town, tmp_path) as eva,
        visiting(browser, town, tmp_path) as omar,
        visiting(browser, town, tmp_path) as ann,
    ):
        for visitor, name in ((cleo, "cleo"), (eva, "eva"), (omar, "omar"), (ann, "ann")):
            visitor.sign_in(name)
        begin_with_nothing(cleo, ann)
        write_check_and_propose(cleo, folder)
        be_refused_and_approved(cleo, eva, omar, town)
        start_it(ann)
        make_version_two(cleo, eva, omar)
        end_version_one(cleo)
        start_version_two(town)
        for visitor in (cleo, eva, omar, ann):
            assert visitor.foreign == []
            assert visitor.refused == []


def begin_with_nothing(cleo: Visitor, ann: Visitor) -> None:
    cleo.go("profiles")
    expect(cleo.page.get_by_text("There are no profiles yet")).to_be_visible()
    ann.page.goto(f"{ann.platform.url}/hub/spawn")
    expect(ann.page.get_by_text("There are no profiles yet.")).to_be_visible()


def write_check_and_propose(cleo: Visitor, folder: Path) -> None:
    page = cleo.page
    put(folder, text("maps", "Maps").replace("memory:", "memroy:"), "maps")
    reload_until(page, "could not be read")
    expect(page.get_by_text("1 file could not be read.")).to_be_visible()
    wrong = page.get_by_role("listitem").filter(has_text="did you mean memory?")
    expect(wrong.get_by_text("maps/1.yaml:8")).to_be_visible()
    put(folder, text("maps", "Maps"), "maps")
    reload_until(page, "Not proposed")
    page.get_by_role("link", name="Maps", exact=True).click()
    expect(page.get_by_text("It meets every rule of the policy")).to_be_visible()
    page.get_by_label("Your words to who approves it").fill("For the new maps.")
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_text("It is proposed, and waits for approval.")).to_be_visible()


def be_refused_and_approved(cleo: Visitor, eva: Visitor, omar: Visitor, town: Platform) -> None:
    expect(cleo.page.get_by_text("You proposed this version, so you cannot approve it")).to_be_visible()
    expect(cleo.page.get_by_role("button", name="Approve")).to_have_count(0)
    shown = town.api("cleo").get("/services/workflows/api/v1/profiles/maps/versions/1").json()
    body = {"verdict": "approve", "digest": shown["digest"]}
    own = town.api("cleo").post("/services/workflows/api/v1/profiles/maps/versions/1/approvals", json=body)
    assert own.status_code == 403
    approve(eva, "Maps, version 1", "Looks right.")
    expect(eva.page.get_by_text("1 of 2")).to_be_visible()
    # The author's page is open, and hears of it by itself.
    expect(cleo.page.locator("#verdicts").get_by_text("Looks right.")).to_be_visible()
    approve(omar, "Maps, version 1", "I agree.")
    expect(omar.page.get_by_text("by two people")).to_be_visible()


def start_it(ann: Visitor) -> None:
    page = ann.page
    page.goto(f"{ann.platform.url}/hub/spawn")
    card = page.locator("section", has=page.get_by_role("heading", name="Maps"))
    expect(card.get_by_text("by two people")).to_be_visible()
    card.get_by_role("button", name="Start").click()
    page.wait_for_url("**/user/ann/lab**")


def make_version_two(cleo: Visitor, eva: Visitor, omar: Visitor) -> None:
    page = cleo.page
    cleo.go("profiles/maps/1")
    page.get_by_role("link", name="Write the next version").click()
    editor = page.get_by_label("As it stands in the profiles folder")
    content = editor.input_value()
    assert "version: 2" in content
    editor.fill(content.replace('limit: "2Gi"', 'limit: "3Gi"'))
    page.get_by_label("Your words to who approves it").fill("Satellite pictures need more.")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("passes its checks")).to_be_visible()
    expect(page.locator("#draft ins").get_by_text("3Gi").first).to_be_visible()
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_text("It is proposed, and waits for approval.")).to_be_visible()
    eva.go("profiles/maps/2")
    expect(eva.page.get_by_text("It can have more memory: 3 GB in place of 2 GB.")).to_be_visible()
    memory = eva.page.locator(".hx-diff li", has_text="spec.containers[notebook].resources.limits.memory")
    expect(memory.locator("del")).to_have_text("2Gi")
    expect(memory.locator("ins")).to_have_text("3Gi")
    expect(eva.page.locator("#affected").get_by_text("ann")).to_be_visible()
    approve(eva, "Maps, version 2", "")
    approve(omar, "Maps, version 2", "")


def end_version_one(cleo: Visitor) -> None:
    page = cleo.page
    cleo.go("profiles/maps/1")
    page.get_by_text("Deprecate it").click()
    expect(page.get_by_text("1 person runs it now")).to_be_visible()
    page.get_by_label("Removed on").fill(REMOVAL)
    page.get_by_label("What to use in its place").select_option("maps@2")
    page.get_by_role("button", name="Deprecate").click()
    expect(page.get_by_text("It ends, and starts say so from now on.")).to_be_visible()
    cleo.go("profiles")
    ended = page.locator("section", has=page.get_by_role("heading", name="Deprecated, and still in use"))
    expect(ended.get_by_text("is run by ann")).to_be_visible()
    expect(ended.get_by_text("maps@2 takes its place")).to_be_visible()


def start_version_two(town: Platform) -> None:
    ann = town.api("ann")
    stopped(ann, "ann")
    assert ann.post("/hub/api/users/ann/server", json={"profile": "maps", "options": {}}).status_code in (201, 202)
    entry = town.api("cleo").get("/services/workflows/api/v1/profiles/maps/versions/2").json()
    assert entry["people_now"] == ["ann"]
    stopped(ann, "ann")


def stopped(client: Any, name: str) -> None:
    """Stop a person's server and wait until it is gone."""
    client.delete(f"/hub/api/users/{name}/server")
    deadline = time.monotonic() + PATIENCE / 1000
    while client.get(f"/hub/api/users/{name}").json()["servers"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- by the command line ---------------------------------------------------------------------------------------------


class Terminal:
    """Somebody at a terminal, signed in by a token."""

    def __init__(self, town: Platform, name: str, folder: Path) -> None:
        self._folder = folder
        self._environ = clean_environment() | {
            "HUB_EXT_URL": town.url,
            "HUB_EXT_TOKEN": town.token(name),
            "XDG_CONFIG_HOME": str(folder / f"{name}-config"),
            "COLUMNS": "200",  # a table in a narrow terminal breaks its words
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run `hub-ext`; return what it printed."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self._folder,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr


def test_the_day_by_the_command_line(town: Platform, folder: Path, tmp_path: Path) -> None:
    cleo, eva, omar = (Terminal(town, name, tmp_path) for name in CURATORS)
    first = tmp_path / "1.yaml"
    first.write_text(text("terrain", "Terrain"))
    cleo.run("profiles", "propose", str(first), "--message", "For hills.")
    own = cleo.run("profiles", "approve", "terrain@1", "--digest", digest_of(cleo, "terrain@1"), code=3)
    assert "You proposed this version yourself." in own
    for curator in (eva, omar):
        curator.run("profiles", "approve", "terrain@1", "--digest", digest_of(curator, "terrain@1"))
    assert "terrain@1 is approved" in cleo.run("profiles", "show", "terrain@1")

    bob = town.api("bob")
    assert bob.post("/hub/api/users/bob/server", json={"profile": "terrain", "options": {}}).status_code in (201, 202)

    second = tmp_path / "2.yaml"
    second.write_text(text("terrain", "Terrain", 2, "3Gi"))
    assert "terrain@2 is proposed" in cleo.run("profiles", "propose", str(second))
    shown = eva.run("profiles", "show", "terrain@2")
    assert "In use now by bob." in shown
    assert "limits.memory: 2Gi → 3Gi" in shown
    refused = eva.run("profiles", "refuse", "terrain@2", "--comment", "Why so much?")
    assert "0 of 2 approvals" in refused
    for curator in (eva, omar):
        curator.run("profiles", "approve", "terrain@2", "--digest", digest_of(curator, "terrain@2"))
    cleo.run("profiles", "deprecate", "terrain@1", "--removal", REMOVAL, "--successor", "terrain@2")
    listed = {f"{one['name']}@{one['version']}": one for one in json.loads(cleo.run("profiles", "list", "--json"))}
    assert (listed["terrain@1"]["state"], listed["terrain@1"]["people_now"]) == ("deprecated", ["bob"])
    assert (listed["terrain@2"]["state"], listed["terrain@2"]["findings"]) == ("approved", [])
    assert "bob may start Terrain now." in cleo.run("profiles", "explain", "bob", "terrain")
    cleo.run("profiles", "explain", "nobody-at-all", code=3)
    stopped(bob, "bob")


def digest_of(terminal: Terminal, version: str) -> str:
    return str(json.loads(terminal.run("profiles", "show", version, "--json"))["digest"])


def test_exceptions_by_the_command_line(town: Platform, tmp_path: Path) -> None:
    cleo, eva = (Terminal(town, name, tmp_path) for name in CURATORS[:2])
    path = tmp_path / "1.yaml"
    path.write_text(text("delta", "Delta", memory="900Gi"))
    cleo.run("profiles", "propose", str(path))
    digest = digest_of(eva, "delta@1")
    assert "memory-limit" in eva.run("profiles", "approve", "delta@1", "--digest", digest, code=2)
    wish = ("--until", REMOVAL, "--reason", "One flood.", "--user", "bob")
    granted = json.loads(eva.run("policy", "except", "delta", "memory-limit", *wish, "--json"))
    assert "One flood." in cleo.run("policy", "exceptions")
    assert "1 of 2 approvals" in eva.run("profiles", "approve", "delta@1", "--digest", digest)
    cleo.run("policy", "revoke", granted["id"], "--reason", "It is over.")
    assert "There are no exceptions." in cleo.run("policy", "exceptions")
    cleo.run("profiles", "withdraw", "delta@1")
