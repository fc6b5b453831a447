"""A sign-out that the provider reports takes sessions alone where that is set: work and scripts go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.functional.faults import until
from tests.functional.oidc.conftest import World
from tests.functional.oidc.test_staying import MINUTE, START, has_server, run_of, server_of

pytestmark = [pytest.mark.functional, pytest.mark.xdist_group("oidc"), pytest.mark.timeout(300)]

SERVICE_API = "/services/workflows/api/v1/"


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform that is set so."""
    found = World(tmp_path_factory.mktemp("careful"), HUB_EXT_SIGN_IN_LOGOUT_ENDS="sessions")
    try:
        found.platform.start()
        yield found
    finally:
        found.close()


def test_sessions_end_and_server_run_and_token_stay(careful: World) -> None:
    careful.person("sue")
    sue = careful.sign_in("sue")
    made = sue.hub("POST", "users/sue/tokens", {"note": "ci", "expires_in": 3600}).json()["token"]
    assert sue.hub("POST", "users/sue/server", START).status_code in (201, 202)
    until(lambda: server_of(sue, "sue").get("ready"))
    run_id = run_of(sue, "sue", "import time; time.sleep(600)")
    until(lambda: sue.get(f"runs/{run_id}").json()["state"] == "running")
    token, end = careful.provider.do("token", sub="sue"), time.monotonic() + MINUTE
    with httpx.Client(base_url=careful.platform.url, trust_env=False, timeout=60) as script:
        assert script.post("/hub/backchannel_logout", data={"logout_token": token}).status_code == 200
        assert not sue.at_hub
        until(lambda: not sue.inside, end - time.monotonic())
        script.headers["Authorization"] = f"token {made}"
        for _ in range(2):
            assert script.get("/hub/api/user").json()["name"] == "sue"
            assert script.get(f"{SERVICE_API}runs/{run_id}").json()["state"] == "running"
            assert has_server(careful, "sue")
            before = careful.groups_at("sue")  # nothing of it is taken at the next look, either
            until(lambda before=before: careful.groups_at("sue") != before)
    assert careful.sign_in("sue").inside
