"""Many servers in a cluster: so many started at once, and twice as many that run; beside stock KubeSpawner.

`python -m benchmarks.kubernetes_scale --servers 500` for more of them.

The pods are simulated (kwok): each is ready at once, at the address of one small responder on this machine, so that
what is measured is the Hub. All Hubs ask the API server through a proxy that counts, and tell their routes to a
configurable-http-proxy, as in the chart. It needs a cluster of one's own whose nodes may be closed for a while (`make
cluster`).

Two more figures stand beside that pair: a stock Hub that makes a namespace for each person, too
(`KubeSpawner.enable_user_namespaces`; it makes nothing else in it), and people who come back: everybody who started at
once stops, and starts at once again.

All are asked alike: each person has a token of her own, and follows her start's progress as the
waiting page does. (Asking again and again whether a server is ready, which nobody does, would be most of the figure,
and the more of it, the slower the machine is.)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks import charts_proxy
from benchmarks.counting import Counting
from benchmarks.harness import free_port, pss, show
from benchmarks.kubernetes_start import stock
from tests.cluster.builds import KWOK
from tests.kubernetes.api_proxy import ApiProxy
from tests.kubernetes.conftest import UsedCluster, used_cluster
from tests.kubernetes.platforms import ClusterPlatform, Person, profile

PORT = 8888  # that both expect a server on
NODES = 5
ROOM = {"cpu": "1k", "memory": "1Ti", "ephemeral-storage": "10Ti", "pods": "1000"}  # kwok alone gives no storage
IDLE = 20.0  # seconds
AFTER = 5.0  # seconds in which a Hub may do what waited while many started; what it asks then counts
Ask = Callable[[int], None]
Measured = Callable[[Path, UsedCluster, int], dict[str, Any]]
_OF_STOCK = "hub-ext-benchmark=stock"  # label of namespaces that a stock Hub makes
_NAMESPACES = """
c.KubeSpawner.enable_user_namespaces = True
c.KubeSpawner.user_namespace_labels = {"hub-ext-benchmark": "stock"}
"""
_PROXY = 'c.JupyterHub.proxy_class = "configurable-http-proxy"\n'

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


def kinds(asked: list[str]) -> Counter[str]:
    """Return how often each kind of request was made: `POST pods`."""
    found: Counter[str] = Counter()
    for one in asked:
        method, _, path = one.partition(" ")
        parts = re.sub(r"^/apis?/([a-z0-9.]+/)?v[0-9]+/", "", path.partition("?")[0]).split("/")
        kind = parts[2] if parts[0] == "namespaces" and len(parts) > 2 else parts[0]
        found[f"{'WATCH' if 'watch=' in path else method} {kind}"] += 1
    return found


def at_once(ask: Ask, numbers: range) -> float:
    """Start servers at once; return the seconds until all are ready."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(numbers)) as pool:
        list(pool.map(ask, numbers))
    return time.monotonic() - began


def until_ready(client: httpx.Client, user: str, body: dict[str, Any]) -> None:
    """Start a server, and follow its progress until it is ready."""
    answer = client.post(f"/hub/api/users/{user}/server", json=body, timeout=120)
    answer.raise_for_status()
    if answer.status_code == 201:
        return
    with client.stream("GET", f"/hub/api/users/{user}/server/progress", timeout=300) as events:
        for line in events.iter_lines():
            event = json.loads(line[5:]) if line.startswith("data:") else {}
            if event.get("ready"):
                return
            if event.get("failed"):
                raise RuntimeError(event)
    message = f"the server of {user} is not ready"
    raise RuntimeError(message)


def until_stopped(client: httpx.Client, user: str) -> None:
    """Stop a server, and wait until the Hub has none."""
    client.delete(f"/hub/api/users/{user}/server", timeout=120).raise_for_status()
    while client.get(f"/hub/api/users/{user}", timeout=120).json()["servers"]:
        time.sleep(0.2)


def used(process: psutil.Process) -> float:
    """Return the seconds of processor that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def burst(hub: psutil.Process, api: ApiProxy, ask: Ask, many: int) -> dict[str, Any]:
    """Start so many at once."""
    api.asked.clear()
    before = used(hub)
    seconds = at_once(ask, range(1, many + 1))
    spent = used(hub) - before
    time.sleep(AFTER)
    asked = kinds(api.asked)
    return {
        "seconds": round(seconds, 2),
        "starts a second": round(many / seconds, 2),
        "processor seconds of the Hub a start": round(spent / many, 4),
        f"processor seconds of the Hub a start, with the {AFTER:g} s after it": round((used(hub) - before) / many, 4),
        "API requests a start": round(sum(asked.values()) / many, 2),
        "which": {key: round(count / many, 2) for key, count in asked.most_common()},
    }


def measure(hub: psutil.Process, api: ApiProxy, ask: Ask, stop: Ask, many: int) -> dict[str, Any]:
    """Start one, then so many at once, then as many again; look at the Hub; stop the many, and start them again."""
    ask(0)
    first = burst(hub, api, ask, many)
    at_once(ask, range(many + 1, 2 * many))
    before, began = used(hub), time.monotonic()
    time.sleep(IDLE)
    idle = (used(hub) - before) / (time.monotonic() - began)
    resting = {
        f"processor of the Hub while {2 * many} run (share of a core)": round(idle, 4),
        f"memory of the Hub while {2 * many} run (MB)": round(pss(hub) / 2**20, 1),
    }
    at_once(stop, range(1, many + 1))
    again = burst(hub, api, ask, many)
    return {**first, **resting, **{f"who come back: {key}": value for key, value in again.items()}}


class Counted(ClusterPlatform):
    """Our platform with a proxy that only counts."""

    proxies = Counting


def ours(folder: Path, cluster: UsedCluster, many: int) -> dict[str, Any]:
    """Measure our Hub."""
    folder.mkdir()
    platform = Counted(folder, cluster)
    platform.command = [sys.executable, "-m", "benchmarks.charts_proxy"]
    people: dict[int, Person] = {}
    try:
        platform.start()
        platform.approve(profile("scratch", home=False))
        people = {number: platform.person(f"p{number}") for number in range(2 * many)}

        def ask(number: int) -> None:
            until_ready(people[number].client, people[number].name, {"profile": "scratch", "options": {}})

        def stop(number: int) -> None:
            until_stopped(people[number].client, people[number].name)

        return measure(platform.hub(), platform.api_server, ask, stop, many)
    finally:
        platform.close()


@contextlib.contextmanager
def account(folder: Path, cluster: UsedCluster, server: str) -> Iterator[Path]:
    """Have an account that may do everything, and yield a kubeconfig by which it asks at another address."""
    name = f"stock-bench-{time.time_ns() % 10**6}"
    about = {"name": "bench", "namespace": name}
    binding: dict[str, Any] = {
        "kind": "ClusterRoleBinding",
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", **about}],
    }
    cluster.kubectl.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
        binding,
    )
    try:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": server}}],
            "users": [{"name": "me", "user": {"token": token_of(cluster, about)}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            "current-context": "it",
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        yield path
    finally:
        cluster.kubectl("delete", "clusterrolebinding", name, "--ignore-not-found")
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def token_of(cluster: UsedCluster, about: dict[str, str]) -> str:
    """Return a token of an account."""
    return cluster.kubectl("create", "token", about["name"], "-n", about["namespace"], "--duration=8h").strip()


def made_token(admin: httpx.Client, user: str) -> str:
    """Make a user of the stock Hub, and return a token of hers."""
    admin.post(f"/hub/api/users/{user}").raise_for_status()
    answer = admin.post(f"/hub/api/users/{user}/tokens", json={"note": "benchmark"})
    answer.raise_for_status()
    return str(answer.json()["token"])


def theirs(folder: Path, cluster: UsedCluster, many: int, *, namespaces: bool = False) -> dict[str, Any]:
    """Measure a stock JupyterHub with KubeSpawner.

    Args:
        folder: Its files.
        cluster: The cluster.
        many: How many start at once.
        namespaces: Whether it makes one for each person.
    """
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        api = Counting(cluster.kubeconfig)
        stack.callback(api.close)
        kubeconfig = stack.enter_context(account(folder, cluster, api.url))
        more = _PROXY + charts_proxy.lines(free_port(), folder)
        if namespaces:
            more += _NAMESPACES
            stack.callback(cluster.kubectl, "delete", "namespace", "-l", _OF_STOCK, "--wait=false")
        peer = stack.enter_context(stock(folder / "hub", cluster, kubeconfig, home=False, more=more))
        admin = stack.enter_context(peer.client(peer.admin_token))
        tokens = [made_token(admin, f"p{number}") for number in range(2 * many)]
        clients = [stack.enter_context(peer.client(one)) for one in tokens]

        def ask(number: int) -> None:
            until_ready(clients[number], f"p{number}", {})

        def stop(number: int) -> None:
            until_stopped(clients[number], f"p{number}")

        return measure(psutil.Process(peer.process.pid), api, ask, stop, many)


def calm(cluster: UsedCluster, seconds: float = 180) -> None:
    """Wait until the cluster takes nothing away any more: what an earlier Hub left would be a later one's figure."""
    until = time.monotonic() + seconds
    while any(one["metadata"].get("deletionTimestamp") for one in cluster.kubectl.items("namespaces,pods")):
        if time.monotonic() > until:
            message = "the cluster is still taking something away: what is measured now says nothing"
            raise RuntimeError(message)
        time.sleep(2)


def main(folder: Path, many: int = 50) -> None:
    """Print the figures."""
    cluster = used_cluster()
    if cluster.local is None:
        message = "this closes nodes for a while: it needs a cluster of one's own (make cluster)"
        raise RuntimeError(message)
    Responder(cluster.host)
    with simulated(folder, cluster):
        hubs: dict[str, Measured] = {"stock": theirs, "ours": ours}
        hubs["stock with namespaces"] = partial(theirs, namespaces=True)
        found = {}
        for who, measured in hubs.items():
            calm(cluster)
            found[who] = measured(folder / who.replace(" ", "-"), cluster, many)
    told: dict[str, object] = {
        f"{who}: {key}": value for who, figures in found.items() for key, value in figures.items()
    }
    for peer in ("stock", "stock with namespaces"):
        told |= {
            f"ours / {peer}: {key}": round(value / found[peer][key], 3)
            for key, value in found["ours"].items()
            if isinstance(value, float) and found[peer][key]
        }
    bar = "ours / stock: starts a second >= 1, processor and memory <= 1.2"
    show(f"{many} servers started at once, {2 * many} that run", told, bar)


def by_hand() -> None:
    """Take the number from the command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--servers", type=int, default=50, help="how many start at once; twice as many run then")
    with tempfile.TemporaryDirectory(prefix="hub-ext-bench-") as folder:
        main(Path(folder), asked.parse_args().servers)


if __name__ == "__main__":
    by_hand()
