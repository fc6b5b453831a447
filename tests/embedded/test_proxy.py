"""Routes in a real traefik: when they are there, and how names that need escaping are compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub_ext.embedded.processes import free_port
from hub_ext.embedded.proxy import LocalProxy, as_matched

TARGET = "http://127.0.0.1:1"


class Counted(LocalProxy):
    """A proxy that counts what it asks traefik."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[str] = []

    async def _traefik_api_request(self, path: str) -> Any:
        self.asked.append(path)
        return await super()._traefik_api_request(path)


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Counted]:
    made = Counted(
        static_config_file=str(tmp_path / "static.toml"),
        dynamic_config_file=str(tmp_path / "routes.toml"),
        record_file=str(tmp_path / "proxy.json"),
        log_file=str(tmp_path / "log"),
        public_url=f"http://127.0.0.1:{free_port()}",
        traefik_api_url=f"http://127.0.0.1:{free_port()}",
        traefik_api_username="hub",
        traefik_api_password="for this test only",
    )
    await made.start()
    made.asked.clear()
    yield made
    await made.stop()


async def test_many_routes_at_once_are_waited_for_with_one_question_for_all(proxy: Counted) -> None:
    paths = [f"/user/p{number}/" for number in range(10)]
    await asyncio.gather(*(proxy.add_route(path, TARGET, {}) for path in paths))
    assert {path.partition("?")[0] for path in proxy.asked} == {"/api/http/routers"}
    for path in paths:
        assert await proxy._is_loaded(path)


async def test_a_route_that_was_seen_is_confirmed_without_a_question_until_it_is_another(proxy: Counted) -> None:
    await proxy.add_route("/user/ana/", TARGET, {"user": "ana"})
    proxy.asked.clear()
    await proxy.add_route("/user/ana", TARGET, {"user": "ana"})
    assert proxy.asked == []
    await proxy.add_route("/user/ana/", "http://127.0.0.1:2", {"user": "ana"})
    assert proxy.asked
    await proxy.delete_route("/user/ana/")
    proxy.asked.clear()
    await proxy.add_route("/user/ana/", "http://127.0.0.1:2", {"user": "ana"})
    assert proxy.asked


async def test_a_route_that_never_comes_is_given_up(proxy: Counted) -> None:
    proxy.check_route_timeout = 1
    with pytest.raises(TimeoutError):
        await proxy._wait_for_route("/user/nobody/")
    proxy.check_route_timeout = 60
    await proxy.add_route("/user/ana/", TARGET, {})


@pytest.mark.parametrize(
    ("path", "matched"),
    [
        ("/user/ada/", "/user/ada/"),
        ("/user/o%27neil%2Bb%C3%BCro@example.org/", "/user/o%27neil%2Bbüro@example.org/"),
        ("/user/ana%23ext%23@example.org/x/", "/user/ana%23ext%23@example.org/x/"),
        ("/user/%E7%8E%8B/", "/user/王/"),
    ],
)
def test_what_means_something_in_addresses_stays_escaped(path: str, matched: str) -> None:
    assert as_matched(path) == matched
