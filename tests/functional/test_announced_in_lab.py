"""JupyterLab itself tells when its server ends, and leads to where one more hour is asked for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from hub_ext.db.session import Database
from hub_ext.db.tables import ServerStart
from tests.functional.browser import PATIENCE, visiting
from tests.functional.conftest import Platform
from tests.functional.faults import until
from tests.functional.owned import API, owned_profile
from tests.functional.test_api_access import later

pytestmark = [pytest.mark.functional, pytest.mark.xdist_group("platform"), pytest.mark.timeout(300)]

NAME = "lasting"


@pytest.fixture(scope="module")
def lena(platform: Platform) -> httpx.Client:
    """Somebody whose server of two hours runs; it may be kept once."""
    owned_profile(platform, NAME, "olga", maximum=120, extensions=1)
    body = {"profile": NAME, "kind": "person", "name": "lena", "until": later(), "reason": "To test."}
    assert platform.api("clara").post(f"{API}entitlements", json=body).status_code == 201
    person = platform.api("lena")
    assert person.post("/hub/api/users/lena/server", json={"profile": NAME}).status_code in (201, 202)
    until(lambda: person.get("/hub/api/users/lena").json()["servers"].get("", {}).get("ready"))
    return person


def older(platform: Platform, start: str, minutes: float) -> None:
    """Let a server have become ready earlier, as far as its row says."""
    database = Database(f"sqlite:///{platform.state / 'hub-ext.sqlite'}")
    with database.write() as session:
        row = session.get_one(ServerStart, start)
        assert row.ready_at is not None
        row.ready_at -= timedelta(minutes=minutes)
    database.dispose()


def test_to_ask_is_no_use_of_the_server(lena: httpx.Client) -> None:
    """Without this, an open page would keep a server that nobody uses."""
    first = lena.get("/user/lena/api/status").json()["last_activity"]
    for _ in range(5):
        assert lena.get("/user/lena/hub-ext/end").status_code == 200
    assert lena.get("/user/lena/api/status").json()["last_activity"] == first


def test_the_end_is_told_where_she_works(
    platform: Platform, lena: httpx.Client, browser: Browser, tmp_path: Path
) -> None:
    (start,) = lena.get(f"{API}servers").json()["items"]
    with visiting(browser, platform, tmp_path) as visitor:
        visitor.sign_in("lena")
        page = visitor.page
        page.goto(f"{platform.url}/user/lena/lab")
        page.wait_for_selector(".jp-Launcher", timeout=PATIENCE)
        told = page.locator("#hub-ext-end[role=status]")
        expect(told).to_have_count(1, timeout=PATIENCE)
        expect(told).to_be_empty()  # it does not end soon
        end = lena.get("/user/lena/hub-ext/end").json()
        assert (end["announced"], end["can_be_kept"]) == (False, 1)
        older(platform, start["id"], 90)
        until(lambda: lena.get("/user/lena/hub-ext/end").json()["announced"], what="it is asked again after 20 s")
        page.reload()
        page.wait_for_selector(".jp-Launcher", timeout=PATIENCE)
        expect(told).to_contain_text("This server ends at", timeout=PATIENCE)
        expect(told).to_contain_text("It reaches the longest life that its profile allows.")
        visitor.picture("announced")
        keep = told.get_by_role("link", name="Keep for another hour")
        assert keep.get_attribute("href") == "/services/workflows/"
        told.get_by_role("button", name="Dismiss").press("Enter")  # by keyboard
        expect(told).to_be_empty()
        assert visitor.foreign == []


def test_nobody_else_is_told(platform: Platform, lena: httpx.Client) -> None:
    assert httpx.get(f"{platform.url}/user/lena/hub-ext/end", trust_env=False).status_code in (302, 403)
    assert platform.api("eve").get("/user/lena/hub-ext/end").status_code in (403, 404)
