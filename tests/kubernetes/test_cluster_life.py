"""A cluster is made, mended and taken down, and leaves this machine as it was: one of its own, in another folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster import environment, machine
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError, Refused
from tests.cluster.layout import PROJECT, Layout
from tests.cluster.traces import difference, traces
from tests.timing import Pauses

PATIENCE = 240.0  # seconds; the machine may be busy
POD = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: home}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: stays}
spec:
  containers: [{name: one, image: IMAGE, command: [sleep, "3600"], volumeMounts: [{name: home, mountPath: /home}]}]
  volumes: [{name: home, persistentVolumeClaim: {claimName: home}}]
"""

pytestmark = [pytest.mark.timeout(900), pytest.mark.alone]


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of the test's own, not yet made; whatever the test does, none of it stays."""
    try:
        machine.check()
        machine.require_packages()
    except Refused as error:
        pytest.skip(str(error))
    cluster = Cluster(Layout(tmp_path / "another"))
    yield cluster
    cluster.down()


def started(cluster: Cluster, *arguments: str) -> subprocess.Popen[str]:
    """Start the command that `make cluster` calls."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cluster", *arguments],
        cwd=PROJECT,
        env={**os.environ, "HUB_EXT_CLUSTER": str(cluster.layout.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def called(cluster: Cluster, *arguments: str) -> str:
    """Call it; return what it printed."""
    process = started(cluster, *arguments)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return said


def until(done: Callable[[], object], what: str) -> None:
    """Wait for something to be so."""
    deadline, pause = time.monotonic() + PATIENCE, Pauses()
    while not done():
        assert time.monotonic() < deadline, what
        pause()


def phase(cluster: Cluster, pod: str) -> str:
    """Return a pod's phase."""
    return cluster.kubectl("get", "pod", pod, "-o", "jsonpath={.status.phase}")


def mine(cluster: Cluster) -> tuple[str, ...]:
    """Return the texts that this cluster alone has in what it leaves on the machine."""
    return (cluster.layout.id, str(cluster.layout.folder))


def test_killed_in_the_middle_it_is_mended_and_at_the_end_nothing_is_left(another: Cluster) -> None:
    before = traces(mine(another))

    first = started(another, "up", "--bare")
    until(another.layout.record("kube-apiserver").exists, "the API server was never started")
    first.kill()
    first.communicate()
    called(another, "up", "--bare")
    assert {state for name, state in another.status() if name != "node"} == {"ready"}

    image = environment.read(another.layout.environment)["HUB_EXT_TEST_IMAGE"]
    another.kubectl("apply", "-f", "-", stdin=POD.replace("IMAGE", image))
    until(lambda: phase(another, "stays") == "Running", "the pod never ran")

    again = time.monotonic()
    called(another, "up", "--bare")
    quick = time.monotonic() - again

    another.part("kubelet").stop(grace=0)
    another.part("kube-proxy").stop(grace=0)
    assert ("kubelet", "does not run") in another.status()
    called(another, "up", "--bare")
    assert {state for name, state in another.status() if name != "node"} == {"ready"}
    assert phase(another, "stays") == "Running"
    assert another.kubectl("get", "pod", "stays", "-o", "jsonpath={.status.containerStatuses[0].restartCount}") == "0"
    assert quick < 60, "an `up` of what runs takes seconds"

    called(another, "down")
    assert difference(before, traces(mine(another))) == {}
    assert not another.layout.folder.exists()


def test_of_a_node_that_was_killed_only_control_groups_are_left_and_the_next_cluster_removes_them(
    another: Cluster, tmp_path: Path
) -> None:
    before = traces(mine(another))
    making = started(another, "up", "--bare")
    until(another.layout.record("kubelet").exists, "the kubelet was never started")
    making.kill()
    making.communicate()
    first = another.node.first
    assert first is not None
    psutil.Process(first.pid).send_signal(signal.SIGKILL)
    until(lambda: set(difference(before, traces(mine(another)))) <= {"groups"}, "processes or devices are left")

    elsewhere = Cluster(Layout(tmp_path / "elsewhere"))
    try:
        making = started(elsewhere, "up", "--bare")
        until(elsewhere.layout.record("etcd").exists, "etcd was never started")
        making.kill()
        making.communicate()
        assert difference(before, traces(mine(another))) == {}
    finally:
        elsewhere.down()
    called(another, "down")
    called(another, "down")
    assert difference(before, traces(mine(another))) == {}


def test_a_part_that_fails_says_its_last_words(another: Cluster) -> None:
    called(another, "up", "--bare")
    another.part("kube-scheduler").stop(grace=0)
    program = another.layout.folder / "bin" / "kube-scheduler"
    program.unlink()
    program.write_text("#!/bin/sh\necho no room for a scheduler >&2\nexit 1\n")
    program.chmod(0o755)
    part = another.part("kube-scheduler")
    part.start()
    with pytest.raises(ClusterError) as caught:
        part.wait()
    assert "kube-scheduler ended" in str(caught.value)
    assert "no room for a scheduler" in str(caught.value)
    called(another, "up", "--bare")
    assert ("kube-scheduler", "ready") in another.status()
