"""Somebody is blocked or deleted: sessions, tokens, servers and runs end within a minute; workflows find an heir."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from tests.functional.conftest import Platform
from tests.functional.faults import until

pytestmark = [pytest.mark.functional, pytest.mark.timeout(300)]

API = "/services/workflows/api/v1/"
MINUTE = 60.0  # seconds within which everything is taken


def notebook() -> dict[str, Any]:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    source = "import time; time.sleep(600)"
    cell = {"cell_type": "code", "id": "a", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": [cell]}


def busy(platform: Platform, name: str) -> str:
    """Have somebody hold a token, a server and a run; return the run's id."""
    person = platform.api(name)
    made = person.post(f"{API}workflows", json={"name": "waits", "notebook": notebook(), "profile": "quick-look"})
    assert made.status_code == 201, made.text
    run = person.post(f"{API}workflows/{name}/waits/runs", json={"parameters": {}})
    assert run.status_code == 201, run.text
    assert person.post(f"/hub/api/users/{name}/server", json={"profile": "quick-look"}).status_code in (201, 202)
    until(lambda: person.get(f"/hub/api/users/{name}").json()["servers"].get("", {}).get("ready"))
    return str(run.json()["id"])


class Clock:
    """Waits for things that have to be true within a minute from when it was made."""

    def __init__(self) -> None:
        self._until = time.monotonic() + MINUTE

    def until(self, look: Callable[[], Any]) -> None:
        until(look, self._until - time.monotonic())


def state_of(platform: Platform, run_id: str) -> str:
    """Return the state of a run that nobody may ask about any more."""
    database = Database(f"sqlite:///{platform.state / 'hub-ext.sqlite'}")
    try:
        with database.read() as session:
            return session.get_one(Run, run_id).state
    finally:
        database.dispose()


def answers(platform: Platform, name: str) -> bool:
    """Return whether somebody's server answers."""
    return "version" in httpx.get(f"{platform.url}/user/{name}/api", trust_env=False, timeout=30).text


def test_whoever_is_blocked_loses_everything_within_a_minute_and_may_be_let_in_again(platform: Platform) -> None:
    admin, run_id = platform.api("admin"), busy(platform, "lea")
    browser = platform.login("lea")
    assert answers(platform, "lea")
    clock = Clock()
    assert admin.put(f"{API}people/lea/block", json={"reason": "To test."}).status_code == 200
    lea = platform.api("lea")
    assert lea.post(f"{API}workflows/lea/waits/runs", json={"parameters": {}}).status_code in (401, 403)
    clock.until(lambda: lea.get("/hub/api/user").status_code == 403)
    clock.until(lambda: not answers(platform, "lea"))
    clock.until(lambda: state_of(platform, run_id) == "cancelled")
    clock.until(lambda: lea.get(f"{API}runs").status_code == 401)
    clock.until(lambda: browser.get(f"{API}runs").status_code == 401)
    assert browser.get("/hub/api/user").status_code == 403
    sign_in = {"auth": {"username": "lea", "password": platform.password}}
    refused = httpx.post(f"{platform.url}/hub/api/users/lea/tokens", json=sign_in, trust_env=False, timeout=60)
    assert refused.status_code == 403

    page = platform.login("admin").get("/services/workflows/access/people/lea")
    assert "Blocked by admin" in page.text
    assert "Let lea in again" in page.text
    heir = admin.post(f"{API}people/lea/heir", json={"heir": "admin"})
    assert heir.json()["items"] == [{"before": "waits", "name": "waits"}]
    assert admin.get(f"{API}workflows/admin/waits").status_code == 200
    assert admin.post(f"{API}people/lea/heir", json={"heir": "nobody-of-this-name"}).status_code == 422
    assert admin.post(f"{API}people/lea/heir", json={"heir": "no-group", "kind": "group"}).status_code == 422
    assert admin.delete(f"{API}people/lea/block").status_code == 204
    again = httpx.post(f"{platform.url}/hub/api/users/lea/tokens", json=sign_in, trust_env=False, timeout=60)
    assert again.status_code == 201


def test_the_runs_of_somebody_who_was_deleted_at_the_hub_end_with_her(platform: Platform) -> None:
    run_id = busy(platform, "del")
    gone, browser, clock = platform.api("del"), platform.login("del"), Clock()
    assert platform.api("admin").delete("/hub/api/users/del").status_code == 204
    clock.until(lambda: not answers(platform, "del"))
    clock.until(lambda: state_of(platform, run_id) == "cancelled")
    clock.until(lambda: gone.get(f"{API}runs").status_code == 401)
    clock.until(lambda: browser.get(f"{API}runs").status_code == 401)


def test_the_forms_of_an_admin_are_an_admin_s(platform: Platform) -> None:
    platform.api("pia")
    for name, status in (("clara", 403), ("pia", 403)):
        browser = platform.login(name)
        browser.get("/services/workflows/access")
        token = browser.cookies.get("_xsrf", path="/services/workflows/")
        for form, fields in (("block", {"reason": "x"}), ("let-in", {}), ("heir", {"heir": "clara"})):
            answer = browser.post(f"/services/workflows/access/people/pia/{form}", data={"_xsrf": token, **fields})
            assert answer.status_code == status, (name, form)
    assert platform.api("pia").get(f"{API}runs").status_code == 200
    admin = platform.login("admin")
    admin.get("/services/workflows/access")
    token = admin.cookies.get("_xsrf", path="/services/workflows/")
    address = "/services/workflows/access/people/pia/heir"
    assert admin.post(address, data={"_xsrf": token, "heir": "nobody-at-all", "kind": "person"}).status_code == 422
    done = admin.post(address, data={"_xsrf": token, "heir": "clara", "kind": "person"})
    assert "There was no workflow to hand over" in done.text
    assert admin.post("/services/workflows/access/people/pia/block", data={"reason": "no token"}).status_code == 403


def test_a_token_is_listed_with_its_scopes_and_end_and_is_good_for_nothing_once_it_is_revoked(
    platform: Platform,
) -> None:
    tia = platform.api("tia")
    body = {"note": "CI", "expires_in": 3600, "scopes": ["access:services!service=workflows"]}
    made = tia.post("/hub/api/users/tia/tokens", json=body).json()
    listed = {one["id"]: one for one in tia.get("/hub/api/users/tia/tokens").json()["api_tokens"]}
    assert listed[made["id"]]["note"] == "CI"
    assert listed[made["id"]]["expires_at"] is not None
    assert "token" not in listed[made["id"]]
    page = platform.login("tia").get("/hub/token")
    assert "CI" in page.text
    short = tia.post("/hub/api/users/tia/tokens", json=body | {"expires_in": 1}).json()
    with script(platform, made["token"]) as one, script(platform, short["token"]) as other:
        assert one.get(f"{API}runs").status_code == 200
        other.get(f"{API}runs")  # from now on the service may remember it
        assert one.put(f"{API}people/pia/block", json={"reason": "x"}).status_code == 403
        clock = Clock()
        assert tia.delete(f"/hub/api/users/tia/tokens/{made['id']}").status_code == 204
        clock.until(lambda: one.get(f"{API}runs").status_code == 401)
        until(lambda: other.get(f"{API}runs").status_code == 401, MINUTE)


def script(platform: Platform, token: str) -> httpx.Client:
    """Return a client with a token that somebody made."""
    headers = {"Authorization": f"token {token}"}
    return httpx.Client(base_url=platform.url, trust_env=False, timeout=60, headers=headers)
