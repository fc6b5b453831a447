"""The home of somebody who left: kept, let go by an admin who saw what is lost, or hers again if she is back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyterhub.slugs import safe_slug
from playwright.sync_api import Browser

from tests.functional.browser import visiting
from tests.functional.conftest import COMMAND, Platform, clean_environment
from tests.functional.faults import until

pytestmark = [pytest.mark.functional, pytest.mark.xdist_group("platform"), pytest.mark.timeout(300)]

API = "/services/workflows/api/v1/"
PAGE = "/services/workflows/access/homes"


def home(platform: Platform, name: str) -> Path:
    return platform.state / "homes" / str(safe_slug(name))


def lived_here(platform: Platform, name: str) -> Path:
    """Have somebody start a server and stop it; return her home, with a file in it."""
    person = platform.api(name)
    server = f"/hub/api/users/{name}/server"
    assert person.post(server, json={"profile": "quick-look"}).status_code in (201, 202)
    until(lambda: person.get(f"/hub/api/users/{name}").json()["servers"].get("", {}).get("ready"))
    assert person.delete(server).status_code in (202, 204)
    until(lambda: "" not in person.get(f"/hub/api/users/{name}").json()["servers"])
    (home(platform, name) / "thesis.txt").write_text("x" * 100_000)
    return home(platform, name)


def known(platform: Platform, name: str) -> dict[str, Any]:
    """Return what an auditor is told of somebody's home; nothing where it is not listed."""
    items = platform.api("aude").get(f"{API}homes").json()["items"]
    return next((one for one in items if one["name"] == name), {})


def state(platform: Platform, name: str) -> str | None:
    return known(platform, name).get("state")


def form(client: httpx.Client, address: str, fields: dict[str, Any]) -> httpx.Response:
    client.get(PAGE)
    token = client.cookies.get("_xsrf", path="/services/workflows/")
    return client.post(address, data={"_xsrf": token, **fields})


def test_an_admin_sees_who_left_is_told_what_is_lost_and_lets_it_go(
    platform: Platform, browser: Browser, tmp_path: Path
) -> None:
    path = lived_here(platform, "homer")
    assert platform.api("admin").delete("/hub/api/users/homer").status_code == 204
    until(lambda: state(platform, "homer") == "kept")
    assert path.exists()
    with visiting(browser, platform, tmp_path) as visitor:
        visitor.sign_in("admin")
        visitor.page.goto(f"{platform.url}{PAGE}")
        assert visitor.page.locator("input[name=names]:checked").count() == 0  # nothing is chosen for her
        visitor.page.get_by_role("button", name="See what would be lost").click()
        assert "choose at least one home" in visitor.page.locator("[role=alert]").inner_text()
        visitor.page.get_by_label("Choose the home of homer").check()
        visitor.page.get_by_role("button", name="See what would be lost").click()
        asked = visitor.page.locator("main").inner_text()
        assert "the folder homes/homer" in asked
        assert "lost for ever" in asked
        assert path.exists()
        visitor.page.get_by_role("button", name="Remove the home of homer for ever").click()
        visitor.page.wait_for_url(f"**{PAGE}?done=1")
        visitor.page.locator("#homes-removed", has_text="homer").wait_for(timeout=60_000)  # without a reload
        assert visitor.foreign == []
    assert not path.exists()
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []
    acts = platform.api("aude").get(f"{API}audit", params={"object": "home:homer"}).json()["items"]
    assert {one["action"] for one in acts} == {"home.confirm", "home.remove"}


def test_whoever_is_let_in_again_has_her_home_again(platform: Platform) -> None:
    path, admin = lived_here(platform, "hanna"), platform.api("admin")
    assert admin.put(f"{API}people/hanna/block", json={"reason": "Left."}).status_code == 200
    until(lambda: state(platform, "hanna") == "kept")
    assert known(platform, "hanna")["why"] == "blocked by admin: Left."
    assert admin.delete(f"{API}people/hanna/block").status_code == 204
    until(lambda: state(platform, "hanna") is None)
    assert (path / "thesis.txt").exists()
    assert admin.post(f"{API}homes/removal", json={"names": ["hanna"]}).status_code == 404


def test_from_a_terminal_it_is_asked_for_by_name(platform: Platform, tmp_path: Path) -> None:
    path, admin = lived_here(platform, "hugo"), platform.api("admin")
    assert admin.put(f"{API}people/hugo/block", json={"reason": "Left."}).status_code == 200
    until(lambda: state(platform, "hugo") == "kept")
    environment = clean_environment() | {"HUB_EXT_URL": platform.url, "HUB_EXT_TOKEN": platform.token("admin")}

    def ask(*arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        command = [COMMAND[0], "people", "homes", *arguments]
        return subprocess.run(
            command, env=environment, input=answer, capture_output=True, text=True, check=False, timeout=60
        )

    listed = json.loads(ask("list", "--json").stdout)["items"]
    assert any(one["name"] == "hugo" and one["removable"] for one in listed)
    assert "homes/hugo" in ask("list").stdout.replace("\n", "")
    refused = ask("remove", "hugo", answer="n\n")
    assert refused.returncode != 0
    assert "the folder homes/hugo" in refused.stderr
    assert ask("remove").returncode == 2
    assert path.exists()
    done = ask("remove", "hugo", "--yes")
    assert done.returncode == 0, done.stderr
    until(lambda: state(platform, "hugo") == "removed")
    assert not path.exists()
    assert ask("remove", "hugo", "--yes").returncode != 0


def test_nobody_but_an_admin_lets_one_go_and_auditors_see_the_list(platform: Platform) -> None:
    for name, listed in (("eve", 403), ("clara", 403), ("aude", 200)):
        client = platform.login(name)
        assert client.get(PAGE).status_code == listed, name
        assert client.get(f"{PAGE}/confirm?names=x").status_code == (403 if listed == 403 else 404), name
        answer = form(client, f"{PAGE}/remove", {"names": "hanna"})
        assert answer.status_code == 403, name
        assert platform.api(name).post(f"{API}homes/removal", json={"names": ["hanna"]}).status_code == 403
    page = platform.login("aude").get(PAGE).text
    assert "See what would be lost" not in page
    stranger = httpx.get(f"{platform.url}{PAGE}", trust_env=False)
    assert stranger.status_code == 302
    assert platform.login("admin").post(f"{PAGE}/remove", data={"names": "hanna"}).status_code == 403  # no token


@pytest.mark.parametrize("body", [{}, {"names": []}, {"names": "lea"}, {"names": [1]}, {"names": ["x"] * 2}, {"x": 1}])
def test_what_names_nobody_is_told(platform: Platform, body: dict[str, Any]) -> None:
    answer = platform.api("admin").post(f"{API}homes/removal", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
