"""Server start in a cluster: asked → ready as the Hub says it, beside asked → the same pod's own first answer.

Peer: stock JupyterHub with KubeSpawner on the same cluster, image, home and limits, in turn with ours. Ours makes a
namespace, policies, quota and secret as well; the first start of a person, which makes them anew, is told apart.

It needs a cluster: `make cluster`, or KUBECONFIG as for `make test-kubernetes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.harness import BIN, STOCK, Platform, environment, free_port, progress, running, show, summary, wait
from hub_ext.kubernetes.client import Cluster
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.watch import Change, Watch
from tests.kubernetes.conftest import UsedCluster, used_cluster
from tests.kubernetes.platforms import ClusterPlatform, free_port_of, profile

_PODS = """
c.JupyterHub.hub_bind_url = "http://{host}:{hub_port}"
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = "{namespace}"
c.KubeSpawner.image = "{image}"
c.KubeSpawner.cmd = ["jupyterhub-singleuser"]
c.KubeSpawner.cpu_limit, c.KubeSpawner.cpu_guarantee = {cores}, 0.01
c.KubeSpawner.mem_limit, c.KubeSpawner.mem_guarantee = "512M", "64M"
c.KubeSpawner.default_url = "/lab"
c.KubeSpawner.delete_grace_period = 10
c.KubeSpawner.uid, c.KubeSpawner.gid, c.KubeSpawner.fs_gid = 1000, 100, 100
"""
_HOMES = """
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_class = {storage_class!r}
c.KubeSpawner.storage_capacity = "1Gi"
c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
c.KubeSpawner.volumes = [dict(name="home", persistentVolumeClaim=dict(claimName="{{pvc_name}}"))]
c.KubeSpawner.volume_mounts = [dict(name="home", mountPath="/home/analyst")]
"""
CORES = 1


class FirstAnswers:
    """Sees from outside when each new pod first answers: its address from the API server, then asked every 5 ms.

    Args:
        kubeconfig: The administrator's.
    """

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig
        self._path = ""
        self._seen: set[str] = set()
        self._answered: asyncio.Future[float]
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._call(self._begin())

    def _call(self, work: Coroutine[Any, Any, float | None]) -> float:
        return float(asyncio.run_coroutine_threadsafe(work, self._loop).result(120) or 0)

    async def _begin(self) -> None:
        cluster = await Cluster.connect(self._kubeconfig)
        labels = ("hub-ext/purpose=server", "component=singleuser-server")
        self._watches = [Watch(cluster, "Pod", labels=one) for one in labels]
        for watch in self._watches:
            watch.listen(self._changed)
            watch.start()
            await watch.synced.wait()

    def expect(self, path: str) -> None:
        """From now on the next new pod is asked for a path."""

        async def begin() -> None:
            self._answered = self._loop.create_future()
            self._path = path

        self._call(begin())

    def answered(self) -> float:
        """Return when the pod that was expected first answered, in seconds since 1970."""

        async def wait() -> float:
            return await asyncio.wait_for(self._answered, 60)

        return self._call(wait())

    def _changed(self, _change: Change, pod: Manifest) -> None:
        ip, uid = pod["status"].get("podIP"), pod["metadata"]["uid"]
        if ip and uid not in self._seen:
            self._seen.add(uid)
            if self._path:
                self._asking = asyncio.create_task(self._ask(f"http://{ip}:8888{self._path}"))
                self._path = ""

    async def _ask(self, url: str) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(url)).status_code == 200:
                        self._answered.set_result(time.time())
                        return
                await asyncio.sleep(0.005)


def start_once(client: httpx.Client, pods: FirstAnswers, user: str, body: dict[str, object]) -> tuple[float, float]:
    """Start a server, wait for its ready event, stop it.

    Returns:
        Seconds until the Hub says that it is ready, and until the pod first answered.
    """
    pods.expect(f"/user/{user}/api")
    asked = time.time()
    client.post(f"/hub/api/users/{user}/server", json=body).raise_for_status()
    for event in progress(client, f"/hub/api/users/{user}/server"):
        if event.get("failed"):
            raise RuntimeError(event)
        if event.get("ready"):
            break
    ready = time.time()
    answered = pods.answered()
    client.delete(f"/hub/api/users/{user}/server").raise_for_status()
    while client.get(f"/hub/api/users/{user}").json()["servers"]:
        time.sleep(0.1)
    return ready - asked, answered - asked


@contextlib.contextmanager
def stock(
    folder: Path, cluster: UsedCluster, kubeconfig: Path | None = None, *, home: bool = True, more: str = ""
) -> Iterator[Platform]:
    """Run a stock JupyterHub with KubeSpawner, in a namespace of its own.

    Args:
        folder: Its files.
        cluster: The cluster.
        kubeconfig: Whose account it uses; by default the administrator's.
        home: Whether each server has a volume.
        more: More lines of its configuration.
    """
    folder.mkdir(parents=True)
    port, token = free_port(), "0123456789abcdef0123456789abcdef"
    namespace = f"stock-{os.getpid()}-{port}"
    text = (STOCK + _PODS + (_HOMES if home else "")).format(
        folder=folder,
        port=port,
        host=cluster.host,
        hub_port=free_port_of(cluster.host),
        api_port=free_port(),
        token=token,
        namespace=namespace,
        image=cluster.image,
        cores=CORES,
        storage_class=cluster.storage_class,
    )
    (folder / "config.py").write_text(text + more)
    cluster.kubectl("create", "namespace", namespace)
    environ = environment() | {"KUBECONFIG": str(kubeconfig or cluster.kubeconfig)}
    try:
        with running([str(BIN / "jupyterhub"), "-f", str(folder / "config.py")], folder, environ) as process:
            wait(f"http://127.0.0.1:{port}/hub/api/", process)
            yield Platform(f"http://127.0.0.1:{port}", process, folder, token)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def main(folder: Path, pairs: int = 12) -> None:
    """Print the figures."""
    cluster = used_cluster()
    pods = FirstAnswers(str(cluster.kubeconfig))
    (folder / "ours").mkdir()
    platform = ClusterPlatform(folder / "ours", cluster, proxied=False)
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    try:
        platform.start()
        platform.approve(profile("small"))
        with stock(folder / "stock", cluster) as peer, peer.client(peer.admin_token) as other:
            person = platform.person("bench")
            other.post("/hub/api/users/bench").raise_for_status()
            first = (
                start_once(person.client, pods, person.name, {"profile": "small"}),
                start_once(other, pods, "bench", {}),
            )
            for _ in range(pairs):
                ours.append(start_once(person.client, pods, person.name, {"profile": "small"}))
                theirs.append(start_once(other, pods, "bench", {}))
    finally:
        platform.close()
    told: dict[str, object] = {}
    for name, found, new in (("ours", ours, first[0]), ("stock", theirs, first[1])):
        told[f"{name} ready (s)"] = summary([ready for ready, _ in found])
        told[f"{name} pod's first answer (s)"] = summary([answer for _, answer in found])
        told[f"{name} ready / first answer"] = summary([ready / answer for ready, answer in found])
        told[f"{name} first start of a person: ready, pod's first answer (s)"] = [round(one, 3) for one in new]
    medians = [summary([ready for ready, _ in found])["median"] for found in (ours, theirs)]
    told["ready ours / stock"] = round(medians[0] / medians[1], 3)
    told["pairs"] = pairs
    show("server start in a cluster", told, "ours ready / first answer <= 1.1, ready ours / stock <= 1.0")
