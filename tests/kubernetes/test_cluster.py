"""The cluster does what the other tests build on: restricted pods, names, Services, volumes, the way here."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.errors import ClusterError
from tests.kubernetes.conftest import UsedCluster
from tests.timing import Pauses

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture
def namespace(cluster: UsedCluster, leaks: Callable[..., None]) -> Iterator[str]:
    """A namespace under Pod Security `restricted`; at the end, nothing of it may be left."""
    name = f"cluster-{uuid4().hex[:8]}"
    cluster.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=true", seconds=180)
    leaks(name, seconds=60)


def pod(image: str, name: str, *command: str, claim: str = "") -> dict[str, Any]:
    """Return a pod as hub-ext's own are: no privileges, a root that nobody writes to."""
    home: dict[str, Any] = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "runAsGroup": 100,
                "fsGroup": 100,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "notebook",
                    "image": image,
                    "command": list(command),
                    "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "10m"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                    "volumeMounts": [{"name": "home", "mountPath": "/home/analyst"}],
                }
            ],
            "volumes": [{"name": "home", **home}],
        },
    }


def finished(cluster: UsedCluster, namespace: str, name: str, seconds: float = 120) -> tuple[str, str]:
    """Wait for a pod to end; return how, and what it printed."""
    deadline, pause = time.monotonic() + seconds, Pauses()
    while True:
        phase = cluster.kubectl.json("get", "pod", name, "-n", namespace)["status"]["phase"]
        if phase in {"Succeeded", "Failed"}:
            return phase, cluster.kubectl("logs", name, "-n", namespace)
        assert time.monotonic() < deadline, cluster.kubectl("describe", "pod", name, "-n", namespace)
        pause()


def put(cluster: UsedCluster, namespace: str, *manifests: dict[str, Any]) -> None:
    """Make objects in a namespace."""
    for manifest in manifests:
        manifest["metadata"]["namespace"] = namespace
    cluster.kubectl.apply(*manifests)


def test_the_notebook_image_has_what_runs_and_nothing_more(cluster: UsedCluster, namespace: str) -> None:
    script = """
        id -u; id -g; echo "$HOME"
        hub-ext-executor --help | head -1
        python -c 'import jupyterlab, matplotlib, pandas, sklearn, vega_datasets; print("libraries")'
        cd /opt/notebook/share/sbom
        python -c 'import json; print(len(json.load(open("notebook.cdx.json"))["components"]) > 200)'
        for one in pip pip3 gcc cc uv apt-get; do command -v $one; done
        python -c 'import matplotlib.font_manager as f, json, pathlib
for one in pathlib.Path("/opt/hub-ext/fonts").iterdir():
    print(one.suffix, json.loads(one.read_text())["_version"] == f.FontManager.__version__)'
        touch /opt/x 2>/dev/null || echo read-only
        touch "$HOME/x" && echo home
    """
    put(cluster, namespace, pod(cluster.image, "image", "sh", "-c", script))
    phase, said = finished(cluster, namespace, "image")
    lines = said.split("\n")
    assert phase == "Succeeded", said
    assert lines[:3] == ["1000", "100", "/home/analyst"]
    assert lines[3].startswith("usage: hub-ext-executor")
    assert lines[4:9] == ["libraries", "True", "/usr/bin/apt-get", ".json True", "read-only"]
    assert lines[9] == "home"


def test_pods_that_are_not_restricted_are_refused(cluster: UsedCluster, namespace: str) -> None:
    loose = pod(cluster.image, "loose", "true")
    loose["spec"]["containers"][0]["securityContext"]["capabilities"] = {"add": ["NET_ADMIN"]}
    with pytest.raises(ClusterError, match="restricted"):
        put(cluster, namespace, loose)


def test_a_volume_keeps_what_a_pod_wrote(cluster: UsedCluster, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "home"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}},
    }
    if cluster.storage_class:
        claim["spec"]["storageClassName"] = cluster.storage_class  # type: ignore[index]
    put(cluster, namespace, claim, pod(cluster.image, "first", "sh", "-c", "echo kept > ~/file", claim="home"))
    assert finished(cluster, namespace, "first")[0] == "Succeeded"
    put(cluster, namespace, pod(cluster.image, "second", "cat", "/home/analyst/file", claim="home"))
    assert finished(cluster, namespace, "second") == ("Succeeded", "kept\n")


def test_a_pod_is_reached_by_its_service_and_by_this_machine(cluster: UsedCluster, namespace: str) -> None:
    server = pod(cluster.image, "server", "python", "-m", "http.server", "8888", "--directory", "/opt/notebook/etc")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8888}]},
    }
    ask = f"""
        import time, urllib.request
        for _ in range(100):
            try:
                print(urllib.request.urlopen("http://server.{namespace}.svc", timeout=5).status)
                break
            except OSError:
                time.sleep(0.2)
    """
    put(cluster, namespace, server, service)
    put(
        cluster,
        namespace,
        pod(cluster.image, "client", "python", "-c", "\n".join(line[8:] for line in ask.splitlines())),
    )
    assert finished(cluster, namespace, "client") == ("Succeeded", "200\n")


def test_a_pod_reaches_this_machine(cluster: UsedCluster, namespace: str) -> None:
    with listening(cluster.host) as (port, seen):
        ask = f"import urllib.request; print(urllib.request.urlopen('http://{cluster.host}:{port}', timeout=20).read())"
        put(cluster, namespace, pod(cluster.image, "client", "python", "-c", ask))
        assert finished(cluster, namespace, "client") == ("Succeeded", "b'here'\n")
    assert seen == [cluster.kubectl.json("get", "pod", "client", "-n", namespace)["status"]["podIP"]]


@contextlib.contextmanager
def listening(address: str) -> Iterator[tuple[int, list[str]]]:
    """Answer on a port of this machine; yield the port, and from where it was asked."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.client_address[0])
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"here")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class has it so
            """Say nothing."""

    with http.server.ThreadingHTTPServer((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], seen
        finally:
            server.shutdown()
            thread.join()


def test_memory_limits_are_real(cluster: UsedCluster, namespace: str) -> None:
    put(cluster, namespace, pod(cluster.image, "greedy", "python", "-c", "x = bytearray(1 << 30); print(len(x))"))
    assert finished(cluster, namespace, "greedy")[0] == "Failed"
    state = cluster.kubectl.json("get", "pod", "greedy", "-n", namespace)["status"]["containerStatuses"][0]["state"]
    assert state["terminated"]["reason"] == "OOMKilled"
