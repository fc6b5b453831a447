"""The pods of this platform's servers, as the cluster has them: one view a process, shared by all spawners."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from hub_ext.kubernetes.apply import own
from hub_ext.kubernetes.client import ApiError, Cluster, NoAnswer
from hub_ext.kubernetes.objects import HOME, PREFIX, Manifest, label_value
from hub_ext.kubernetes.watch import Change, Key, Watch, key_of
from hub_ext.settings import HubExt

log = structlog.get_logger("hub_ext.spawner.pods")

LAUNCH = f"{PREFIX}/launch"
_FIRST_LIST = 10.0  # seconds that somebody waits for the first list
_FEW = 3  # starts at once beside which there is time for what nobody waits for
_OWNED_WITHIN = 30.0  # seconds after which that is done in any case
_UNREACHABLE = 60.0  # seconds after which a pod that does not end is forced to: its node is gone


def launch_of(pod: Manifest) -> str:
    """Return the start that a pod belongs to."""
    return str((pod["metadata"].get("labels") or {}).get(LAUNCH, ""))


def mounts(pod: Manifest, claim: str) -> bool:
    """Return whether a pod has a volume, and may still write to it."""
    volumes = pod["spec"].get("volumes") or []
    used = any((one.get("persistentVolumeClaim") or {}).get("claimName") == claim for one in volumes)
    return used and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def lived(pod: Manifest | None) -> float:
    """Return the seconds since the node took a pod up; 0 for one that it has not."""
    began = ((pod or {}).get("status") or {}).get("startTime")
    if not began:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds())


class Pods:
    """The view, and what is done with it.

    Args:
        cluster: Where.
        system: Namespace of the platform whose servers count.
        namespace: Where they are; empty: in a namespace of each person.
    """

    _shared: dict[tuple[asyncio.AbstractEventLoop, str], Pods] = {}  # noqa: RUF012  # made by `shared`

    def __init__(self, cluster: Cluster, system: str, namespace: str = "") -> None:
        self.cluster = cluster
        labels = f"{PREFIX}/platform={label_value(system)},{PREFIX}/purpose=server"
        self.watch = Watch(cluster, "Pod", namespace=namespace, labels=labels)
        self.watch.listen(self._changed)
        self._waiters: dict[Key, set[asyncio.Event]] = {}
        self._followers: dict[Key, Callable[[], None]] = {}
        self._homes: dict[Key, set[str]] = {}  # namespace and claim → pods that are being made and will have the home
        self._left: set[tuple[str, str, str]] = set()  # namespace, pod, launch of what could not be removed
        self._booting = 0
        self._calm = asyncio.Event()  # set while few start
        self._calm.set()
        self._owning = asyncio.Semaphore(1)

    @classmethod
    async def shared(cls, settings: HubExt, system: str, namespace: str = "") -> Pods:
        """Return the one view of this process; it ends with the tasks of the loop.

        Args:
            settings: Say where the cluster is.
            system: Namespace of the platform.
            namespace: That of all, empty where each person has one.

        Raises:
            Unavailable: If it cannot be read where the cluster is.
        """
        key = (asyncio.get_running_loop(), f"{settings.kubeconfig} {system} {namespace}")
        if key not in cls._shared:
            cluster = await Cluster.shared(settings)
            if key not in cls._shared:
                cls._shared[key] = made = cls(cluster, system, namespace)
                made.watch.start()
                made._keeper = asyncio.create_task(cls._until_cancelled(key))
        return cls._shared[key]

    @classmethod
    async def _until_cancelled(cls, key: tuple[asyncio.AbstractEventLoop, str]) -> None:
        """Close all connections when JupyterHub, at its end, cancels every task."""
        try:
            await asyncio.Event().wait()
        finally:
            pods = cls._shared.pop(key)
            await pods.watch.stop()
            await Cluster.close_shared()

    _keeper: asyncio.Task[None] | None = None  # the loop itself keeps no task alive

    async def close(self) -> None:
        """End the view, for who does not wait for the end of the loop."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    # Looking.

    async def listed(self) -> bool:
        """Wait for the first list, if there was none yet; return whether there is one now."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LIST):
                await self.watch.synced.wait()
        return self.watch.synced.is_set()

    def get(self, key: Key, launch: str = "") -> Manifest | None:
        """Return a pod, None if there is none.

        Args:
            key: Namespace and name.
            launch: Only the one of this start.
        """
        found = self.watch.objects.get(key)
        return found if found is not None and launch in ("", launch_of(found)) else None

    def _changed(self, _change: Change, pod: Manifest) -> None:
        key = key_of(pod)
        for event in self._waiters.get(key, ()):
            event.set()
        follower = self._followers.get(key)
        if follower is not None:
            follower()

    def follow(self, key: Key, call: Callable[[], None] | None) -> None:
        """Call somebody at each change of a pod; nobody any more with None.

        Args:
            key: Namespace and name.
            call: Must not wait.
        """
        if call is None:
            self._followers.pop(key, None)
        else:
            self._followers[key] = call

    @contextmanager
    def changes(self, key: Key) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change of a pod; who waits clears it."""
        event = asyncio.Event()
        self._waiters.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            self._waiters[key].discard(event)
            if not self._waiters[key]:
                del self._waiters[key]

    async def gone(self, key: Key, launch: str, within: float) -> bool:
        """Wait until the pod of a start is no more; return whether that came.

        Args:
            key: Namespace and name.
            launch: The start.
            within: Seconds.
        """
        with self.changes(key) as changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    while self.get(key, launch) is not None:
                        changed.clear()
                        await changed.wait()
            return self.get(key, launch) is None

    # The home, which one server at a time has.

    @contextmanager
    def reserve_home(self, key: Key, home: Manifest | None) -> Iterator[None]:
        """Count a pod that is being made among those that have the home.

        Args:
            key: Namespace and name of the pod.
            home: The claim; None for a pod that does not want it.
        """
        names: set[str] = set()
        if home is not None:
            claim = home.get("metadata", {}).get("name", HOME)
            names = self._homes.setdefault((key[0], claim), names)
        names.add(key[1])
        try:
            yield
        finally:
            names.discard(key[1])

    def home_users(self, key: Key, claim: str) -> dict[str, bool]:
        """Return which other pods have the home now, and whether each is about to end.

        Args:
            key: Namespace and name of the pod that wants it.
            claim: Name of the volume claim.
        """
        made = {name: False for name in self._homes.get((key[0], claim), ()) if name != key[1]}
        for pod in self.watch.select(key[0]):
            name = pod["metadata"]["name"]
            if name != key[1] and mounts(pod, claim):
                made[name] = bool(pod["metadata"].get("deletionTimestamp"))
        return made

    # What can wait.

    @contextmanager
    def boots(self) -> Iterator[None]:
        """Count a server among those that start."""
        self._booting += 1
        self._count()
        try:
            yield
        finally:
            self._booting -= 1
            self._count()

    def _count(self) -> None:
        if self._booting > _FEW:
            self._calm.clear()
        else:
            self._calm.set()

    async def own(self, network: Manifest, pod: Manifest) -> None:
        """Let a pod own its NetworkPolicy; while many start, and so ask the API server for much, they go first.

        Args:
            network: The policy.
            pod: The pod, as the API server has it.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OWNED_WITHIN):
                await self._calm.wait()
        async with self._owning:
            await own(self.cluster, network, pod)

    # Removing.

    async def remove(self, key: Key, launch: str, *, grace: int | None, within: float) -> bool:
        """Delete everything that belongs to one start alone: pod, secret, NetworkPolicy.

        What cannot be deleted now is tried again by `put_away`.

        Args:
            key: Namespace and name of the pod.
            launch: The start.
            grace: Seconds that the pod gets to end; None for its own.
            within: Seconds for each call.

        Returns:
            Whether all of it is deleted (a pod may still be ending).
        """
        namespace = key[0]
        done = await asyncio.gather(
            self._remove_pod(key, launch, grace, within),
            self.cluster.delete("Secret", launch, namespace, within=within),
            self.cluster.delete("NetworkPolicy", launch, namespace, within=within),
            return_exceptions=True,
        )
        wrong = [one for one in done if isinstance(one, BaseException)]
        left = (namespace, key[1], launch)
        if not wrong:
            self._left.discard(left)
            return True
        self._left.add(left)
        log.warning("what a server had could not be removed yet", launch=launch, error=str(wrong[0])[:300])
        for one in wrong:
            if not isinstance(one, ApiError | NoAnswer):
                raise one
        return False

    async def _remove_pod(self, key: Key, launch: str, grace: int | None, within: float) -> None:
        pod = self.get(key, launch)
        if pod is None:  # a pod that was made a moment ago is perhaps not heard of yet
            pod = await self.cluster.get("Pod", key[1], key[0], within=within)
        if pod is not None and launch_of(pod) == launch:
            await self.cluster.delete("Pod", key[1], key[0], uid=pod["metadata"]["uid"], grace=grace, within=within)

    async def put_away(self, alive: Collection[str]) -> None:
        """Remove what no server stands behind, and what could not be removed before.

        Args:
            alive: The starts that a server or a pending start stands behind.
        """
        if not self.watch.current:
            return
        orphans = {
            (*key_of(pod), launch_of(pod)) for pod in list(self.watch.objects.values()) if launch_of(pod) not in alive
        }
        for namespace, name, launch in orphans | {one for one in self._left if one[2] not in alive}:
            pod = self.get((namespace, name), launch)
            leaving = pod is not None and pod["metadata"].get("deletionTimestamp")
            if not leaving:
                log.info("removing what no server stands behind", namespace=namespace, pod=name, launch=launch)
            grace = 0 if leaving and pod is not None and _overdue(pod) else None
            if not leaving or grace == 0:
                await self.remove((namespace, name), launch, grace=grace, within=5.0)


def _overdue(pod: Manifest) -> bool:
    """Return whether a pod should have ended long ago: then nobody is there who could end it."""
    at = datetime.fromisoformat(pod["metadata"]["deletionTimestamp"]).timestamp()  # its grace is in it
    return time.time() - at > _UNREACHABLE
