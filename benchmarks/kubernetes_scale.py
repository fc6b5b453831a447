"""Many servers in a cluster: so many started at once, and twice as many that run; beside stock KubeSpawner.

`python -m benchmarks.kubernetes_scale --servers 500` for more of them.

The pods are simulated (kwok). All Hubs run at the same time and are measured in turns, in an order that changes: in
each round everybody who starts at once on a Hub has never started there before, then all stop, and start at once again
(people who come back). What is put away in between is waited for and in no figure; the first round is not counted. Each
figure is the median of the rounds, with all that were measured beside it; the ratios are those of the medians, and of
each round.

All Hubs tell their routes to a configurable-http-proxy, as in the chart, and write down themselves what they ask the
API server. It needs a cluster of one's own whose nodes may be closed for a while (`make cluster`).

The stock Hubs are patient: with their own 3 s for a request, and 60 s for a start, some of 500 starts at once failed.

A second peer is a stock Hub that makes a namespace for each person, too (`KubeSpawner.enable_user_namespaces`; it makes
nothing else in it).

All are asked alike: each person has a token of her own, and follows her start's progress as the waiting page does.
(Asking again and again whether a server is ready, which nobody does, would be most of the figure, and the more of it,
the slower the machine is.)
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks import charts_proxy, counting
from benchmarks.bursts import Hub, at_once, at_rest, burst, calm
from benchmarks.counting import Asked
from benchmarks.harness import free_port, show
from benchmarks.kubernetes_start import stock
from benchmarks.simulated import Responder, simulated
from tests.kubernetes.conftest import UsedCluster, used_cluster
from tests.kubernetes.platforms import ClusterPlatform, profile

ROUNDS = 4
OURS, STOCK, WITH_NAMESPACES = "ours", "stock", "stock with namespaces"
KINDS = ("first starts", "who come back")
_WARM = 50  # people of the round that is not counted, at most
_OF_STOCK = "hub-ext-benchmark=stock"  # label of namespaces that a stock Hub makes
_NAMESPACES = """
c.KubeSpawner.enable_user_namespaces = True
c.KubeSpawner.user_namespace_labels = {"hub-ext-benchmark": "stock"}
"""
_PATIENT = """
c.KubeSpawner.k8s_api_request_timeout = 60
c.KubeSpawner.k8s_api_request_retry_timeout = c.KubeSpawner.start_timeout = c.KubeSpawner.http_timeout = 300
"""
_PROXY = 'c.JupyterHub.proxy_class = "configurable-http-proxy"\n'
Found = dict[str, dict[str, list[dict[str, Any]]]]  # Hub → kind of burst → figures of each round


class Ours(ClusterPlatform):
    """Our platform, whose namespaces nobody waits for at the end: there are hundreds."""

    waits_at_end = False


@contextlib.contextmanager
def ours(folder: Path, cluster: UsedCluster) -> Iterator[Hub]:
    """Run our platform."""
    folder.mkdir()
    platform = Ours(folder, cluster, proxied=False)
    platform.command = [sys.executable, "-m", "benchmarks.charts_proxy"]

    def invite(name: str) -> tuple[httpx.Client, str]:
        person = platform.person(name)
        return person.client, person.name

    try:
        platform.start()
        platform.approve(profile("scratch", home=False))
        assert platform.process is not None
        root, asked = psutil.Process(platform.process.pid), Asked(charts_proxy.asked(platform.state / "run"))
        yield Hub(OURS, root, platform.hub(), asked, invite, {"profile": "scratch", "options": {}})
    finally:
        platform.close()


@contextlib.contextmanager
def theirs(folder: Path, cluster: UsedCluster, *, namespaces: bool = False) -> Iterator[Hub]:
    """Run a stock JupyterHub with KubeSpawner.

    Args:
        folder: Its files.
        cluster: The cluster.
        namespaces: Whether it makes one for each person.
    """
    folder.mkdir()
    file = folder / "asked"
    file.touch()
    more = _PROXY + _PATIENT + charts_proxy.lines(free_port(), folder) + counting.lines(file)
    with contextlib.ExitStack() as stack:
        kubeconfig = stack.enter_context(account(folder, cluster))
        if namespaces:
            more += _NAMESPACES
            stack.callback(cluster.kubectl, "delete", "namespace", "-l", _OF_STOCK, "--wait=false")
        peer = stack.enter_context(stock(folder / "hub", cluster, kubeconfig, home=False, more=more))
        admin = stack.enter_context(peer.client(peer.admin_token))

        def invite(name: str) -> tuple[httpx.Client, str]:
            return stack.enter_context(peer.client(made_token(admin, name))), name

        root = psutil.Process(peer.process.pid)
        yield Hub(WITH_NAMESPACES if namespaces else STOCK, root, root, Asked(file), invite, {})


@contextlib.contextmanager
def account(folder: Path, cluster: UsedCluster) -> Iterator[Path]:
    """Have an account that may do everything, and yield its kubeconfig."""
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
            "clusters": [
                {"name": "it", "cluster": yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]}
            ],
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


def measure(cluster: UsedCluster, hubs: Sequence[Hub], many: int, rounds: int) -> tuple[Found, list[float]]:
    """Start many at once on each Hub in turns; return what was found, and how busy the machine was before each."""
    found: Found = {hub.name: {kind: [] for kind in KINDS} for hub in hubs}
    busy: list[float] = []
    for number in range(rounds + 1):
        people = [f"r{number}p{one}" for one in range(min(many, _WARM) if number == 0 else many)]
        order = [*hubs][:: -1 if number % 2 else 1]
        for hub in order:
            hub.know(people)
        for kind in KINDS:
            for hub in order:
                before = round(calm(cluster), 2)
                figures = burst(hub, people)
                at_once(hub.stop, people)
                print(f"round {number}, {hub.name}, {kind}: {figures}", file=sys.stderr)
                if number:
                    busy.append(before)
                    found[hub.name][kind].append(figures)
    return found, busy


def resting(cluster: UsedCluster, hubs: Sequence[Hub], many: int) -> dict[str, dict[str, float]]:
    """Start twice as many on each Hub, and look at the Hubs while these run."""
    people = [f"r{many}p{one}" for one in range(2 * many)]
    for hub in hubs:
        hub.know(people)
        at_once(hub.start, people[:many])
        at_once(hub.start, people[many:])
    calm(cluster)
    return at_rest(hubs)


def told_of(found: Found, rest: dict[str, dict[str, float]]) -> dict[str, object]:
    """Return what is printed: medians with all values, and the ratios to each peer."""
    told: dict[str, object] = {}
    for name, bursts in found.items():
        for kind, rounds in bursts.items():
            for key in rounds[0]:
                told[f"{name}, {kind}: {key}"] = _all([one[key] for one in rounds])
        told |= {f"{name}, twice as many run: {key}": value for key, value in rest[name].items()}
    for peer in [one for one in found if one != OURS]:
        for kind in KINDS:
            mine, its = found[OURS][kind], found[peer][kind]
            for key in [key for key, value in mine[0].items() if isinstance(value, float)]:
                told[f"ours / {peer}, {kind}: {key}"] = _ratio([one[key] for one in mine], [one[key] for one in its])
        told |= {
            f"ours / {peer}, twice as many run: {key}": round(value / rest[peer][key], 2)
            for key, value in rest[OURS].items()
            if rest[peer][key]
        }
    return told


def _all(values: list[Any]) -> object:
    """Return the median and all values; of counts, all of them; of what is no number, the last."""
    if not isinstance(values[0], float):
        return values if isinstance(values[0], int) else values[-1]
    return {"median": round(statistics.median(values), 2), "all": values}


def _ratio(mine: list[float], its: list[float]) -> object:
    """Return the ratio of the medians, and that of each round."""
    its = [max(one, 0.001) for one in its]
    pairs = [round(one / other, 2) for one, other in zip(mine, its, strict=True)]
    return {"of medians": round(statistics.median(mine) / statistics.median(its), 2), "each": pairs}


def main(folder: Path, many: int = 50, rounds: int = ROUNDS, *, namespaces: bool = True) -> None:
    """Print the figures."""
    cluster = used_cluster()
    if cluster.local is None:
        message = "this closes nodes for a while: it needs a cluster of one's own (make cluster)"
        raise RuntimeError(message)
    Responder(cluster.host)
    with simulated(folder, cluster), contextlib.ExitStack() as stack:
        hubs = [
            stack.enter_context(ours(folder / "ours", cluster)),
            stack.enter_context(theirs(folder / "stock", cluster)),
        ]
        if namespaces:
            hubs.append(stack.enter_context(theirs(folder / "stock-ns", cluster, namespaces=True)))
        found, busy = measure(cluster, hubs, many, rounds)
        told = told_of(found, resting(cluster, hubs, many)) | {"the machine's use before each burst (share)": busy}
        bar = "ours / stock: starts a second >= 1, processor and memory <= 1.2"
        show(f"{many} servers started at once, {2 * many} that run", told, bar)
        if lost := [one for bursts in found[OURS].values() for one in bursts if one["starts that failed"]]:
            message = f"starts of ours failed: {lost}"
            raise RuntimeError(message)


def by_hand() -> None:
    """Take the numbers from the command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--servers", type=int, default=50, help="how many start at once; twice as many run then")
    asked.add_argument("--rounds", type=int, default=ROUNDS, help="how many rounds count")
    asked.add_argument("--without-namespaces", action="store_true", help="leave the second peer out")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="hub-ext-bench-") as folder:
        main(Path(folder), given.servers, given.rounds, namespaces=not given.without_namespaces)


if __name__ == "__main__":
    by_hand()
