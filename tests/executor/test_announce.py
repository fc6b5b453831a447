"""What a notebook server hears of its own end: of itself alone, and nothing while nobody says anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from hub_ext.executor.announce import Asking

SERVERS = {
    "items": [
        {"name": "", "ends_at": "2026-01-01T10:00:00Z", "announced": True, "ending": "", "can_be_kept": 1, "id": "s-1"},
        {"name": "second", "ends_at": "2026-01-01T11:00:00Z", "announced": False, "ending": "x", "can_be_kept": 0},
    ]
}
ENV = {"HUB_EXT_SERVICE_PREFIX": "/services/workflows/", "JUPYTERHUB_API_TOKEN": "token-of-the-server"}


class Service:
    """A service that answers as a test says.

    Attributes:
        asked: What was asked for, and with which token.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.answer: Callable[[], web.Response] = lambda: web.json_response(SERVERS)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.get("Authorization")))
        return self.answer()


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    made, application = Service(), web.Application()
    application.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUB_EXT_URL", f"http://127.0.0.1:{runner.addresses[0][1]}/base")
    monkeypatch.delenv("JUPYTERHUB_SERVER_NAME", raising=False)
    yield made
    await runner.cleanup()


async def test_it_asks_with_its_own_token_and_tells_of_itself_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"ends_at": "2026-01-01T10:00:00Z", "announced": True, "ending": "", "can_be_kept": 1}
    assert await Asking().end() == told | {"home": "/services/workflows/"}
    assert service.asked == [("/services/workflows/api/v1/servers", "token token-of-the-server")]
    monkeypatch.setenv("JUPYTERHUB_SERVER_NAME", "second")
    assert (await Asking().end())["ending"] == "x"
    monkeypatch.setenv("JUPYTERHUB_SERVER_NAME", "third")
    assert await Asking().end() == {}


async def test_many_who_ask_at_once_cost_one_question(service: Service) -> None:
    asking = Asking()
    for _ in range(5):
        assert (await asking.end())["announced"] is True
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=503),
        lambda: web.Response(status=403, text="no"),
        lambda: web.Response(text="<html>"),
        lambda: web.json_response({"no": "items"}),
        lambda: web.json_response({"items": []}),
    ],
)
async def test_what_cannot_be_heard_is_no_end(service: Service, answer: Callable[[], Any]) -> None:
    service.answer = answer
    assert await Asking().end() == {}


async def test_without_a_service_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HUB_EXT_URL", *ENV):
        monkeypatch.delenv(name, raising=False)
    assert await Asking().end() == {}


async def test_a_service_that_is_away_is_no_end(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_EXT_URL", "http://127.0.0.1:9")
    assert await Asking().end() == {}
