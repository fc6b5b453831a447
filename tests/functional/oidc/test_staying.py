"""Who is signed in and what she may, as it changes at the provider, who is asked again every few seconds here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.functional.faults import until
from tests.functional.oidc.conftest import World
from tests.functional.oidc.people import SERVICE, SignedIn

pytestmark = [pytest.mark.functional, pytest.mark.timeout(300)]

START = {"profile": "quick-look"}
# Five minutes, of which the tests' setting takes away what it is shorter by than the usual one: `sign_in_refresh` is 4
# seconds here and 240 else. All else is as it is: how often is looked, how long the service believes the Hub.
FIVE_MINUTES = 300.0 - (240 - 4)
MINUTE = 60.0
CACHED = 120  # seconds, on a machine that does much else: the service believes the Hub for 30


def notebook(source: str) -> dict[str, Any]:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cell = {"cell_type": "code", "id": "a", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": [cell]}


def run_of(person: SignedIn, owner: str, source: str) -> str:
    """Publish a workflow of somebody's and run it; return the run's id."""
    body = {"name": "wait", "notebook": notebook(source), "profile": "quick-look"}
    made = person.ask("POST", "workflows", body)
    assert made.status_code in (200, 201), made.text
    run = person.ask("POST", f"workflows/{owner}/wait/runs", {"parameters": {}})
    assert run.status_code == 201, run.text
    return str(run.json()["id"])


def server_of(person: SignedIn, name: str) -> dict[str, Any]:
    answer = person.hub("GET", f"users/{name}")
    return dict(answer.json()["servers"].get("", {})) if answer.status_code == 200 else {}


def has_server(world: World, name: str) -> bool:
    """Return whether a server of somebody's is known to the proxy."""
    answer = httpx.get(f"{world.platform.url}/user/{name}/api", trust_env=False, timeout=30)
    return "version" in answer.text


@pytest.fixture
def script(world: World) -> Iterator[httpx.Client]:
    """A client without anything."""
    with httpx.Client(base_url=world.platform.url, trust_env=False, timeout=60) as found:
        yield found


def test_a_removed_group_ends_new_starts_at_the_next_start(world: World) -> None:
    world.person("gia", groups=("analysts",))
    gia = world.sign_in("gia")
    world.person("gia", groups=("visitors", "analysts-of-old"))
    answer = gia.hub("POST", "users/gia/server", START)
    assert answer.status_code == 403, answer.text
    assert "login again" in answer.text
    assert not has_server(world, "gia")


def test_a_group_that_gives_a_role_gives_it_no_more_within_the_time_that_is_set(world: World) -> None:
    world.person("aud", groups=("analysts", "data-auditors"))
    aud = world.sign_in("aud")
    assert aud.get("audit").status_code == 200
    world.person("aud", groups=("analysts",))
    until(lambda: aud.get("audit").status_code == 403, CACHED)
    assert aud.inside
    world.person("aud", groups=("analysts", "data-curators"))
    until(lambda: "data-curators" in aud.hub("GET", "user").json()["groups"], CACHED)


@pytest.mark.parametrize("active", [False, True], ids=["idle", "active"])
def test_whoever_is_removed_at_the_provider_loses_everything(world: World, script: httpx.Client, active: bool) -> None:
    name = "rea" if active else "rex"
    world.person(name)
    person = world.sign_in(name)
    token = person.hub("POST", f"users/{name}/tokens", {"note": "ci", "expires_in": 3600}).json()["token"]
    script.headers["Authorization"] = f"token {token}"
    assert script.get("/hub/api/user").status_code == 200
    assert person.hub("POST", f"users/{name}/server", START).status_code in (201, 202)
    until(lambda: server_of(person, name).get("ready"))
    run_id = run_of(person, name, "import time; time.sleep(600)")
    until(lambda: person.get(f"runs/{run_id}").json()["state"] == "running")
    world.provider.remove(name)
    world.provider.do("revoke", sub=name)
    end = time.monotonic() + FIVE_MINUTES

    def everything_is_gone() -> bool:
        """Look; who is idle does nothing meanwhile, and so is looked at from behind."""
        if active and any(one.status_code == 200 for one in (person.get("runs"), script.get(f"{SERVICE}api/v1/runs"))):
            return False
        ended = world.tokens_of(name) == 0 and not has_server(world, name)
        return ended and world.state_of(run_id) == "cancelled"

    until(everything_is_gone, end - time.monotonic())
    until(lambda: script.get(f"{SERVICE}api/v1/runs").status_code == 401, end - time.monotonic())
    assert not person.at_hub
    assert world.sign_in(name).last.status_code >= 400


def test_a_refresh_token_that_has_ended_asks_for_a_new_sign_in(world: World) -> None:
    world.person("ted")
    ted = world.sign_in("ted")
    assert ted.at_hub
    world.provider.do("expire", sub="ted", kinds=["AccessToken", "RefreshToken"])
    until(lambda: not ted.at_hub, CACHED)
    assert world.sign_in("ted").inside


def test_a_grant_that_was_revoked_asks_for_a_new_sign_in(world: World) -> None:
    world.person("ria")
    ria = world.sign_in("ria")
    assert ria.inside
    world.provider.do("revoke", sub="ria")
    until(lambda: not ria.at_hub, CACHED)
    assert world.sign_in("ria").inside


def test_a_refresh_token_that_is_good_once_is_used_once_however_many_ask(world: World) -> None:
    world.person("max2")
    person = world.sign_in("max2")
    for _ in range(2):
        before = world.groups_at("max2")
        world.provider.do("expire", sub="max2", kinds=["AccessToken"])
        with ThreadPoolExecutor(6) as pool:
            while world.groups_at("max2") == before:
                assert all(pool.map(lambda _: person.at_hub, range(6)))
    assert person.inside


def test_a_provider_without_refresh_tokens_is_believed_for_the_age_that_is_set(world: World) -> None:
    world.person("nora")
    with world.provider.changed(refresh=False):
        nora = world.sign_in("nora")
    world.provider.do("expire", sub="nora", kinds=["AccessToken"])
    deadline = time.monotonic() + 7  # longer than what it is asked again after
    while time.monotonic() < deadline:
        assert nora.at_hub
        time.sleep(0.2)
    world.groups_are_older("nora", hours=25)
    until(lambda: not nora.at_hub, CACHED)


def test_while_the_provider_is_away_nothing_starts_and_that_is_said(world: World) -> None:
    world.person("lou")
    lou = world.sign_in("lou")
    with world.provider.away():
        answer = lou.hub("POST", "users/lou/server", START)
        assert answer.status_code in (400, 403, 503), answer.text
        assert "sign-in provider does not answer" in answer.text
        assert lou.inside  # what is known is still shown
        refused = lou.ask("POST", "workflows/examples/nothing/runs", {"parameters": {}})
        assert refused.status_code in (403, 404)
        page = lou.http.get("/hub/login")
        assert page.status_code in (200, 302)
    assert lou.hub("GET", "user").status_code == 200


def test_a_secret_of_ours_that_is_good_no_more_takes_nothing_from_anybody(world: World) -> None:
    world.person("nell")
    nell = world.sign_in("nell")
    with world.provider.changed(secret="another, which nobody told the platform of"):  # of a test
        world.provider.do("expire", sub="nell", kinds=["AccessToken"])
        deadline = time.monotonic() + 12  # three times what it is asked again after
        while time.monotonic() < deadline:
            assert world.tokens_of("nell") > 0
            time.sleep(0.2)
        answer = nell.hub("POST", "users/nell/server", START)
        assert "sign-in provider does not answer" in answer.text
    assert nell.hub("GET", "user").status_code == 200


def test_a_sign_out_that_the_provider_reports_takes_everything_at_once(world: World, script: httpx.Client) -> None:
    world.person("sid")
    sid = world.sign_in("sid")
    script.headers["Authorization"] = f"token {sid.hub('POST', 'users/sid/tokens', {}).json()['token']}"
    assert script.get("/hub/api/user").status_code == 200
    assert sid.hub("POST", "users/sid/server", START).status_code in (201, 202)
    until(lambda: server_of(sid, "sid").get("ready"))
    token, begun = world.provider.do("token", sub="sid"), time.monotonic()
    assert (
        script.post("/hub/backchannel_logout", data={"logout_token": token}, headers={"Authorization": ""}).status_code
        == 200
    )
    assert script.get("/hub/api/user").status_code == 403
    assert sid.http.get("/hub/api/user").status_code == 403
    until(lambda: not has_server(world, "sid"), begun + MINUTE - time.monotonic())
    until(lambda: not sid.inside, begun + MINUTE - time.monotonic())
    again = script.post("/hub/backchannel_logout", data={"logout_token": token})
    assert (again.status_code, again.headers["cache-control"]) == (400, "no-store")
    assert "used before" in again.text


@pytest.mark.parametrize("body", [{}, {"logout_token": ""}, {"logout_token": "x.y.z"}, {"logout_token": "x" * 200_000}])
def test_what_is_no_logout_token_ends_nobody_s_session(
    world: World, script: httpx.Client, body: dict[str, str]
) -> None:
    answer = script.post("/hub/backchannel_logout", data=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert script.get("/hub/backchannel_logout").status_code == 405


def test_somebody_whom_nobody_knows_here_is_signed_out_in_peace(world: World, script: httpx.Client) -> None:
    token = world.provider.do("token", sub="nobody-here")
    assert script.post("/hub/backchannel_logout", data={"logout_token": token}).status_code == 200


def test_her_own_session_here_ends_with_the_sign_out(world: World) -> None:
    world.person("una")
    una = world.sign_in("una")
    una.follow(una.http.get("/hub/logout"))
    assert una.last.status_code == 200
    assert "You are signed out here" in una.said
    assert not una.inside
    assert una.http.get(f"{SERVICE}runs").status_code == 302
