"""Profiles from a real git repository: what a commit changes, what a broken one does not, and who may sync."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.functional.browser import PATIENCE, chromium, visiting
from tests.functional.conftest import Platform, clean_environment, running
from tests.governance.conftest import profile_text
from tests.repository.conftest import Origin

pytestmark = [pytest.mark.functional, pytest.mark.timeout(900)]

S = "/services/workflows/"
API = f"{S}api/v1/"
COMMAND = str(Path(sys.executable).parent / "hub-ext")
BROKEN = profile_text("rivers").replace("memory:", "memroy:")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    """The repository, with one profile in a folder of it."""
    made = Origin(tmp_path_factory.mktemp("hosted") / "origin")
    made.commit({"platform/maps/1.yaml": profile_text(), "README.md": "Profiles."})
    return made


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Platform]:
    """A platform that takes its profiles from there."""
    settings = {
        "HUB_EXT_ROLES": "clara=curator,rene=reviewer,aude=auditor",
        "HUB_EXT_PROFILES_REPOSITORY": f"file://{origin.path}",
        "HUB_EXT_PROFILES_FOLDER": "platform",
        "HUB_EXT_PROFILES_SYNC_EVERY": "5",
    }
    with running(tmp_path_factory.mktemp("town") / "state", **settings) as found:
        yield found


def source(town: Platform) -> dict[str, Any]:
    answer = town.api("clara").get(f"{API}catalog")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["source"])


def until(town: Platform, **wanted: str) -> dict[str, Any]:
    """Wait until the platform has seen by itself what is in the repository."""
    deadline = time.monotonic() + 90
    while True:
        found = source(town)
        if all(found[name] == value for name, value in wanted.items()):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def offered(town: Platform, name: str) -> str:
    """Return the start page of a person."""
    page = town.login(name).get("/hub/spawn")
    assert page.status_code == 200
    return page.text


def approve(town: Platform, content: str, name: str, number: int = 1) -> None:
    """Propose a version as one curator and approve it as another."""
    made = town.api("clara").post(f"{API}profiles/{name}/versions", json={"content": content})
    assert made.status_code in (200, 201), made.text
    body = {"verdict": "approve", "digest": made.json()["digest"]}
    done = town.api("admin").post(f"{API}profiles/{name}/versions/{number}/approvals", json=body)
    assert done.json()["state"] == "approved", done.text


def figures(town: Platform) -> str:
    return str(town.api("admin").get(f"{S}metrics").text)


def test_a_commit_changes_what_can_be_started_once_it_is_approved(town: Platform, origin: Origin) -> None:
    first = origin.git("rev-parse", "HEAD")
    assert until(town, commit=first)["author"] == "Ann Ö. Author <ann@example.org>"
    assert "Maps" not in offered(town, "ann")
    table = town.login("clara").get(f"{S}profiles").text
    assert first[:12] in table
    assert "maps@1" in table
    assert "Ann Ö. Author &lt;ann@example.org&gt;" in table
    approve(town, profile_text(), "maps")
    assert "Maps" in offered(town, "ann")
    second = origin.commit({"platform/rivers/1.yaml": profile_text("rivers", title="Rivers")})
    until(town, commit=second)
    assert "Rivers" not in offered(town, "ann")
    approve(town, profile_text("rivers", title="Rivers"), "rivers")
    assert "Rivers" in offered(town, "ann")
    assert f'hub_ext_profiles_commit_info{{commit="{second}",ref="main"}} 1.0' in figures(town)
    assert "hub_ext_profiles_sync_ok 1.0" in figures(town)


def test_a_broken_commit_keeps_the_last_and_everybody_who_looks_is_told(town: Platform, origin: Origin) -> None:
    good = source(town)["commit"]
    bad = origin.commit({"platform/lakes/1.yaml": BROKEN})
    found = until(town, fault="broken")
    assert (found["commit"], found["refused"]) == (good, bad)
    page = town.login("rene").get(f"{S}profiles").text
    assert "The last good one stays in force." in page
    assert "lakes/1.yaml:8" in page
    assert "Sync now" not in page
    assert "Maps" in offered(town, "ann")
    assert "hub_ext_profiles_sync_ok 0.0" in figures(town)
    audit = town.api("admin").get(f"{API}audit?limit=100").text
    assert bad in audit
    mended = origin.commit({"platform/lakes/1.yaml": profile_text("lakes", title="Lakes")})
    until(town, commit=mended, fault="")
    assert "The last good one" not in town.login("rene").get(f"{S}profiles").text


def test_who_may_sync(town: Platform) -> None:
    path = f"{API}catalog/sync"
    assert httpx.post(f"{town.url}{path}", trust_env=False).status_code == 401
    for name in ("ann", "rene", "aude"):
        assert town.api(name).post(path).status_code == 403
    narrow = town.api("clara", ["access:services!service=workflows"])
    assert narrow.post(path).status_code == 403
    done = town.api("clara").post(path)
    assert (done.status_code, done.json()["source"]["fault"]) == (200, "")
    assert town.api("ann").get(f"{API}catalog").status_code == 403
    wrong = town.api("clara").post(path, json={"rewritten": "x" * 65})
    assert wrong.status_code == 422
    forged = town.login("clara").post(f"{S}profiles/sync", data={}, follow_redirects=False)
    assert forged.status_code == 403


def command(town: Platform, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    signed_in = {"HUB_EXT_URL": town.url, "HUB_EXT_TOKEN": town.token("clara"), "XDG_CONFIG_HOME": str(tmp_path)}
    return subprocess.run(
        [COMMAND, "profiles", "sync", *arguments],
        env=clean_environment() | signed_in,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_by_the_command_line_and_a_history_that_was_written_anew(
    town: Platform, origin: Origin, tmp_path: Path
) -> None:
    commit = origin.commit({"platform/hills/1.yaml": profile_text("hills")})
    done = command(town, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Commit {commit[:12]} by Ann Ö. Author <ann@example.org> is in force, from main of file://" in done.stdout
    origin.git("checkout", "--quiet", "--orphan", "anew")
    anew = origin.commit({"platform/hills/1.yaml": profile_text("hills", title="Other hills")})
    origin.git("branch", "--force", "main", "anew")
    refused = command(town, tmp_path)
    assert refused.returncode == 1
    assert "Its history was written anew" in refused.stderr
    assert source(town)["commit"] == commit
    page = town.login("clara")
    shown = page.get(f"{S}profiles").text
    assert f"Take commit {anew[:12]}" in shown
    token = re.search(r'name="_xsrf" value="([^"]+)"', shown)
    assert token
    taken = page.post(f"{S}profiles/sync", data={"_xsrf": token[1], "rewritten": anew})
    assert "this is its newest commit" in taken.text
    assert source(town)["commit"] == anew
    origin.git("checkout", "--quiet", "main")


def test_the_page_in_a_browser(town: Platform, origin: Origin, tmp_path: Path) -> None:
    with chromium() as browser, visiting(browser, town, tmp_path) as clara:
        clara.sign_in("clara")
        clara.go("profiles")
        page = clara.page
        commit = origin.commit({"platform/dunes/1.yaml": profile_text("dunes")})
        page.get_by_role("button", name="Sync now").click()
        expect(page.get_by_text("The repository was asked: this is its newest commit.")).to_be_visible()
        expect(page.get_by_text(commit[:12])).to_be_visible()
        clara.picture("repository")
        origin.commit({"platform/dunes/1.yaml": "{"})
        # The page is open, and hears of it by itself.
        expect(page.get_by_text("No newer commit could be taken.")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("dunes/1.yaml")).to_be_visible()
        clara.picture("repository-broken")
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= 360")
        clara.picture("repository-narrow")
        assert clara.foreign == []
        assert clara.refused == []
