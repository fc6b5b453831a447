"""Simulated nodes and pods (kwok), so that what is measured is the Hub: each pod is ready at once.

All are at the address of one small responder on this machine, which answers the Hub's check.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.builds import KWOK
from tests.kubernetes.conftest import UsedCluster

PORT = 8888  # that servers are expected on
NODES = 5
ROOM = {"cpu": "1k", "memory": "1Ti", "ephemeral-storage": "10Ti", "pods": "1000"}  # kwok alone gives no storage

_ANSWER = json.dumps({"version": "0"}).encode()
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nX-JupyterHub-Version: 6.1.1\r\n"
_READY = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.podIP, operator: DoesNotExist}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Initialized}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: ContainersReady}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Ready}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        state: {running: {startedAt: {{ $now | Quote }}}}
      {{ end }}
      hostIP: HOST
      podIP: HOST
      phase: Running
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: Exists}
  next:
    finalizers: {empty: true}
    delete: true
"""


class Responder:
    """Answers for every simulated server.

    Args:
        host: Address of this machine.
    """

    def __init__(self, host: str) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._begin(host), self._loop).result(10)

    async def _begin(self, host: str) -> None:
        self._server = await asyncio.start_server(self._answer, host, PORT, backlog=1000)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_HEAD + b"Content-Length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER)
            await writer.drain()
        writer.close()


@contextlib.contextmanager
def simulated(folder: Path, cluster: UsedCluster) -> Iterator[None]:
    """Have simulated nodes alone take pods."""
    program = KWOK.make(print) / "kwok"
    stages = folder / "stages.yaml"
    stages.write_text(_READY.replace("HOST", cluster.host))
    selector = "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"
    command = [str(program), f"--kubeconfig={cluster.kubeconfig}", f"--config={stages}", selector]
    real = [one["metadata"]["name"] for one in cluster.kubectl.items("nodes")]
    names = [f"simulated-{number}" for number in range(NODES)]
    with (folder / "kwok.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        marks = {"annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"type": "kwok"}}
        nodes = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": one, **marks}} for one in names]
        cluster.kubectl.apply(*[one | {"status": {"capacity": ROOM, "allocatable": ROOM}} for one in nodes])
        for one in real:
            cluster.kubectl("cordon", one)
        cluster.kubectl("wait", "node", *names, "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        for one in real:
            cluster.kubectl("uncordon", one)
        cluster.kubectl("delete", "pods", "-A", "--field-selector=spec.nodeName!=" + real[0], "--force", "--wait=false")
        cluster.kubectl("delete", "node", *names, "--ignore-not-found")
        process.terminate()
        process.wait(30)
