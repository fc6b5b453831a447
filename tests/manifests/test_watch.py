"""A watch: everything is heard of, whatever happens to its connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from hub_ext.kubernetes.client import Cluster
from hub_ext.kubernetes.watch import Watch
from tests.manifests.api_server import ApiServer, status


def pod(name: str, version: int, uid: str = "") -> dict:
    about = {"name": name, "namespace": "hub-ext-ana", "resourceVersion": str(version), "uid": uid or f"uid-{name}"}
    return {"metadata": about}


def listed(version: int, *pods: dict):
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"resourceVersion": str(version)}, "items": list(pods)})

    return answer


def changes(*events: tuple[str, dict], then: str = "wait"):
    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        for kind, one in events:
            await stream.write(json.dumps({"type": kind, "object": one}).encode() + b"\n")
        if then == "cut":
            assert request.transport is not None
            request.transport.abort()
        elif then == "wait":
            await asyncio.sleep(60)
        return stream

    return answer


def no(code: int, reason: str = ""):
    async def answer(request: web.Request) -> web.Response:
        return status(code, reason)

    return answer


TOO_OLD = ("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


class Heard:
    """What a listener was told."""

    def __init__(self, watch: Watch) -> None:
        self.events: list[tuple[str, str]] = []
        watch.listen(lambda change, one: self.events.append((change, one["metadata"]["name"])))

    async def until(self, *expected: tuple[str, str]) -> None:
        async with asyncio.timeout(10):
            while self.events != list(expected):
                await asyncio.sleep(0.01)


@pytest.fixture
async def watch(cluster: Cluster) -> AsyncIterator[Watch]:
    watch = Watch(cluster, "Pod", labels="app=x")
    yield watch
    await watch.stop()


async def test_a_list_and_then_every_change(api: ApiServer, watch: Watch) -> None:
    heard = Heard(watch)
    api.answers = [
        listed(5, pod("a", 1), pod("b", 2)),
        changes(("ADDED", pod("c", 6)), ("MODIFIED", pod("a", 7)), ("DELETED", pod("b", 8))),
    ]
    watch.start()
    await heard.until(("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), ("MODIFIED", "a"), ("DELETED", "b"))
    assert watch.synced.is_set()
    assert {name for _, name in watch.objects} == {"a", "c"}
    assert [one["metadata"]["name"] for one in watch.select("hub-ext-ana")] == ["a", "c"]


async def test_a_watch_that_ends_goes_on_where_it_was(api: ApiServer, watch: Watch) -> None:
    heard, versions = Heard(watch), []

    async def look(request: web.Request) -> web.StreamResponse:
        versions.append(request.query["resourceVersion"])
        return await changes(("ADDED", pod("b", 9)))(request)

    bookmark = ("BOOKMARK", {"metadata": {"resourceVersion": "8"}})
    api.answers = [listed(5, pod("a", 1)), changes(bookmark, then="end"), look]
    watch.start()
    await heard.until(("ADDED", "a"), ("ADDED", "b"))
    assert versions == ["8"]


@pytest.mark.parametrize("too_old", [changes(TOO_OLD, then="end"), no(410, "Expired")])
async def test_a_version_too_old_is_listed_again_and_what_changed_told(api: ApiServer, watch: Watch, too_old) -> None:
    heard = Heard(watch)
    api.answers = [
        listed(5, pod("same", 1), pod("gone", 2), pod("changed", 3), pod("anew", 4)),
        too_old,
        listed(99, pod("same", 1), pod("changed", 50), pod("anew", 60, "another"), pod("new", 70)),
        changes(),
    ]
    watch.start()
    await heard.until(
        ("ADDED", "same"), ("ADDED", "gone"), ("ADDED", "changed"), ("ADDED", "anew"),
        ("DELETED", "gone"), ("MODIFIED", "changed"), ("DELETED", "anew"), ("ADDED", "anew"), ("ADDED", "new"),
    )  # fmt: skip


@pytest.mark.parametrize("trouble", [None, no(500), no(429), no(403), changes(then="cut")])
async def test_it_comes_back_after_any_trouble(api: ApiServer, watch: Watch, trouble) -> None:
    heard = Heard(watch)
    api.answers = [listed(5, pod("a", 1)), trouble, trouble, changes(("ADDED", pod("b", 6)))]
    watch.start()
    await heard.until(("ADDED", "a"), ("ADDED", "b"))
    assert watch.current


async def test_it_waits_for_an_api_server_that_is_away_from_the_beginning(api: ApiServer, watch: Watch) -> None:
    heard = Heard(watch)
    await api.stop()
    watch.start()
    await asyncio.sleep(0.3)
    assert not watch.synced.is_set()
    assert not watch.current
    api.answers = [listed(5, pod("a", 1)), changes()]
    await api.start()
    await heard.until(("ADDED", "a"))


async def test_nonsense_is_listed_again(api: ApiServer, watch: Watch) -> None:
    heard = Heard(watch)
    api.answers = [
        listed(5),
        changes(("ADDED", {})),
        listed(6, pod("a", 1)),
        changes(),
    ]
    watch.start()
    await heard.until(("ADDED", "a"))


async def test_a_listener_that_fails_hurts_nobody_else(api: ApiServer, watch: Watch) -> None:
    def fail(change, one):
        raise RuntimeError

    watch.listen(fail)
    heard = Heard(watch)
    api.answers = [listed(5, pod("a", 1)), changes()]
    watch.start()
    await heard.until(("ADDED", "a"))
