"""What the client does when the API server is slow, refuses, or is away."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from hub_ext.errors import Unavailable
from hub_ext.kubernetes.client import AlreadyThere, ApiError, Cluster, NoAnswer
from hub_ext.kubernetes.connecting import proxy_of
from hub_ext.settings import HubExt
from tests.manifests.api_server import ApiServer, status

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server", "namespace": "hub-ext-ana"}}


def always(answer: web.Response):
    async def give(request: web.Request) -> web.Response:
        return answer

    return give


async def test_an_object_is_made_found_and_deleted(cluster: Cluster) -> None:
    made = await cluster.create(POD)
    assert await cluster.get("Pod", "server", "hub-ext-ana") == made
    assert await cluster.delete("Pod", "server", "hub-ext-ana")
    assert await cluster.get("Pod", "server", "hub-ext-ana") is None
    assert not await cluster.delete("Pod", "server", "hub-ext-ana")


async def test_the_account_of_the_file_is_used(cluster: Cluster, api: ApiServer) -> None:
    seen = []

    async def look(request: web.Request) -> web.Response:
        seen.append((request.headers["Authorization"], request.headers["User-Agent"]))
        return web.json_response({})

    api.answers = [look]
    await cluster.get("Pod", "server", "hub-ext-ana")
    assert seen == [("Bearer secret-token", "hub-ext")]


async def test_the_proxy_of_the_environment_is_used(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{api.port}")
    path = Path(api.kubeconfig(tmp_path))
    path.write_text(path.read_text().replace(f"127.0.0.1:{api.port}", "api-server.invalid"))
    cluster = await Cluster.connect(str(path))
    try:
        assert (await cluster.create(POD))["metadata"]["name"] == "server"  # that host has no address
        monkeypatch.delenv("http_proxy")
        assert await cluster.get("Pod", "server", "hub-ext-ana") is not None  # it was looked up once
    finally:
        await cluster.close()


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://api.example.org:6443", "http://proxy.example.org:3128"),
        ("https://10.0.0.1", None),
        ("https://api.inside.example.org", None),
        ("http://api.example.org", None),
    ],
)
def test_the_proxy_is_that_of_the_address(url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.1,.inside.example.org")
    assert proxy_of(url) == proxy


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_what_may_pass_is_asked_again(cluster: Cluster, api: ApiServer, code: int) -> None:
    api.answers = [always(status(code)), always(status(code))]
    await cluster.create(POD)
    assert api.asked == ["POST /api/v1/namespaces/hub-ext-ana/pods"] * 3


async def test_a_connection_that_is_cut_is_asked_again(cluster: Cluster, api: ApiServer) -> None:
    api.answers = [None, None]
    await cluster.create(POD)
    assert len(api.asked) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 422])
async def test_a_no_is_a_no(cluster: Cluster, api: ApiServer, code: int) -> None:
    api.answers = [always(status(code, "Because", "it said so"))]
    with pytest.raises(ApiError, match="it said so") as caught:
        await cluster.create(POD)
    assert (caught.value.status, caught.value.reason, len(api.asked)) == (code, "Because", 1)


async def test_it_waits_as_long_as_it_is_asked_to(cluster: Cluster, api: ApiServer) -> None:
    answer = always(status(429, **{"Retry-After": "1"}))
    api.answers = [answer]
    began = time.monotonic()
    await cluster.create(POD)
    assert time.monotonic() - began >= 1


async def test_it_gives_up_in_time_and_says_so_plainly(cluster: Cluster, api: ApiServer) -> None:
    await api.stop()
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="does not answer now") as caught:
        await cluster.get("Pod", "server", "hub-ext-ana", within=0.5)
    assert time.monotonic() - began < 5
    assert isinstance(caught.value, Unavailable)
    await api.start()


async def test_who_waits_for_the_requests_of_others_does_not_give_up(cluster: Cluster, api: ApiServer) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return await api.ordinary(request)

    api.answers = [slowly] * 60
    pods = [{**POD, "metadata": {**POD["metadata"], "name": f"server-{number}"}} for number in range(60)]
    await asyncio.gather(*(cluster.create(pod, within=1.0) for pod in pods))  # ten at once: 1.2 s for all of them
    assert len(api.asked) == 60


async def test_it_goes_on_when_the_api_server_is_back(cluster: Cluster, api: ApiServer) -> None:
    await api.stop()
    asking = asyncio.create_task(cluster.create(POD))
    await asyncio.sleep(0.2)
    assert not asking.done()
    await api.start()
    assert (await asking)["metadata"]["name"] == "server"


async def test_what_an_earlier_try_has_made_is_told_as_such(cluster: Cluster, api: ApiServer) -> None:
    await cluster.create(POD)
    api.answers = [None]
    with pytest.raises(AlreadyThere):
        await cluster.create(POD)


async def test_another_object_of_the_same_name_is_not_deleted(cluster: Cluster, api: ApiServer) -> None:
    api.answers = [always(status(409, "Conflict", "the UID in the precondition does not match"))]
    assert not await cluster.delete("Pod", "server", "hub-ext-ana", uid="other")


async def test_many_who_follow_something_leave_room_for_requests(cluster: Cluster, api: ApiServer) -> None:
    over = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await over.wait()
        return stream

    many = 120  # more than the connections of requests
    api.answers = [hold] * many
    async with asyncio.timeout(30), AsyncExitStack() as following:
        for number in range(many):
            await following.enter_async_context(cluster.follow(f"/api/v1/namespaces/n{number}/events", {}, 60.0))
        assert await cluster.get("Pod", "server", "hub-ext-ana", within=5.0) is None
        over.set()


async def test_one_client_serves_a_process(api: ApiServer, tmp_path: Path) -> None:
    settings = HubExt(kubeconfig=api.kubeconfig(tmp_path))
    first, second = await asyncio.gather(Cluster.shared(settings), Cluster.shared(settings))
    assert first is second
    await Cluster.close_shared()
    assert await Cluster.shared(settings) is not first
    await Cluster.close_shared()


async def test_a_file_that_is_not_there_is_told_and_tried_again(api: ApiServer, tmp_path: Path) -> None:
    settings = HubExt(kubeconfig=str(tmp_path / "kubeconfig"))
    with pytest.raises(Unavailable, match="Where the cluster is cannot be read"):
        await Cluster.shared(settings)
    api.kubeconfig(tmp_path)
    assert await Cluster.shared(settings)
    await Cluster.close_shared()
