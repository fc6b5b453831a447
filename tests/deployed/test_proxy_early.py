"""Routes in a real configurable-http-proxy: what is told early is told once, and told again where it may be lost."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub_ext.deployed.proxy import FollowedProxy
from hub_ext.embedded.processes import free_port
from tests.cluster.chart_proxy import command

pytestmark = [
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm installs the proxy"),
    pytest.mark.usefixtures("connections_end"),
]

TARGET = "http://127.0.0.1:1"
ANA = {"user": "ana", "server_name": ""}


class Counted(FollowedProxy):
    """A proxy that counts what it asks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[str] = []

    async def api_request(self, path: str, method: str = "GET", body: Any = None) -> Any:
        self.asked.append(f"{method} {path}")
        return await super().api_request(path, method, body)


@pytest.fixture
def hub() -> SimpleNamespace:
    """What the proxy needs of a Hub."""
    return SimpleNamespace(url=f"{TARGET}/hub/", host=TARGET, routespec="/", api_url=f"{TARGET}/hub/api")


@pytest.fixture
async def proxy(tmp_path: Path, hub: SimpleNamespace) -> AsyncIterator[Counted]:
    made = Counted(
        app=SimpleNamespace(hub=hub, internal_ssl=False, subdomain_host="", users={}, _service_map={}),
        hub=hub,
        public_url=f"http://127.0.0.1:{free_port()}",
        api_url=f"http://127.0.0.1:{free_port()}",
        auth_token="for-this-test-only",
        command=command(),
        pid_file=str(tmp_path / "pid"),
        log_level="warn",
    )
    await made.start()
    made._check_running_callback.stop()
    made.asked.clear()
    yield made
    made.stop()
    made.proxy_process.wait(30)


async def test_a_route_that_was_told_early_is_confirmed_without_a_request(proxy: Counted) -> None:
    await proxy.add_early("/user/ana/", TARGET, ANA)
    assert (await proxy.get_all_routes())["/user/ana/"]["target"] == TARGET
    proxy.asked.clear()
    await proxy.add_route("/user/ana/", TARGET, dict(ANA))
    assert proxy.asked == []


async def test_it_is_confirmed_so_once(proxy: Counted) -> None:
    await proxy.add_early("/user/ana/", TARGET, ANA)
    await proxy.add_route("/user/ana/", TARGET, dict(ANA))
    await proxy.add_route("/user/ana/", TARGET, dict(ANA))
    assert proxy.asked == ["POST /user/ana"] * 2


async def test_a_server_that_is_elsewhere_now_is_told_anew(proxy: Counted) -> None:
    await proxy.add_early("/user/ana/", TARGET, ANA)
    await proxy.add_route("/user/ana/", "http://127.0.0.1:2", dict(ANA))
    assert (await proxy.get_all_routes())["/user/ana/"]["target"] == "http://127.0.0.1:2"


async def test_a_route_that_was_taken_away_is_told_anew(proxy: Counted) -> None:
    await proxy.add_early("/user/ana/", TARGET, ANA)
    await proxy.delete_route("/user/ana/")
    await proxy.add_route("/user/ana/", TARGET, dict(ANA))
    assert "/user/ana/" in await proxy.get_all_routes()


async def test_a_proxy_that_has_lost_its_routes_is_told_anew(proxy: Counted) -> None:
    await proxy.add_early("/user/ana/", TARGET, ANA)
    await proxy.api_request("/user/ana", method="DELETE")  # as a new one, which has none
    await proxy.check_routes({}, {})
    await proxy.add_route("/user/ana/", TARGET, dict(ANA))
    assert "/user/ana/" in await proxy.get_all_routes()
