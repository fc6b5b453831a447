"""The view of the pods of servers: whose is whose, who has the home, and what should be gone long ago."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes_asyncio.client import Configuration

from hub_ext.kubernetes.client import Cluster
from hub_ext.spawner.pods import Pods, _overdue, launch_of, mounts

WHERE = "hub-ext-ana"


def pod(name: str = "server", launch: str = "s-1", *, home: bool = True, phase: str = "Running", **about: Any) -> Any:
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}] if home else [{"emptyDir": {}}]
    return {
        "metadata": {"name": name, "namespace": WHERE, "labels": {"hub-ext/launch": launch}, **about},
        "spec": {"volumes": volumes},
        "status": {"phase": phase},
    }


@pytest.fixture
async def pods() -> Any:
    """A view of nothing yet, of a cluster that is not asked."""
    cluster = Cluster(Configuration())
    yield Pods(cluster, "hub-ext")
    await cluster.close()


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the policies that got an owner."""
    names: list[str] = []

    async def note(_cluster: Cluster, network: Any, _pod: Any) -> None:
        names.append(network["metadata"]["name"])

    monkeypatch.setattr("hub_ext.spawner.pods.own", note)
    return names


def know(pods: Pods, *found: Any) -> None:
    pods.watch.objects = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in found}


def test_a_pod_belongs_to_the_start_that_its_label_names() -> None:
    assert launch_of(pod(launch="s-7")) == "s-7"
    assert launch_of({"metadata": {"name": "server"}}) == ""
    assert launch_of({"metadata": {"name": "server", "labels": None}}) == ""


@pytest.mark.parametrize(
    ("found", "has"),
    [
        (pod(), True),
        (pod(home=False), False),
        (pod(phase="Pending"), True),
        (pod(phase="Succeeded"), False),
        (pod(phase="Failed"), False),
        ({"metadata": {}, "spec": {}, "status": {}}, False),
    ],
)
def test_a_pod_has_the_home_until_it_writes_no_more(found: Any, has: bool) -> None:
    assert mounts(found, "home") is has
    assert mounts(found, "another") is False


async def test_of_a_name_only_the_pod_of_the_start_is_meant(pods: Pods) -> None:
    know(pods, pod(launch="s-1"))
    assert pods.get((WHERE, "server")) is not None
    assert pods.get((WHERE, "server"), "s-1") is not None
    assert pods.get((WHERE, "server"), "s-2") is None
    assert pods.get((WHERE, "other")) is None


async def test_who_has_the_home_is_who_mounts_it_and_who_is_about_to(pods: Pods) -> None:
    one, two, three = ((WHERE, name) for name in ("one", "two", "three"))
    know(pods, pod("one"), pod("two", deletionTimestamp="2026-01-01T00:00:00Z"), pod("bare", home=False))
    assert pods.home_users(three, "home") == {"one": False, "two": True}
    assert pods.home_users(one, "home") == {"two": True}
    with pods.reserve_home(three, {"kind": "PersistentVolumeClaim"}):
        assert pods.home_users(two, "home") == {"one": False, "three": False}
        assert pods.home_users(three, "home") == {"one": False, "two": True}
    with pods.reserve_home(three, None):
        assert pods.home_users(two, "home") == {"one": False}


async def test_two_that_reserve_it_at_once_see_each_other(pods: Pods) -> None:
    home = {"kind": "PersistentVolumeClaim"}
    with pods.reserve_home((WHERE, "one"), home), pods.reserve_home((WHERE, "two"), home):
        assert pods.home_users((WHERE, "one"), "home") == {"two": False}
        assert pods.home_users((WHERE, "two"), "home") == {"one": False}
    assert pods.home_users((WHERE, "one"), "home") == {}


async def test_a_change_wakes_who_waits_and_who_follows_and_nobody_else(pods: Pods) -> None:
    called: list[str] = []
    pods.follow((WHERE, "server"), lambda: called.append("server"))
    with pods.changes((WHERE, "server")) as mine, pods.changes((WHERE, "other")) as others:
        pods._changed("MODIFIED", pod())
        assert (mine.is_set(), others.is_set(), called) == (True, False, ["server"])
        pods.follow((WHERE, "server"), None)
        pods._changed("DELETED", pod())
    assert called == ["server"]


def test_a_pod_that_does_not_end_a_minute_after_its_grace_is_overdue() -> None:
    def leaving(seconds: float) -> Any:
        at = datetime.fromtimestamp(time.time() - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return pod(deletionTimestamp=at)

    assert not _overdue(leaving(-10))
    assert not _overdue(leaving(50))
    assert _overdue(leaving(70))


async def test_a_policy_gets_its_owner_at_once_where_few_start(pods: Pods, owned: list[str]) -> None:
    with contextlib.ExitStack() as starts:
        for _ in range(3):
            starts.enter_context(pods.boots())
        await pods.own(pod("policy"), pod())
        assert owned == ["policy"]


async def test_a_policy_gets_its_owner_when_the_many_have_started(pods: Pods, owned: list[str]) -> None:
    with contextlib.ExitStack() as starts:
        for _ in range(3):
            starts.enter_context(pods.boots())
        with pods.boots():
            owning = [asyncio.create_task(pods.own(pod(f"policy-{number}"), pod())) for number in range(5)]
            await asyncio.sleep(0.05)
            assert owned == []
        await asyncio.gather(*owning)
    assert sorted(owned) == [f"policy-{number}" for number in range(5)]


async def test_a_policy_gets_its_owner_in_any_case(
    pods: Pods, owned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_ext.spawner.pods._OWNED_WITHIN", 0.05)
    with contextlib.ExitStack() as starts:
        for _ in range(4):
            starts.enter_context(pods.boots())
        await pods.own(pod("policy"), pod())
    assert owned == ["policy"]
