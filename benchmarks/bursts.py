"""Bursts: many servers that are started at once on one of several Hubs, and what that took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from benchmarks.counting import Asked
from benchmarks.harness import progress, pss
from tests.kubernetes.conftest import UsedCluster

AFTER = 3.0  # seconds in which a Hub may do what waited while many started; what it asks then counts
IDLE = 20.0  # seconds
_QUIET = 0.2  # share of the machine that is used while nobody does anything, at most
_QUIET_WITHIN = 20.0  # seconds
_GONE_WITHIN = 180.0  # seconds


class StartFailedError(RuntimeError):
    """A Hub says that a server did not start."""


@dataclass
class Hub:
    """A Hub that is measured.

    Attributes:
        name: What it is called.
        root: The process at the root of its platform.
        process: Its own process.
        asked: What it asks the API server.
        invite: Makes somebody known, and returns a client with her token, and what she is called there.
        body: What a start is asked for with.
        people: Who is known, as `invite` returned them.
        failed: Who has no server since the last start failed, and what was told of it.
    """

    name: str
    root: psutil.Process
    process: psutil.Process
    asked: Asked
    invite: Callable[[str], tuple[httpx.Client, str]]
    body: dict[str, Any]
    people: dict[str, tuple[httpx.Client, str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def know(self, names: Sequence[str]) -> None:
        """Make people known."""
        self.people |= {name: self.invite(name) for name in names if name not in self.people}

    def start(self, name: str) -> None:
        """Start somebody's server, and wait until it is ready; a start that fails is kept in `failed`."""
        self.failed.pop(name, None)
        try:
            until_ready(*self.people[name], self.body)
        except (StartFailedError, httpx.HTTPError) as error:
            self.failed[name] = repr(error)

    def stop(self, name: str) -> None:
        """Stop it, if it was started."""
        if name not in self.failed:
            until_stopped(*self.people[name])

    def used(self) -> tuple[float, float]:
        """Return the seconds of processor that the Hub has used, and the other processes of its platform."""
        own = used(self.process)
        tree = [self.root, *self.root.children(recursive=True)]
        return own, sum(used(one) for one in tree if one.pid != self.process.pid)


def used(process: psutil.Process) -> float:
    """Return the seconds of processor that a process has used, 0 for one that has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def at_once(call: Callable[[str], None], names: Sequence[str]) -> float:
    """Call something for each at once; return the seconds until all are done."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(call, names))
    return time.monotonic() - began


def until_ready(client: httpx.Client, user: str, body: dict[str, Any]) -> None:
    """Start a server, and follow its progress until it is ready."""
    answer = client.post(f"/hub/api/users/{user}/server", json=body, timeout=120)
    answer.raise_for_status()
    if answer.status_code == 201:
        return
    for event in progress(client, f"/hub/api/users/{user}/server", timeout=300):
        if event.get("ready"):
            return
        if event.get("failed"):
            raise StartFailedError(event)
    message = f"the server of {user} is not ready"
    raise StartFailedError(message)


def until_stopped(client: httpx.Client, user: str) -> None:
    """Stop a server, and wait until the Hub has none."""
    client.delete(f"/hub/api/users/{user}/server", timeout=120).raise_for_status()
    while client.get(f"/hub/api/users/{user}", timeout=120).json()["servers"]:
        time.sleep(0.2)


def burst(hub: Hub, names: Sequence[str]) -> dict[str, Any]:
    """Start servers at once; return what that took, what the Hub asked for, and how many of the starts failed."""
    many = len(names)
    hub.asked.new()
    (own, others), mine = hub.used(), time.process_time()
    seconds = at_once(hub.start, names)
    own_then, others_then = hub.used()
    mine = time.process_time() - mine
    time.sleep(AFTER)
    asked = hub.asked.new()
    failed = [hub.failed[name] for name in names if name in hub.failed]
    if failed:
        print(f"{hub.name}: {len(failed)} starts failed, one of them: {failed[0]}", file=sys.stderr)
    return {
        "starts a second": round((many - len(failed)) / seconds, 2),
        "processor of the Hub a start (ms)": round((own_then - own) / many * 1000, 1),
        f"processor of the Hub a start, with the {AFTER:g} s after it (ms)": round(
            (hub.used()[0] - own) / many * 1000, 1
        ),
        "processor of its other processes a start (ms)": round((others_then - others) / many * 1000, 1),
        "processor of who asks a start (ms)": round(mine / many * 1000, 1),
        "API requests a start": round(sum(asked.values()) / many, 2),
        "which": {key: round(count / many, 2) for key, count in asked.most_common()},
        "starts that failed": len(failed),
    }


def at_rest(hubs: Sequence[Hub]) -> dict[str, dict[str, float]]:
    """Return what Hubs use while nothing happens, looked at together."""
    before, began = [hub.used()[0] for hub in hubs], time.monotonic()
    time.sleep(IDLE)
    seconds = time.monotonic() - began
    return {
        hub.name: {
            "processor of the Hub at rest (share of a core)": round((hub.used()[0] - was) / seconds, 4),
            "memory of the Hub (MB)": round(pss(hub.process) / 2**20, 1),
        }
        for hub, was in zip(hubs, before, strict=True)
    }


def calm(cluster: UsedCluster) -> float:
    """Wait until the cluster takes nothing away any more, and the machine does nothing.

    Returns:
        The share of the machine that was used in the last second: somebody else's work would be in the figures.
    """
    until = time.monotonic() + _GONE_WITHIN
    while any(one["metadata"].get("deletionTimestamp") for one in cluster.kubectl.items("namespaces,pods")):
        if time.monotonic() > until:
            message = "the cluster is still taking something away: what is measured now says nothing"
            raise RuntimeError(message)
        time.sleep(1)
    until = time.monotonic() + _QUIET_WITHIN
    while (busy := psutil.cpu_percent(1.0) / 100) > _QUIET and time.monotonic() < until:
        pass
    return busy
