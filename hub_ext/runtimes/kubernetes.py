"""Runs as Jobs of a cluster, each in the namespace of the person who asked for it.

The executor in the pod asks the service what to run and tells it what happens (`hub_ext.runs.executors`); what it tells
is in the mirror. This module makes the Job and what it needs, sees what the API server reports about it, and takes it
away. It never lets its caller wait for the API server: what is asked of that happens in a thread of its own, again and
again until it is done. While the API server does not answer nothing is concluded: what was known may not be true any
more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hub_ext.db.types import now
from hub_ext.executor.folder import MARKER, Folder
from hub_ext.executor.remote import TOKEN, URL
from hub_ext.governance.store import CatalogStore
from hub_ext.kubernetes import objects
from hub_ext.kubernetes.client import Cluster
from hub_ext.kubernetes.render import RUN_GRACE, Rendering, render
from hub_ext.runs.mirror import Mirror
from hub_ext.runs.tokens import RunTokens
from hub_ext.runtimes.base import Alive, Ended, Launch
from hub_ext.runtimes.jobs import Sight, look, why_no_pod
from hub_ext.runtimes.keeper import Keeper, Seen
from hub_ext.settings import HubExt

_IMAGE_PATIENCE = 120.0  # seconds that what a pod is stuck with may take to change
_NEVER_PATIENCE = 5.0  # … where it will not change by itself
_NO_POD = 2.0  # seconds that a Job may be without a pod before anybody asks why
_AWAY = "the cluster does not answer; nothing is lost, and it goes on when it does"


@dataclass
class JobStarted:
    """A Job that is being made. Its executor asks the service what to run, and is told only while its run is active."""

    process: dict[str, Any]
    _runtime: KubernetesRuntime
    _launch_id: str

    def go(self, secrets: dict[str, str]) -> None:
        """Do nothing: the word to go, with the secrets, is the answer to what the executor asks."""

    def drop(self) -> None:
        """Take it away without having run anything."""
        self._runtime.end(self._launch_id, self.process)


@dataclass(frozen=True)
class _Version:
    """A version of a profile by its name, which is all that a rendering needs of it."""

    name: str
    version: int


class KubernetesRuntime:
    """Executors in pods.

    Args:
        settings: Say where the cluster is, and how pods reach the service.
        catalog: Knows the enclave.
        mirror: Where executors report.
        tokens: Makes the tokens of runs.
    """

    def __init__(self, settings: HubExt, catalog: CatalogStore, mirror: Mirror, tokens: RunTokens) -> None:
        self._settings = settings
        self._catalog = catalog
        self._mirror = mirror
        self._tokens = tokens
        self._keeper = Keeper(self._connect, self._selector)
        self._stuck: dict[str, float] = {}
        self._alone: dict[str, float] = {}
        self._why: dict[str, str] = {}

    async def _connect(self) -> Cluster:
        return await Cluster.connect(str(self._settings.kubeconfig))

    def _selector(self) -> tuple[str, str]:
        spec = self._catalog.current().enclave.spec
        marks = objects.marks_of_platform(spec.system_namespace) | {f"{objects.PREFIX}/purpose": "run"}
        return spec.shared_namespace or "", ",".join(f"{name}={value}" for name, value in sorted(marks.items()))

    # Starting.

    def start(self, launch: Launch) -> JobStarted:
        """Begin to make a Job; how far that is, `observe` tells.

        Raises:
            StorageFull: If its folder cannot be made.
            Unavailable: If the catalog cannot be read.
        """
        placement = launch.placement
        rendering = self._render(launch)
        assert rendering.job is not None  # noqa: S101  # of a run
        about = rendering.job["metadata"]
        process = {"namespace": about["namespace"], "minutes": placement.resolved.lifetime.maximum}
        self._mirror.make(launch.id, process)
        told = {
            URL: str(self._settings.pods_executors_url),
            MARKER: launch.id,
            TOKEN: self._tokens.token(launch.id),
        }
        secret = objects.secret(launch.id, about["namespace"], rendering.pod["metadata"]["labels"], told)
        self._keeper.make(launch.id, rendering, secret)
        return JobStarted(process, self, launch.id)

    def _render(self, launch: Launch) -> Rendering:
        placement = launch.placement
        rendering = render(
            _Version(placement.profile, placement.version),
            placement.resolved,
            self._catalog.current().enclave,
            user=placement.user,
            purpose="run",
            name=launch.id,
            image=placement.image,
            repeatable=launch.spec.repeatable,
        )
        return replace(rendering, around=placement.around or rendering.around)

    # Looking.

    def observe(self, launch_id: str, process: dict[str, Any] | None = None) -> Alive | Ended:
        """Return what is true about a launch now.

        What its executor told last counts first. Otherwise it is what the API server reports; while that does not
        answer, nothing has ended.

        Args:
            launch_id: The launch.
            process: Where it is.
        """
        begun, seen = self._mirror.has_begun(launch_id), self._keeper.seen(launch_id)
        sight = look(seen.job, seen.pods, last=seen.last, minutes=int((process or {}).get("minutes", 0)), now=now())
        outcome = self._mirror.folder(launch_id).read_outcome()
        if outcome is not None:
            return Ended(begun=True, outcome=outcome, reason=sight.why if sight.state != "waits" else "")
        if self._mirror.is_closed(launch_id):
            return Ended(begun=False, outcome=None, words="it was taken away")
        making = self._keeper.making(launch_id)
        if making is not None and not making.done:
            if making.refused:
                return Ended(begun, None, reason=making.refused, final=True)
            return _alive(begun, making.waiting or ("it is being prepared" if seen.current else _AWAY))
        if not seen.current:
            return _alive(begun, _AWAY)
        return self._judge(launch_id, seen, sight, begun=begun)

    def _judge(self, launch_id: str, seen: Seen, sight: Sight, *, begun: bool) -> Alive | Ended:
        """Return what follows from what is seen now."""
        if sight.state != "stuck":
            self._stuck.pop(launch_id, None)
        if sight.state == "waits":
            return _alive(begun, self._why_waiting(launch_id, seen, sight))
        if sight.state == "runs":
            return _alive(begun)
        if sight.state == "stuck":
            since = self._stuck.setdefault(launch_id, time.monotonic())
            patience = _NEVER_PATIENCE if sight.never else _IMAGE_PATIENCE
            if time.monotonic() - since < patience or not seen.settled:
                return _alive(begun, sight.why)
            return Ended(begun, None, reason=sight.why, final=True)
        if not seen.settled and sight.state == "absent":
            return _alive(begun, _AWAY)
        how = _how(sight)
        return Ended(begun, None, how, traced=sight.state != "absent" or begun, reason=sight.why)

    def _why_waiting(self, launch_id: str, seen: Seen, sight: Sight) -> str:
        if sight.why or seen.job is None or seen.pods:
            return sight.why or "its container is being made; the first time on a machine this takes longer"
        since = self._alone.setdefault(launch_id, time.monotonic())
        if time.monotonic() - since >= _NO_POD:
            namespace = seen.job["metadata"]["namespace"]
            self._keeper.ask_why(launch_id, namespace, lambda events: self._tell_why(launch_id, events))
        return self._why.get(launch_id) or "it is being given a machine"

    def _tell_why(self, launch_id: str, events: list[objects.Manifest]) -> None:
        self._why[launch_id] = why_no_pod(events)

    def folder(self, launch_id: str) -> Folder:
        """Return the folder that its executor's reports go to."""
        return self._mirror.folder(launch_id)

    def launches(self) -> list[str]:
        """Return the ids of all launches that have a folder here, or an object in the cluster."""
        return sorted({*self._mirror.ids(), *self._keeper.ids()})

    # Ending.

    def cancel(self, launch_id: str, process: dict[str, Any] | None) -> None:
        """Let its pod end: the executor gets SIGTERM, and time to tell what was done. It also hears of it from us."""
        namespace = self._namespace(launch_id, process)
        if namespace is not None:
            self._keeper.end(launch_id, namespace)

    def end(self, launch_id: str, process: dict[str, Any] | None) -> None:
        """End its pod at once. A launch that has not begun never will: its executor would not be told what to run."""
        self._mirror.close(launch_id)
        namespace = self._namespace(launch_id, process)
        if namespace is not None:
            self._keeper.end(launch_id, namespace)

    def remove(self, launch_id: str) -> None:
        """Delete all that it has in the cluster, then its folder."""
        for known in (self._stuck, self._alone):
            known.pop(launch_id, None)
        self._why.pop(launch_id, None)
        namespace = self._namespace(launch_id, None)
        if namespace is None:
            self._mirror.remove(launch_id)
        else:
            self._keeper.remove(launch_id, namespace, lambda: self._mirror.remove(launch_id))

    def _namespace(self, launch_id: str, process: dict[str, Any] | None) -> str | None:
        found = (process or {}).get("namespace") or self._mirror.process(launch_id).get("namespace")
        return str(found) if found else self._keeper.namespace(launch_id)

    def prepare(self) -> None:
        """Begin to watch the cluster."""
        self._keeper.open()

    def close(self) -> None:
        """Stop watching; Jobs go on."""
        self._keeper.close()

    @property
    def fonts(self) -> Path | None:
        """Nothing here: each image has its own."""
        return None

    @property
    def most_of_one(self) -> int | None:
        """As many as her namespace has room for; more of them wait here, and leave others theirs."""
        return self._catalog.current().enclave.spec.per_person.runs


def _how(sight: Sight) -> str:
    if sight.code is None:
        return "its executor was ended from outside"
    last = f" ({sight.last})" if sight.last and sight.code else ""
    return f"its executor ended with exit code {sight.code}{last}"


def _alive(begun: bool, waiting: str = "") -> Alive:  # one of the two things that `Alive` says
    """Return that it is there; the cluster ends it at its limit, with time for its results."""
    return Alive(begun, waiting="" if begun else waiting, spare=float(RUN_GRACE))
