"""What the doctor says of our own pods: evicted, failed, or told by an event alone, each with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hub_ext.doctor import pods
from hub_ext.doctor.finding import Finding
from hub_ext.kubernetes.client import ApiError, Cluster
from tests.manifests.api_server import ApiServer, status

PODS, EVENTS = "/api/v1/namespaces/platform/pods", "/api/v1/namespaces/platform/events"
SCRATCH = 'Usage of EmptyDir volume "tmp" exceeds the limit "256Mi". '
NODE_DISK = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 20Mi. Container hub was using"
    " 9Mi, request is 0, has larger consumption of ephemeral-storage. "
)


def pod(part: str, name: str, phase: str = "Failed", **more: Any) -> dict[str, Any]:
    """Return a pod of ours as the API server has it; a later name was made later."""
    about = {"name": f"hub-ext-{part}-{name}", "labels": {"app.kubernetes.io/component": part}}
    return {"metadata": about | {"creationTimestamp": name}, "status": {"phase": phase, **more}}


def evicted(part: str, name: str, message: str) -> dict[str, Any]:
    """Return one that its node took away."""
    return pod(part, name, reason="Evicted", message=message)


def event(part: str, name: str, message: str = SCRATCH) -> dict[str, Any]:
    """Return what a node says of one that it takes away."""
    involved = {"kind": "Pod", "name": f"hub-ext-{part}-{name}"}
    return {"metadata": {"name": name}, "reason": "Evicted", "message": message, "involvedObject": involved}


async def seen(
    folder: Path, *there: dict[str, Any], events: tuple[dict[str, Any], ...] = (), no: int = 0
) -> list[Finding]:
    """Look at what is there; `no`: the API server says that instead."""
    server = ApiServer()

    async def refuse(_: web.Request) -> web.StreamResponse:
        return status(no, "Forbidden", "no")

    server.answers = [refuse] if no else []
    server.objects = {PODS: {"items": list(there)}, EVENTS: {"items": list(events)}}
    await server.start()
    cluster = await Cluster.connect(server.kubeconfig(folder))
    try:
        return await pods.look(cluster, "platform")
    finally:
        await cluster.close()
        await server.stop()


async def test_pods_that_run_or_begin_and_a_test_that_is_done_are_nothing(tmp_path: Path) -> None:
    (found,) = await seen(tmp_path, pod("hub", "a", "Running"), pod("hub", "b", "Pending"), pod("test", "c"))
    assert (found.what, found.state, found.advice) == ("pods", "ok", "")


@pytest.mark.parametrize(
    ("part", "message", "words", "advice"),
    [
        ("hub", SCRATCH, "more temporary files than it may have", "Raise `hub.scratch`."),
        ("service", SCRATCH, "more temporary files than it may have", "Raise `service.scratch`."),
        ("postgresql", SCRATCH, "more temporary files than it may have", "Its log says"),
        ("hub", NODE_DISK, "its node had no disk left", "Make space on the node"),
        ("hub", "The node had condition: [DiskPressure]. ", "its node had no disk left", "Make space on the node"),
        ("proxy", "The node was low on resource: memory. ", "no memory left", "`requests.memory` of `proxy.resources`"),
        (
            "hub",
            'Container hub exceeded its local ephemeral storage limit "1Gi". ',
            "more on the node's disk than it may have",
            "`limits.ephemeral-storage` of `hub.resources`",
        ),
        ("hub", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ", "more on", "`hub.res"),
        ("hub", "The node was low on resource: pids. ", "no processes left", "on that node"),
    ],
)
async def test_what_a_node_says_is_told_in_words_with_the_value_to_change(
    tmp_path: Path, part: str, message: str, words: str, advice: str
) -> None:
    (found,) = await seen(tmp_path, evicted(part, "a", message))
    assert (found.what, found.state) == ("pods", "warn")
    assert found.detail.startswith(f"1 of {part} evicted: ")
    assert words in found.detail
    assert message.split(".")[0] in found.detail
    assert advice in found.advice
    assert "kubectl -n platform delete pods" in found.advice


async def test_what_no_one_knows_is_told_as_the_cluster_says_it(tmp_path: Path) -> None:
    (found,) = await seen(tmp_path, pod("hub", "a", reason="NodeShutdown", message="Pod was terminated."))
    assert found.detail == "1 of hub ended (last hub-ext-hub-a, Pod was terminated.)"
    (bare,) = await seen(tmp_path, pod("hub", "a"))
    assert bare.detail == "1 of hub ended (last hub-ext-hub-a)"
    assert "kubelet" in bare.advice


async def test_many_of_one_part_and_cause_are_one_line_that_names_the_last(tmp_path: Path) -> None:
    hubs = [evicted("hub", name, SCRATCH) for name in ("3", "1", "2")]
    found = await seen(tmp_path, *hubs, evicted("proxy", "1", SCRATCH), evicted("hub", "0", NODE_DISK))
    said = sorted(one.detail for one in found)
    assert [one.split(":")[0] for one in said] == ["1 of hub evicted", "1 of proxy evicted", "3 of hub evicted"]
    assert "last hub-ext-hub-3" in said[2]


async def test_one_that_ended_well_meanwhile_or_is_gone_is_told_by_its_event(tmp_path: Path) -> None:
    events = (event("hub", "a"), event("service", "gone"), event("proxy", "leaves"), event("other-thing", "b"))
    there = (pod("hub", "a", "Succeeded"), pod("proxy", "leaves", "Running"))
    found = await seen(tmp_path, *there, events=events)
    assert sorted(one.detail.split(":")[0] for one in found) == ["1 of hub evicted", "1 of service evicted"]
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": NODE_DISK}
    (by_itself,) = await seen(tmp_path, pod("hub", "a", "Succeeded", conditions=[condition]))
    assert by_itself.detail.startswith("1 of hub evicted: its node had no disk left")


async def test_an_account_that_may_not_look_says_so_and_another_no_is_no_finding(tmp_path: Path) -> None:
    (found,) = await seen(tmp_path, no=403)
    assert (found.state, "may not look" in found.detail) == ("warn", True)
    assert "kubectl -n platform get pods" in found.advice
    with pytest.raises(ApiError):
        await seen(tmp_path, no=400)
