"""What is read from a pod while its server boots."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kubernetes_asyncio.client import Configuration

from hub_ext.kubernetes.client import ApiError, Cluster
from hub_ext.spawner.booting import Boot, _at, _not_yet, address_of
from hub_ext.spawner.pods import Pods
from hub_ext.spawner.progress import Progress
from tests.spawner.test_pods import WHERE, know, pod


@pytest.mark.parametrize(
    ("found", "address"),
    [
        (None, ""),
        ({}, ""),
        ({"status": {}}, ""),
        ({"status": {"podIP": ""}}, ""),
        ({"status": {"podIP": "10.0.0.7"}}, "http://10.0.0.7:8888"),
        ({"status": {"podIP": "fd00::7"}}, "http://[fd00::7]:8888"),
    ],
)
def test_the_address_of_a_server_is_that_of_its_pod(found: Any, address: str) -> None:
    assert address_of(found) == address


@pytest.mark.parametrize(
    ("status", "message", "again"),
    [
        (403, "pods 'server' is forbidden: status unknown for quota: hub-ext", True),
        (422, "no params found for policy binding", True),
        (403, "error looking up service account ns/default: not found", True),
        (403, "exceeded quota: hub-ext", False),
        (500, "status unknown for quota", False),
        (409, "already exists", False),
    ],
)
def test_only_what_the_api_server_does_not_know_yet_is_tried_again(status: int, message: str, again: bool) -> None:
    assert _not_yet(ApiError(status, "Forbidden", message)) is again


@pytest.mark.parametrize(
    "event",
    [
        {"lastTimestamp": "1970-01-01T00:01:00Z", "metadata": {}},
        {"lastTimestamp": None, "eventTime": "1970-01-01T00:01:00.000000Z", "metadata": {}},
        {"metadata": {"creationTimestamp": "1970-01-01T00:01:00Z"}},
    ],
)
def test_an_event_is_of_when_it_was_seen_last(event: Any) -> None:
    assert _at(event) == 60.0
    assert _at({"metadata": {}}) == 0.0


def event(reason: str, kind: str, **about: Any) -> Any:
    at = about.pop("at", "2100-01-01T00:00:00Z")
    return {"involvedObject": {"kind": kind, **about}, "reason": reason, "lastTimestamp": at, "metadata": {}}


async def test_events_of_this_pod_and_of_its_home_are_told_and_no_others() -> None:
    cluster, progress = Cluster(Configuration()), Progress()
    boot = Boot(Pods(cluster, "hub-ext"), progress, pod(), 5.0)
    boot._uid = "u-1"
    told: list[str] = []
    boot._tell = told.append  # type: ignore[method-assign]
    boot._heard("ADDED", event("Pulling", "Pod", uid="u-2"))
    boot._heard("ADDED", event("Pulling", "Pod", uid="u-1"))
    boot._heard("ADDED", event("FailedBinding", "PersistentVolumeClaim", name="home"))
    boot._heard("ADDED", event("FailedBinding", "PersistentVolumeClaim", name="home", at="2000-01-01T00:00:00Z"))
    boot._heard("ADDED", event("FailedBinding", "PersistentVolumeClaim", name="another"))
    await cluster.close()
    assert told == [
        "Fetching the image, which this node does not have yet",
        "The home volume cannot be made: no storage fits it",
    ]


async def test_why_the_home_is_waited_for_stays_told_for_as_long_as_the_pod_waits_for_it() -> None:
    cluster, made = Cluster(Configuration()), pod()
    (home,) = [one for one in made["spec"]["volumes"] if one.get("name") == "home"]
    home["persistentVolumeClaim"]["claimName"] = "home-ana"  # as in a namespace for everybody
    pods = Pods(cluster, "hub-ext")
    boot = Boot(pods, Progress(), made, 5.0)
    condition = {"type": "PodScheduled", "status": "False", "message": 'persistentvolumeclaim "home-ana" not found'}
    know(pods, made | {"status": {"conditions": [condition]}})
    boot._look(())
    assert boot._said == "Waiting for the home volume to be made"
    boot._heard("ADDED", event("FailedBinding", "PersistentVolumeClaim", name="home-ana"))
    boot._look(())
    assert boot._said == "The home volume cannot be made: no storage fits it"
    await cluster.close()


async def test_what_takes_too_long_is_told_with_the_last_that_was_heard() -> None:
    cluster = Cluster(Configuration())
    boot = Boot(Pods(cluster, "hub-ext"), Progress(), pod(), 295.0)
    assert boot._too_long() == "It did not start within 295 seconds."
    boot._tell("Waiting for a node")
    assert boot._too_long() == "It did not start within 295 seconds. The last that was heard: Waiting for a node."
    await cluster.close()


async def test_who_waits_for_the_home_goes_on_as_soon_as_it_is_free() -> None:
    cluster = Cluster(Configuration())
    pods = Pods(cluster, "hub-ext")
    know(pods, pod("one", deletionTimestamp="2026-01-01T00:00:00Z"))
    boot = Boot(pods, Progress(), pod("two"), 5.0)
    waiting = asyncio.create_task(boot.until_the_home_is_free())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    pods.watch.objects.pop((WHERE, "one"))
    await asyncio.wait_for(waiting, 5)
    await cluster.close()
