"""What is in the cluster now, kept true: one list, then every change, for ever.

A watch never ends by itself and never ends the process: whatever goes wrong, it lists again, and tells its listeners
what became different in between. So a listener misses nothing but what came and went while the API server was away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import aiohttp
import structlog

from hub_ext.kubernetes.client import ApiError, Cluster, Expired, NoAnswer
from hub_ext.kubernetes.kinds import KINDS
from hub_ext.kubernetes.objects import Manifest

log = structlog.get_logger("hub_ext.kubernetes.watch")

Change = Literal["ADDED", "MODIFIED", "DELETED"]
Listener = Callable[[Change, Manifest], None]
Key = tuple[str, str]  # namespace and name

_LONGEST = 60  # seconds until the API server ends a watch: a connection that died silently is noticed by then
_SLACK = 15.0  # seconds after which we end it ourselves
_ONE_LIST = 10.0  # seconds that a list gets until we pause and try again
_TOO_SHORT = 0.5  # seconds; a watch that ends sooner than that is not followed by another one at once
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between two tries


def key_of(manifest: Manifest) -> Key:
    """Return namespace and name of an object."""
    about = manifest["metadata"]
    return about.get("namespace", ""), about["name"]


class Watch:
    """All objects of a kind that fit, as the API server reported them last.

    Args:
        cluster: Where.
        kind: Which kind.
        namespace: In which namespace; empty for all.
        labels: A label selector.
        fields: A field selector.
    """

    def __init__(self, cluster: Cluster, kind: str, *, namespace: str = "", labels: str = "", fields: str = "") -> None:
        self.cluster = cluster
        self.kind = kind
        self.objects: dict[Key, Manifest] = {}
        self.synced = asyncio.Event()  # set after the first list, for ever
        self.refused = ""  # what the API server said, while it lets us not look
        self.current = False  # whether the API server answered the last time
        self._path = KINDS[kind].path(namespace)
        self._query = {"labelSelector": labels, "fieldSelector": fields}
        self._version = ""
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the second time does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._for_ever(), name=f"watch {self.kind}")

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call somebody at each change, with the object as it is now (as it was last, if it is gone).

        Args:
            listener: Called in the loop; must not wait, and an error of it is logged, no more.

        Returns:
            Ends it.
        """
        self._listeners.append(listener)

        def forget() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return forget

    async def _for_ever(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._version:
                    await self._list()
                began = time.monotonic()
                await self._follow()
                if time.monotonic() - began > _TOO_SHORT:
                    pause = _FIRST_PAUSE
                    continue
                await asyncio.sleep(pause)
            except Expired:
                self._version = ""
                continue
            except (ApiError, NoAnswer, aiohttp.ClientError, OSError, ValueError) as error:
                await self._went_wrong(error, pause)
            except Exception:  # a watch that ends would leave everybody with what was once true
                log.exception("a watch went wrong", kind=self.kind)
                self._version = ""
                await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _went_wrong(self, error: BaseException, pause: float) -> None:
        if self.current:
            log.warning("a watch is interrupted", kind=self.kind, error=f"{type(error).__name__}: {error}"[:300])
        self.current = False
        if isinstance(error, ApiError):
            self.refused = error.message if error.status == 403 else ""
            pause = max(pause, error.retry_after)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # so that not all come back at once

    async def _list(self) -> None:
        found = await self.cluster.request("GET", self._path, query=self._query, within=_ONE_LIST)
        there = {key_of(one): {"kind": self.kind, **one} for one in found.get("items") or []}
        for key in [key for key in self.objects if key not in there]:
            self._tell("DELETED", self.objects.pop(key))
        for key, one in there.items():
            before = self.objects.get(key)
            if before is not None and before["metadata"].get("uid") != one["metadata"].get("uid"):
                self._tell("DELETED", before)
                before = None
            self.objects[key] = one
            if before is None:
                self._tell("ADDED", one)
            elif before["metadata"].get("resourceVersion") != one["metadata"].get("resourceVersion"):
                self._tell("MODIFIED", one)
        self._version = found["metadata"]["resourceVersion"]
        self.current, self.refused = True, ""
        self.synced.set()

    async def _follow(self) -> None:
        query: dict[str, Any] = {
            **self._query,
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": _LONGEST,
        }
        async with self.cluster.follow(self._path, query, _LONGEST + _SLACK) as lines:
            self.current = True
            async for line in lines:
                self._take(json.loads(line))

    def _take(self, event: Manifest) -> None:
        kind, one = event["type"], event["object"]
        if kind == "ERROR":
            error = Expired if one.get("code") == 410 else ApiError
            raise error(one.get("code", 0), one.get("reason", ""), one.get("message", ""))
        self._version = one["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return
        if kind == "DELETED":
            self.objects.pop(key_of(one), None)
        else:
            self.objects[key_of(one)] = one
        self._tell(kind, one)

    def _tell(self, change: Change, one: Manifest) -> None:
        for listener in list(self._listeners):
            try:
                listener(change, one)
            except Exception:  # it must not end the watch of everybody else
                log.exception("a listener went wrong", kind=self.kind)

    def select(self, namespace: str) -> Iterable[Manifest]:
        """Return the objects of one namespace."""
        return [one for (where, _), one in self.objects.items() if where == namespace]
