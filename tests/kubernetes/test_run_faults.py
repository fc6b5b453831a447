"""What goes wrong with runs in a cluster: each still ends in its true state, says why, and leaves nothing."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.kubernetes.platforms import API, PROMPT, ClusterPlatform
from tests.kubernetes.test_runs import FOREVER, Analyst, wait_for

pytestmark = pytest.mark.functional

PROFILE = "scratch"
NO_ROOM = (
    "a quota of the cluster's own leaves no room for it where it would run (of-somebody-else; servers and runs: 0 of 0 "
    "in use, and this needs 1 more)"
)


def counting(times: int, pause: float = 0.5) -> tuple[str, str]:
    """Return cells that are busy for a while."""
    return FOREVER[0], f"import time\nfor n in range({times}):\n    print('n', n, flush=True)\n    time.sleep({pause})"


def evict(ann: Analyst, pod: str) -> None:
    """Have a pod moved off its node, as who drains that does."""
    about = {"name": pod, "namespace": ann.namespace}
    eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about})
    path = f"/api/v1/namespaces/{ann.namespace}/pods/{pod}/eviction"
    ann.kubectl("create", "--raw", path, "-f", "-", stdin=eviction)


def test_runs_go_on_to_their_very_end_while_the_api_server_is_away(platform: ClusterPlatform) -> None:
    ann, ben, cleo = (Analyst(platform, name) for name in ("ends", "cancels", "orders"))
    ends, cancelled = ann.run(*counting(8), profile=PROFILE), ben.run(*FOREVER, profile=PROFILE)
    ann.running(ends)
    ben.running(cancelled)
    with platform.api_server.away():
        ordered = cleo.run("print('late')", profile=PROFILE)
        assert ben.client.post(f"{API}/runs/{cancelled}/cancel").status_code in (200, 202)
        found = ben.ended(cancelled, PROMPT)
        assert found["state"] == "cancelled"
        assert "on" in ben.text(cancelled, "report")
        found = ann.ended(ends)
        assert (found["state"], found["reason"]) == ("succeeded", "")
        assert "n 7" in ann.text(ends, "report")
        cleo.until(ordered, lambda one: "the cluster does not answer" in one["reason"], PROMPT)
        assert ann.left()  # what it had is there until the API server is back
    found = cleo.ended(ordered)
    assert (found["state"], found["reason"]) == ("succeeded", "")
    for one in (ann, ben, cleo):
        one.is_clean(PROMPT)


def test_results_that_are_cut_in_the_middle_are_sent_again_and_kept_whole(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "cut")
    size = 24 * 2**20
    make = f"import hashlib\nopen('large.bin', 'wb').write(hashlib.shake_128(b'x').digest({size}))"
    platform.door.cuts = [2**20, 9 * 2**20, 23 * 2**20]
    run = ann.run(*counting(3, 0.1), make, profile=PROFILE)
    found = ann.ended(run)
    assert platform.door.cuts == [], "nothing was cut"
    assert (found["state"], found["reason"]) == ("succeeded", "")
    kept = ann.client.get(f"{API}/runs/{run}/artifacts/large.bin").content
    assert hashlib.sha256(kept).digest() == hashlib.sha256(hashlib.shake_128(b"x").digest(size)).digest()
    assert ann.text(run, "report").count("n 2") == 1
    ann.is_clean(PROMPT)
    wait_for(lambda: not list((platform.state / "launches").glob("*/incoming-*")), PROMPT)


def test_an_eviction_is_told_as_such_with_what_was_done(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "moved")
    run = ann.run(*FOREVER, profile=PROFILE)
    ann.running(run)
    evict(ann, ann.pod())
    found = ann.ended(run, PROMPT)
    assert (found["state"], found["reason"]) == ("failed", "it was moved off its node, which is being looked after")
    assert "on" in ann.text(run, "report")
    ann.is_clean(PROMPT)


def test_a_run_that_may_be_repeated_is_done_again_when_its_pod_is_lost(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "again")
    run = ann.order(ann.publish(*counting(8), profile=PROFILE, repeatable=True))
    ann.running(run)
    first = ann.pod()
    evict(ann, first)
    wait_for(lambda: ann.pods() and first not in ann.pods(), told=ann.left)
    found = ann.ended(run)
    assert (found["state"], found["reason"]) == ("succeeded", "")
    assert ann.text(run, "report").count("n 7") == 1
    ann.is_clean(PROMPT)


def test_a_run_over_the_quota_says_so_and_begins_when_there_is_room(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "quota")
    ann.ended(ann.run("1", profile=PROFILE))  # makes her namespace
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "of-somebody-else", "namespace": ann.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    ann.kubectl.apply(quota)
    there = ("get", "quota", "of-somebody-else", "-n", ann.namespace)
    wait_for(lambda: ann.kubectl.json(*there).get("status", {}).get("hard"))
    run = ann.run("print(6 * 7)", profile=PROFILE)
    found = ann.until(run, lambda one: one["reason"].startswith(NO_ROOM), PROMPT)
    assert found["state"] == "starting"
    ann.kubectl("delete", "quota", "of-somebody-else", "-n", ann.namespace)
    found = ann.ended(run)
    assert (found["state"], found["reason"]) == ("succeeded", "")
    ann.is_clean(PROMPT)


def test_a_run_of_a_queue_waits_there_and_says_so(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "queue")
    with platform.enclave(queue="analysts"):
        run, other = (ann.run("print(6 * 7)", profile=PROFILE) for _ in range(2))
        for one in (run, other):
            found = ann.until(one, lambda one: one["reason"] == "it waits in the queue of the cluster", PROMPT)
            assert found["state"] == "starting"
        jobs = ann.kubectl.items("jobs", "-n", ann.namespace)
        assert {one["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] for one in jobs} == {"analysts"}
        assert [one["spec"]["suspend"] for one in jobs] == [True, True]
        assert ann.pods() == []
        assert ann.client.post(f"{API}/runs/{other}/cancel").status_code in (200, 202)
        assert ann.ended(other, PROMPT)["state"] == "cancelled"
        wait_for(lambda: len(ann.kubectl.items("jobs", "-n", ann.namespace)) == 1, PROMPT)
        (job,) = ann.kubectl.items("jobs", "-n", ann.namespace)
        # What Kueue does with one that it admits.
        ann.kubectl("patch", "job", job["metadata"]["name"], "-n", ann.namespace, "-p", '{"spec": {"suspend": false}}')
        found = ann.ended(run)
    assert (found["state"], found["reason"]) == ("succeeded", "")
    ann.is_clean(PROMPT)
