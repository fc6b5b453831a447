"""200 signed-in people with 100 servers, 3 replicas of the service: pages and processor of each part, beside stock.

`python -m benchmarks.crowd --people 1000 --servers 500` for more of them. Ours is installed by the chart; the peer is a
stock JupyterHub with KubeSpawner in pods of the same images: Hub, configurable-http-proxy, PostgreSQL. One after the
other they get the same load, from this machine: each person asks for a page every 30 s, at the same moments here and
there (of ours: home, gallery, a workflow, start page; of stock: home and spawn page, it has no others), and each server
reports activity as jupyterhub-singleuser does. Ours gets beside it what its own pages and servers ask: an event
stream for each open page, and JupyterLab's question when its server ends.

Servers are simulated pods (kwok). It needs a cluster of one's own (`make cluster`), whose node is closed for a while.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bursts import until_ready
from benchmarks.crowd_people import Crowd, Load, Side
from benchmarks.harness import PASSWORD, percentile, show, summary
from benchmarks.pods import Pod, memory, pods_of, processor
from benchmarks.simulated import Responder, simulated
from benchmarks.stock_pods import stock_pods
from tests.kubernetes.accounts import _keep_looking
from tests.kubernetes.charts import Release
from tests.kubernetes.conftest import UsedCluster, used_cluster
from tests.kubernetes.platforms import API, profile

REPLICAS = 3
REST = 30.0  # seconds
_AT_ONCE = 8  # servers that start at once
_PAGES = "/services/workflows/"
_ROLES = {"clara": ["curator"], "rene": ["curator"]}
BAR = "none: printed"


def say(text: str) -> None:
    """Say what goes on: it takes minutes."""
    print(f"… {text}", file=sys.stderr, flush=True)


def tokens_of_servers(cluster: UsedCluster) -> dict[str, str]:
    """Return name of a person → her server's own token, from its pod or from the Secret that its pod has."""
    found: dict[str, str] = {}
    for pod in cluster.kubectl.items("pods"):
        for container in pod["spec"]["containers"]:
            env = {one["name"]: one.get("value", "") for one in container.get("env", ())}
            found[env.get("JUPYTERHUB_USER", "")] = env.get("JUPYTERHUB_API_TOKEN", "")
    for secret in cluster.kubectl.items("secrets"):
        env = {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in secret.get("data", {}).items()}
        found[env.get("JUPYTERHUB_USER", "")] = env.get("JUPYTERHUB_API_TOKEN", "")
    return {name: token for name, token in found.items() if name and token}


def start_servers(url: str, names: Sequence[str], body: dict[str, Any]) -> float:
    """Have people start their servers; return the seconds until all are ready."""

    def one(name: str) -> None:
        asked = {"auth": {"username": name, "password": PASSWORD}, "note": "benchmark"}
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            answer = client.post(f"/hub/api/users/{name}/tokens", json=asked)
            client.headers["Authorization"] = f"token {answer.raise_for_status().json()['token']}"
            until_ready(client, name, body)

    began = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, names))
    return time.monotonic() - began


def at_rest(pods: list[Pod]) -> dict[str, Any]:
    """Return what a platform needs while nobody asks for anything.

    Args:
        pods: Its pods.
    """
    held, before = memory(pods), processor(pods)
    time.sleep(REST)
    after = processor(pods)
    shares = {part: round((after[part] - before[part]) / REST, 4) for part in after}
    return {"memory at rest (MB)": held, "processor at rest (share of a core)": shares}


def measure(cluster: UsedCluster, namespace: str, side: Side, load: Load, body: dict[str, Any]) -> dict[str, Any]:
    """Look at a platform at rest, then with everybody there.

    Args:
        cluster: The cluster.
        namespace: Of the platform.
        side: Where it is.
        load: How much is asked.
        body: What a start of a server asks for.
    """
    say(f"a look at rest, in {namespace}")
    pods = pods_of(cluster, namespace)
    told = at_rest(pods)
    names = [f"p{number}" for number in range(load.people)]
    crowd = Crowd(side, load, names)
    try:
        began = time.monotonic()
        say("everybody signs in")
        crowd.sign_in()
        told["sign-ins (s)"] = round(time.monotonic() - began, 1)
        say("servers start")
        told["starts of servers (s)"] = round(start_servers(side.url, names[: load.servers], body), 1)
        tokens = tokens_of_servers(cluster)
        before = processor(pods)
        say(f"{load.seconds:.0f} s of pages")
        crowd.stay(tokens)
        after = processor(pods)
    finally:
        crowd.close()
    told["processor seconds"] = {part: round(after[part] - before[part], 2) for part in after}
    told["memory (MB)"] = memory(pods)
    told["pages"] = crowd.seen.pages
    told["asked"] = {"servers": len(tokens), **crowd.seen.asked}
    told["failed"] = crowd.seen.failed
    return told


def ours(folder: Path, cluster: UsedCluster, load: Load) -> dict[str, Any]:
    """Measure the platform that the chart installs."""
    folder.mkdir()
    settings = {"roles": _ROLES, "approvals_required": 1}
    with installed(folder, cluster, settings) as release:
        release.approve(profile("scratch", home=False))
        first = release.api("clara").get(f"{API}/workflows").raise_for_status().json()["items"][0]
        pages = {
            "home": _PAGES,
            "gallery": f"{_PAGES}gallery",
            "workflow": f"{_PAGES}w/{first['owner']}/{first['name']}",
            "start": "/hub/spawn",
        }
        at = {name: f"http://{host}:{port}" for name, (host, port) in release.ports().items()}
        side = Side(release.url, at["hub"], at["service"], pages)
        with simulated(folder, cluster):
            return measure(cluster, release.namespace, side, load, {"profile": "scratch", "options": {}})


@contextlib.contextmanager
def installed(folder: Path, cluster: UsedCluster, settings: dict[str, Any]) -> Iterator[Release]:
    """Have a release of the chart, whose password is that of all benchmarks."""
    sign_in = {"kind": "one-password", "allowOnePassword": True, "password": PASSWORD}
    service, puller = {"replicas": REPLICAS}, {"enabled": False}
    _keep_looking(cluster)
    release = Release(cluster, folder, settings=settings, service=service, prePuller=puller, signIn=sign_in)
    try:
        release.install()
        release.kubectl("rollout", "status", "deployment/hub-ext-service", "--timeout=120s")
        yield release
    finally:
        release.close()


def theirs(folder: Path, cluster: UsedCluster, load: Load) -> dict[str, Any]:
    """Measure a stock JupyterHub in pods."""
    folder.mkdir()
    if cluster.local is None:
        message = "it needs a cluster of this machine (make cluster)"
        raise RuntimeError(message)
    images = {name.removeprefix("hub-ext/"): image for name, image in cluster.local.add_chart(print).items()}
    with stock_pods(cluster, images) as peer, simulated(folder, cluster):
        pages = dict.fromkeys(("home", "gallery", "workflow"), "/hub/home") | {"start": "/hub/spawn"}
        side = Side(peer.url, peer.hub, "", pages)
        return measure(cluster, peer.namespace, side, load, {"profile": "p0", "memory": "m4"})


def told(found: dict[str, dict[str, Any]]) -> dict[str, object]:
    """Return what is shown: of each its figures, then ours as multiples of the peer's."""
    shown: dict[str, object] = {}
    every: dict[str, list[float]] = {}
    for who, figures in found.items():
        pages = figures.pop("pages")
        every[who] = [one for times in pages.values() for one in times]
        shown |= {
            f"{who}: {kind} page (s), {len(times)} times": summary(times) for kind, times in sorted(pages.items())
        }
        shown[f"{who}: all pages (s), {len(every[who])} times"] = summary(every[who])
        figures["processor seconds"]["all parts"] = round(sum(figures["processor seconds"].values()), 2)
        shown |= {f"{who}: {key}": value for key, value in figures.items()}
    if len(found) == 2:
        mine, peer = (found[who]["processor seconds"] for who in ("ours", "stock"))
        p95 = [percentile(every[who], 0.95) for who in ("ours", "stock")]
        shown["ours / stock: p95 of all pages"] = round(p95[0] / p95[1], 2)
        shown |= {f"ours / stock: processor, {part}": round(mine[part] / peer[part], 2) for part in peer if peer[part]}
    return shown


def main(folder: Path, load: Load | None = None, only: str = "") -> None:
    """Print the figures.

    Args:
        folder: An empty one.
        load: How much is asked.
        only: `ours` or `stock`; empty for both.
    """
    load, cluster = load or Load(), used_cluster()
    Responder(cluster.host)
    sides = {"stock": theirs, "ours": ours}
    found = {who: look(folder / who, cluster, load) for who, look in sides.items() if only in ("", who)}
    name = f"{load.people} people, {load.servers} servers, {REPLICAS} replicas, {load.seconds:.0f} s"
    show(name, told(found), BAR)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd")
    parser.add_argument("--people", type=int, default=Load.people)
    parser.add_argument("--servers", type=int, default=Load.servers)
    parser.add_argument("--seconds", type=float, default=Load.seconds)
    parser.add_argument("--only", choices=["ours", "stock"], default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hub-ext-bench-") as place:
        main(Path(place), Load(asked.people, asked.servers, asked.seconds), asked.only)
