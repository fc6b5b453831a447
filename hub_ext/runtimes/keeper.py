"""Makes, watches and removes what launches have in a cluster, in a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import structlog

from hub_ext.errors import HubExtError
from hub_ext.kubernetes import words
from hub_ext.kubernetes.apply import Ending, NotOurs, check_ours, ensure, make_new, own
from hub_ext.kubernetes.client import AlreadyThere, ApiError, Cluster, NoAnswer
from hub_ext.kubernetes.objects import PREFIX, Manifest, owned
from hub_ext.kubernetes.render import Rendering
from hub_ext.kubernetes.watch import Change, Watch, key_of
from hub_ext.runtimes.jobs import clause

log = structlog.get_logger("hub_ext.runtimes.keeper")

_NAME = f"{PREFIX}/name"
_SETTLED = 1.0  # seconds after which a watch that goes on has caught up with what it missed
_AGAIN = 2.0  # seconds between two tries of what the cluster cannot do now
_CONNECT_AGAIN = 5.0
_CLOSE_WITHIN = 10.0
_ASK_WHY = 5.0  # seconds between two questions why a Job has no pod
_BESIDE = ("Secret", "NetworkPolicy")  # what a launch has besides its Job, under the same name


@dataclass(frozen=True)
class Seen:
    """What the API server reported about a launch.

    Attributes:
        job: Its Job.
        pods: Its pods.
        last: The last of them, as it was when it was deleted, while none is there.
        current: Whether the API server answers, so that this is true now.
        settled: Whether it has done so long enough that what is not here is not there.
    """

    job: Manifest | None
    pods: tuple[Manifest, ...]
    current: bool
    settled: bool
    last: Manifest | None = None


@dataclass
class Making:
    """A Job on its way.

    Attributes:
        waiting: Why it takes long, in words.
        refused: Why it cannot be, in words.
        done: Whether it is there.
    """

    waiting: str = ""
    refused: str = ""
    done: bool = False
    task: asyncio.Task[None] | None = None


class Keeper:
    """The hands of the runtime in a cluster.

    Args:
        connect: Connects to it.
        selector: Returns namespace (empty for all) and label selector of what is ours; called once.
    """

    def __init__(
        self, connect: Callable[[], Coroutine[Any, Any, Cluster]], selector: Callable[[], tuple[str, str]]
    ) -> None:
        self._connect = connect
        self._selector = selector
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._cluster: asyncio.Future[Cluster] | None = None
        self._watches: list[Watch] = []
        self._jobs: dict[str, Manifest] = {}
        self._pods: dict[str, dict[str, Manifest]] = {}
        self._last: dict[str, Manifest] = {}  # launch → its last pod, from its deletion to that of the Job
        self._making: dict[str, Making] = {}
        self._taking: dict[str, Future[None]] = {}
        self._asked: dict[str, float] = {}
        self._current_since: float | None = None

    # The thread.

    def open(self) -> asyncio.AbstractEventLoop:
        """Begin to watch; the second time does nothing."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._live, args=(self._loop,), name="cluster", daemon=True)
                self._thread.start()
            return self._loop

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        self._cluster = loop.create_future()
        begin = loop.create_task(self._begin())
        loop.run_forever()
        begin.cancel()
        loop.run_until_complete(self._end())
        loop.close()

    async def _begin(self) -> None:
        while True:
            try:
                cluster = await self._connect()
                break
            except HubExtError as error:
                log.warning("no way to the cluster; it is tried again", error=error.detail)
                await asyncio.sleep(_CONNECT_AGAIN)
        namespace, labels = await asyncio.to_thread(self._selector)
        for kind in ("Job", "Pod"):
            watch = Watch(cluster, kind, namespace=namespace, labels=labels)
            watch.listen(self._noted)
            watch.start()
            self._watches.append(watch)
        if self._cluster is not None:
            self._cluster.set_result(cluster)

    async def _end(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for watch in self._watches:
            await watch.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._cluster is not None and self._cluster.done() and not self._cluster.cancelled():
            await self._cluster.result().close()

    def close(self) -> None:
        """Stop watching; what was made goes on."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_CLOSE_WITHIN)
            self._watches, self._current_since = [], None
            self._making, self._taking = {}, {}

    def _submit(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self.open())

    async def _ready(self) -> Cluster:
        assert self._cluster is not None  # noqa: S101  # it is made before anything runs in the loop
        return await asyncio.shield(self._cluster)

    # What is to be seen.

    def _noted(self, change: Change, one: Manifest) -> None:
        launch_id = one["metadata"].get("labels", {}).get(_NAME, "")
        if one["kind"] == "Job":
            if change == "DELETED":
                self._jobs.pop(launch_id, None)
                self._last.pop(launch_id, None)
            else:
                self._jobs[launch_id] = one
        else:
            pods = dict(self._pods.get(launch_id, {}))
            pods[one["metadata"]["name"]] = one
            if change == "DELETED":
                del pods[one["metadata"]["name"]]
                if launch_id in self._jobs:
                    self._last[launch_id] = one
            self._pods[launch_id] = pods  # a new one each time: others read it in their threads
            if not pods:
                del self._pods[launch_id]

    def seen(self, launch_id: str) -> Seen:
        """Return what was reported about a launch."""
        self.open()
        current = len(self._watches) == 2 and all(one.synced.is_set() and one.current for one in self._watches)
        at = time.monotonic()
        if not current:
            self._current_since = None
        elif self._current_since is None:
            self._current_since = at
        settled = self._current_since is not None and at - self._current_since >= _SETTLED
        pods = tuple(self._pods.get(launch_id, {}).values())
        return Seen(self._jobs.get(launch_id), pods, current, settled, None if pods else self._last.get(launch_id))

    def ids(self) -> set[str]:
        """Return the ids of launches that have a Job or a pod, as far as is known."""
        return {*list(self._jobs), *list(self._pods)} - set(self._taking)

    def namespace(self, launch_id: str) -> str | None:
        """Return the namespace of a launch, as far as is known."""
        one = self._jobs.get(launch_id) or next(iter(self._pods.get(launch_id, {}).values()), None)
        return one["metadata"]["namespace"] if one else None

    def ask_why(self, launch_id: str, namespace: str, tell: Callable[[list[Manifest]], None]) -> None:
        """Ask for the events of a Job, not too often.

        Args:
            launch_id: The launch.
            namespace: Where it is.
            tell: Gets them, in the thread of this.
        """
        at = time.monotonic()
        if at - self._asked.get(launch_id, -_ASK_WHY) >= _ASK_WHY:
            self._asked[launch_id] = at
            self._submit(self._ask_why(launch_id, namespace, tell))

    async def _ask_why(self, launch_id: str, namespace: str, tell: Callable[[list[Manifest]], None]) -> None:
        cluster = await self._ready()
        fields = f"involvedObject.kind=Job,involvedObject.name={launch_id}"
        try:
            found = await cluster.list("Event", namespace, fields=fields)
        except (ApiError, NoAnswer):
            return
        tell(found.get("items") or [])

    # Making.

    def make(self, launch_id: str, rendering: Rendering, secret: Manifest) -> None:
        """Begin to make a Job, what it needs before, and its Secret."""
        making = self._making[launch_id] = Making()
        self._submit(self._make(launch_id, rendering, secret, making))

    def making(self, launch_id: str) -> Making | None:
        """Return how far it is, None if nobody here began to make it."""
        return self._making.get(launch_id)

    async def _make(self, launch_id: str, rendering: Rendering, secret: Manifest, making: Making) -> None:
        making.task = asyncio.current_task()
        cluster = await self._ready()
        while not making.done and not making.refused:
            try:
                job = await self._make_once(cluster, rendering, secret)
            except (NoAnswer, Ending) as error:
                making.waiting = clause(error.detail)
                await asyncio.sleep(_AGAIN)
            except NotOurs as error:
                making.refused = clause(error.detail)
            except ApiError as error:
                if error.status in (404, 409):  # a namespace that is removed at this moment
                    await asyncio.sleep(_AGAIN)
                    continue
                log.warning("a Job was refused", launch=launch_id, error=str(error)[:1000])
                making.refused = clause(words.refused(error.status, error.message)[0])
            else:
                self._watches[0].objects.setdefault(key_of(job), job)  # so that a list without it says that it is gone
                self._jobs.setdefault(launch_id, job)
                making.done = True
                await own(cluster, rendering.network, job)

    async def _make_once(self, cluster: Cluster, rendering: Rendering, secret: Manifest) -> Manifest:
        """Make everything; what an earlier try of this has made is found.

        The Secret comes last, since the Job owns it from its first moment: no crash leaves one behind. Its content
        follows from the launch id alone, so one that is there is as good.
        """
        assert rendering.job is not None  # noqa: S101  # of a run
        await ensure(cluster, rendering)
        about = rendering.job["metadata"]
        try:
            job = await cluster.create(rendering.job)
        except AlreadyThere as error:
            there = await cluster.get("Job", about["name"], about["namespace"])
            if there is None:
                raise ApiError(404, "NotFound", "the Job was deleted meanwhile") from error
            check_ours(there, rendering.job)
            job = there
        await make_new(cluster, owned(secret, job))
        return job

    # Taking away.

    def end(self, launch_id: str, namespace: str) -> None:
        """Delete a Job; the cluster ends its pods.

        Args:
            launch_id: The launch.
            namespace: Where it is.
        """
        self._submit(self._until_done(lambda: self._delete(launch_id, namespace)))

    def remove(self, launch_id: str, namespace: str, then: Callable[[], None]) -> None:
        """Delete all that a launch has in the cluster; a second time while that goes on does nothing.

        Args:
            launch_id: The launch.
            namespace: Where it is.
            then: Called when it is gone, in a thread.
        """
        if launch_id not in self._taking:
            self._taking[launch_id] = self._submit(self._remove(launch_id, namespace, then))

    async def _remove(self, launch_id: str, namespace: str, then: Callable[[], None]) -> None:
        async def all_of_it() -> None:
            await self._delete(launch_id, namespace)
            cluster = await self._ready()
            await asyncio.gather(*(cluster.delete(kind, launch_id, namespace) for kind in _BESIDE))

        await self._until_done(all_of_it)
        await asyncio.to_thread(then)
        for known in (self._making, self._asked, self._taking, self._last):
            known.pop(launch_id, None)

    async def _delete(self, launch_id: str, namespace: str) -> None:
        making = self._making.get(launch_id)
        if making is not None and making.task is not None and not making.task.done():
            making.task.cancel()
            await asyncio.gather(making.task, return_exceptions=True)
        cluster = await self._ready()
        await cluster.delete("Job", launch_id, namespace)

    async def _until_done(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something again and again until the cluster has done it."""
        while True:
            try:
                return await work()
            except (NoAnswer, ApiError) as error:
                log.warning("something cannot be taken away now; it is tried again", error=str(error)[:300])
                await asyncio.sleep(_AGAIN)
