"""What happens to servers and runs when a node's agent is started anew, and when the node is gone for good.

The node is put back as it was: what the cluster itself runs there comes back as well, before other tests go on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.layout import NODE
from tests.cluster.parts import Running
from tests.kubernetes.platforms import PROMPT, ClusterPlatform, Person, wait_for
from tests.kubernetes.test_run_faults import PROFILE, counting
from tests.kubernetes.test_runs import FOREVER, Analyst

pytestmark = [pytest.mark.functional, pytest.mark.alone]

GONE = "node.kubernetes.io/out-of-service"


@pytest.fixture(scope="module")
def kubelet(platform: ClusterPlatform) -> Running:
    """The agent of the one node."""
    if platform.cluster.local is None:
        pytest.skip("the node of somebody else's cluster is left alone")
    return platform.cluster.local.part("kubelet")


@contextlib.contextmanager
def stopped(kubelet: Running) -> Iterator[None]:
    """Kill the kubelet, and start it again."""
    kubelet.stop(grace=0)
    try:
        yield
    finally:
        kubelet.start()
        kubelet.wait()


def test_a_kubelet_that_is_started_anew_disturbs_neither_servers_nor_runs(
    platform: ClusterPlatform, kubelet: Running
) -> None:
    person, late, ann = platform.person("stays"), platform.person("waits"), Analyst(platform, "goes-on")
    person.start("scratch")
    uid = person.pod()["metadata"]["uid"]
    run = ann.run(*counting(8), profile=PROFILE)
    ann.running(run)
    with stopped(kubelet):
        answer = late.ask("scratch")
        assert answer.status_code in (201, 202), answer.text
        found = ann.ended(run)
        assert (found["state"], found["reason"]) == ("succeeded", "")
        assert person.ready()
        assert person.client.get(f"/user/{person.name}/api").status_code == 200
    wait_for(late.ready, told="a start does not go on")
    assert person.ready()
    assert person.pod()["metadata"]["uid"] == uid
    assert person.pod()["status"]["containerStatuses"][0]["restartCount"] == 0
    ann.is_clean(PROMPT)
    for one in (person, late):
        one.stop()
        one.is_clean()


def processes_of(uid: str) -> set[int]:
    """Return the processes of a pod, as this machine has them."""
    found: set[int] = set()
    for file in Path("/sys/fs/cgroup").glob(f"**/*{uid}*/**/cgroup.procs"):
        with contextlib.suppress(OSError):
            found |= {int(line) for line in file.read_text().split()}
    return found


@contextlib.contextmanager
def gone(platform: ClusterPlatform, kubelet: Running, uids: list[str]) -> Iterator[None]:
    """Lose the node: its agent and the processes of some pods are killed, and an operator says that it is lost.

    That the node is not ready, which the control plane concludes after most of a minute, is written down at once.
    """
    kubectl = platform.cluster.kubectl
    with stopped(kubelet):
        for process in {pid for uid in uids for pid in processes_of(uid)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        condition = f'{{"type":"Ready","status":"Unknown","reason":"Lost","lastHeartbeatTime":"{now}"}}'
        patch = f'{{"status":{{"conditions":[{condition}]}}}}'
        kubectl("patch", "node", NODE, "--subresource=status", "-p", patch)
        kubectl("taint", "node", NODE, f"{GONE}=nodeshutdown:NoExecute")
        try:
            yield
        finally:
            kubectl("taint", "node", NODE, f"{GONE}-")
    for name, namespace in (("coredns", "kube-system"), ("local-path-provisioner", "local-path-storage")):
        kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=120s", seconds=150)


def test_a_node_that_is_gone_takes_its_servers_and_runs_with_it_and_repeats_what_may_be(
    platform: ClusterPlatform, kubelet: Running
) -> None:
    person, ann, bob = platform.person("lost"), Analyst(platform, "lost-run"), Analyst(platform, "repeats")
    person.start("small")
    once = ann.run(*FOREVER, profile=PROFILE)
    repeated = bob.order(bob.publish(*counting(8), profile=PROFILE, repeatable=True))
    for who, run in ((ann, once), (bob, repeated)):
        who.running(run)
    places = [(person.namespace, "server"), (ann.namespace, ann.pod()), (bob.namespace, bob.pod())]
    uids = [
        person.kubectl.json("get", "pod", name, "-n", where)["metadata"]["uid"] for where, name in places
    ]  # before they are lost
    assert all(processes_of(uid) for uid in uids)
    with gone(platform, kubelet, uids):
        told_of_server(person)
        found = ann.ended(once, 40)  # seconds; the control plane takes away what is lost every 20 s
        assert (found["state"], found["reason"]) == ("failed", "its node is gone, or was taken out of service")
    found = bob.ended(repeated)
    assert (found["state"], found["reason"]) == ("succeeded", "")
    assert bob.text(repeated, "report").count("n 7") == 1
    for one in (ann, bob):
        one.is_clean(PROMPT)
    person.is_clean(PROMPT)
    person.start("small")  # the home is hers again
    person.stop()


def told_of_server(person: Person) -> None:
    """See that a server is gone for the Hub, and that its person is told why."""
    wait_for(lambda: "" not in person.servers(), PROMPT, "the Hub still has it")
    assert person.outcomes() == [("stopped", "Its node is gone, or was taken out of service.")]
