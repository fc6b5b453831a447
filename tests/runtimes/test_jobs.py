"""What a Job and its pods say about a run, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub_ext.runtimes.jobs import Sight, look, why_no_pod

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
JOB: dict[str, Any] = {"metadata": {"name": "l-1"}, "spec": {}, "status": {}}
OVER: dict[str, Any] = {
    **JOB,
    "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
}


def pod(phase: str = "Running", container: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    status = {"phase": phase, **more.pop("status", {})}
    if container is not None:
        status["containerStatuses"] = [{"state": container}]
    resources = {"requests": {"memory": "1Gi", "cpu": "500m"}, "limits": {"memory": "4Gi"}}
    spec = {"containers": [{"image": "registry/notebooks/standard@sha256:0", "resources": resources}]}
    return {
        "metadata": {"name": "l-1-x", "creationTimestamp": "2026-03-01T11:00:00Z", **more},
        "spec": spec,
        "status": status,
    }


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def seen(job: dict[str, Any] | None, *pods: dict[str, Any]) -> Sight:
    return look(job, pods, minutes=90, now=NOW)


RUNNING = {"running": {"startedAt": "2026-03-01T11:00:01Z"}}
DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}


@pytest.mark.parametrize(
    ("job", "pods", "sight"),
    [
        (None, [], Sight("absent", "its Job was deleted from outside")),
        (JOB, [], Sight("waits")),
        ({**JOB, "spec": {"suspend": True}}, [], Sight("waits", "it waits in the queue of the cluster")),
        (JOB, [pod("Pending")], Sight("waits")),
        (JOB, [pod("Running", RUNNING)], Sight("runs")),
        (None, [pod("Running", RUNNING)], Sight("runs", "its Job was deleted from outside")),
        (
            JOB,
            [pod("Running", RUNNING, deletionTimestamp="2026-03-01T12:00:10Z")],
            Sight("runs", "its pod was deleted from outside"),
        ),
        (
            JOB,
            [pod("Running", RUNNING, deletionTimestamp="2026-03-01T11:59:00Z")],
            Sight("ended", "its node does not answer any more"),
        ),
        (OVER, [], Sight("ended", "its pod was deleted from outside")),
        (
            OVER,
            [pod("Failed", terminated(137, "OOMKilled"))],
            Sight("ended", "it needed more memory than its 4 GB", code=137),
        ),
        (
            OVER,
            [pod("Failed", status={"reason": "DeadlineExceeded"})],
            Sight("ended", "ran longer than its limit of 90 minutes"),
        ),
        (
            OVER,
            [
                pod(
                    "Failed",
                    status={"reason": "Evicted", "message": 'Usage of EmptyDir volume "tmp" exceeds the limit'},
                )
            ],
            Sight("ended", "it wrote more to its scratch space than it may"),
        ),
        (
            OVER,
            [pod("Failed", terminated(137), status=DISRUPTED)],
            Sight("ended", "its node is gone, or was taken out of service", code=137),
        ),
        (
            OVER,
            [pod("Failed", terminated(1, message="warning\nhub-ext-executor: gone\n"))],
            Sight("ended", "", code=1, last="hub-ext-executor: gone"),
        ),
        (JOB, [pod("Failed", terminated(143)), pod("Running", RUNNING)], Sight("runs")),
    ],
    ids=lambda one: one.why or one.state if isinstance(one, Sight) else "",
)
def test_what_is_reported_is_told_in_words(job: Any, pods: list[Any], sight: Sight) -> None:
    assert seen(job, *pods) == sight


def test_a_pod_that_has_no_node_yet_waits_and_one_without_its_image_is_stuck() -> None:
    unplaced = {
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory"}]
    }
    found = seen(JOB, pod("Pending", status=unplaced))
    assert (found.state, found.why) == ("waits", "waiting for a node with 1 GB and 0.5 cores free")
    missing = {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown: not found"}}
    found = seen(JOB, pod("Pending", missing))
    assert (found.state, found.never) == ("stuck", True)
    assert found.why == "the image standard cannot be pulled: the registry does not have it"
    away = {"waiting": {"reason": "ImagePullBackOff", "message": "dial tcp: connection refused"}}
    assert seen(JOB, pod("Pending", away)) == Sight(
        "stuck", "the image standard cannot be pulled: the registry does not answer"
    )


def test_a_job_without_a_pod_says_that_the_quota_is_used_up() -> None:
    message = 'pods "l-1-x" is forbidden: exceeded quota: hub-ext, requested: pods=1, used: pods=6, limited: pods=6'
    events = [{"reason": "SuccessfulCreate"}, {"reason": "FailedCreate", "message": message, "lastTimestamp": "1"}]
    assert why_no_pod(events).startswith("you have as much at once as you may (servers and runs: 6 of 6 in use")
    assert why_no_pod(events[:1]) == ""


def test_a_job_that_is_over_tells_how_its_last_pod_went_though_that_is_deleted() -> None:
    lost = pod("Failed", terminated(137), status=DISRUPTED, deletionTimestamp="2026-03-01T12:00:10Z")
    by_hand = pod("Failed", terminated(143), deletionTimestamp="2026-03-01T12:00:10Z")
    told = [look(OVER, [], minutes=90, now=NOW, last=one).why for one in (lost, by_hand, None)]
    assert told[0] == "its node is gone, or was taken out of service"
    assert told[1:] == ["its pod was deleted from outside"] * 2
    assert look(JOB, [], minutes=90, now=NOW, last=lost) == Sight("waits")
