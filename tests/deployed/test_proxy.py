"""A proxy in a pod of its own: from when on the Hub looks whether it has its routes, and what it does if not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.proxy import ConfigurableHTTPProxy
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from hub_ext.deployed.proxy import FollowedProxy

pytestmark = pytest.mark.usefixtures("connections_end")

ROUTE = "/services/workflows"
KNOWN = {
    "/": {"hub": True, "target": "http://hub:8081", "jupyterhub": True},
    ROUTE: {"service": "workflows", "target": "http://service:8880", "jupyterhub": True},
}


class Routes(RequestHandler):
    """The API of a proxy that knows some routes, and forgets none."""

    def initialize(self, routes: dict[str, Any], asked: list[HTTPServerRequest]) -> None:
        self.routes = routes
        asked.append(self.request)

    def get(self, path: str) -> None:
        if path in ("", "/"):
            self.write(self.routes)
        elif path not in self.routes:
            self.send_error(404)

    def post(self, path: str) -> None:
        self.routes[path or "/"] = {"jupyterhub": True}
        self.set_status(201)


def proxy(port: int, **config: Any) -> FollowedProxy:
    hub = SimpleNamespace(routespec="/", host="http://hub:8081", api_url="http://hub:8081/hub/api")
    service = SimpleNamespace(
        name="workflows",
        server=SimpleNamespace(host="http://service:8880"),
        proxy_spec=f"{ROUTE}/",
        host="http://service:8880",
    )
    made = FollowedProxy(
        route=ROUTE, api_url=f"http://127.0.0.1:{port}", auth_token="t", should_start=False, look_every=0.1, **config
    )
    made.app = SimpleNamespace(hub=hub, users={}, _service_map={"workflows": service})
    made.hub = hub
    return made


async def until(what: Any) -> None:
    async with asyncio.timeout(30):
        while not what():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("known", [{}, KNOWN], ids=["a proxy that is new as well", "a proxy that knew another Hub"])
async def test_routes_that_are_lost_are_told_anew(known: dict[str, Any]) -> None:
    routes, asked = dict(known), list[HTTPServerRequest]()
    (listening,) = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application([(r"/api/routes(.*)", Routes, {"routes": routes, "asked": asked})]))
    server.add_socket(listening)
    followed = proxy(listening.getsockname()[1])
    assert isinstance(followed, ConfigurableHTTPProxy)
    try:
        await followed.check_routes(followed.app.users, followed.app._service_map)
        assert ROUTE in routes
        routes.clear()  # another process
        await until(lambda: ROUTE in routes)
        before = len(asked)
        await until(lambda: len(asked) > before + 3)
        assert {one.method for one in asked[before + 1 :]} == {"GET"}  # it knows them: nothing is told
    finally:
        if followed._looking is not None:
            followed._looking.stop()
        server.stop()
        await server.close_all_connections()


async def test_a_proxy_that_does_not_answer_is_given_up_soon_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_ext.deployed.proxy._ANSWER", 0.2)
    held = list[asyncio.StreamWriter]()
    async with await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0) as silent:
        followed = proxy(silent.sockets[0].getsockname()[1])
        for looks in (1, 2):
            async with asyncio.timeout(10):
                await followed.look()
            assert len(held) == looks
        for one in held:
            one.close()
            await one.wait_closed()
