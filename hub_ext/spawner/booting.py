"""What a server's pod goes through, from being made to its first answer, and what its person is told meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime

from hub_ext.kubernetes import words
from hub_ext.kubernetes.apply import check_ours
from hub_ext.kubernetes.client import AlreadyThere, ApiError
from hub_ext.kubernetes.objects import HOME, PORT, PREFIX, UNNAMED, Manifest
from hub_ext.kubernetes.watch import Change, Watch, key_of
from hub_ext.spawner.answering import Answer, answer, telling_line
from hub_ext.spawner.base import StartFailed
from hub_ext.spawner.pods import Pods, launch_of
from hub_ext.spawner.progress import Progress

_AGAIN = "Try again; if it happens again, tell an admin the time."
_CATCHING_UP = 10.0  # seconds that the cluster gets to know of a namespace that was just made
_HOME_WITHIN = 30.0  # seconds that an earlier server gets to let the home go
_EVENTS_AFTER = 2.0  # seconds of a pod's life after which events are asked for
_OLD_EVENT = 5.0  # seconds before the start that an event may be of, clocks being what they are
# Seconds between two questions whether it answers: a share of the time that it has had, so that a quick server is
# asked closely and many slow ones cost little.
_SHARE, _SHORTEST, _LONGEST = 0.03, 0.01, 0.25


def address_of(pod: Manifest | None) -> str:
    """Return the address of the server in a pod, empty while it has none."""
    ip = str(((pod or {}).get("status") or {}).get("podIP") or "")
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{PORT}" if ip else ""


async def make_pod(pods: Pods, wanted: Manifest) -> Manifest:
    """Make a pod, and return it as the API server has it.

    A namespace that was just made is not known at once to every part of the API server that looks at a pod. A pod that
    an earlier server has left is removed first.

    Args:
        pods: The view.
        wanted: The pod.

    Raises:
        ApiError: If it is refused.
        NotOurs: If there is a pod of this name that is not ours.
        NoAnswer: If the API server does not answer.
    """
    until, pause = time.monotonic() + _CATCHING_UP, 0.02
    key, launch = key_of(wanted), launch_of(wanted)
    while True:
        try:
            return await pods.cluster.create(wanted)
        except AlreadyThere:
            there = await pods.cluster.get("Pod", key[1], key[0])
            if there is not None and launch_of(there) == launch:
                return there  # an earlier try of this very call has made it
            if there is not None:
                await _make_way(pods, there, wanted)
            if time.monotonic() > until + _HOME_WITHIN:
                raise
        except ApiError as error:
            if not _not_yet(error) or time.monotonic() > until:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def _not_yet(error: ApiError) -> bool:
    """Return whether the API server only does not know yet of what was made a moment ago."""
    told = ("status unknown for quota", "no params found", "error looking up service account")
    return error.status in (403, 422) and any(words in error.message for words in told)


async def _make_way(pods: Pods, there: Manifest, wanted: Manifest) -> None:
    if not there["metadata"].get("deletionTimestamp"):
        check_ours(there, wanted)
        await pods.remove(key_of(there), launch_of(there), grace=None, within=5.0)
    await pods.gone(key_of(there), launch_of(there), 5.0)


class Boot:
    """One start, once it has been allowed.

    Args:
        pods: The view.
        progress: What the person is told.
        pod: The pod that is to be made.
        within: Seconds that all of it may take.

    Attributes:
        answer: What the server answered, once it does.
    """

    answer: Answer | None = None

    def __init__(self, pods: Pods, progress: Progress, pod: Manifest, within: float) -> None:
        self._pods = pods
        self._progress = progress
        self._key = key_of(pod)
        self._launch = launch_of(pod)
        self._within = within
        self._began = self._made = time.monotonic()
        self._began_at = time.time()
        self._seen = False
        self._said = self._home_said = ""
        self._uid = ""
        self._home = _home_of(pod)
        self._events: Watch | None = None

    def _tell(self, what: str) -> None:
        if what and what != self._said:
            self._said = what
            self._progress.tell(20, what)

    # The home.

    async def until_the_home_is_free(self, claim: str = HOME) -> None:
        """Wait for an earlier server that is ending; who calls has reserved the home before.

        Args:
            claim: Name of the home's claim.

        Raises:
            StartFailed: If another server of hers has it.
        """
        until = time.monotonic() + _HOME_WITHIN
        while users := self._pods.home_users(self._key, claim):
            staying = [name for name, leaving in users.items() if not leaving]
            if staying:
                raise StartFailed(
                    f"Your home folder is in use by {self._called(staying[0])}, and one server at a time can have it.",
                    "Stop that one first, or choose a profile without a home folder.",
                    409,
                )
            if time.monotonic() > until:
                raise StartFailed("Your earlier server does not end, and has your home folder.", words.TELL_ADMIN, 409)
            self._tell("Waiting for your earlier server to end")
            await asyncio.sleep(0.05)

    def _called(self, pod: str) -> str:
        found = self._pods.get((self._key[0], pod))
        name = found["metadata"]["labels"].get(f"{PREFIX}/name", "") if found else pod.removeprefix("server-")
        return "your server" if pod == "server" or name == UNNAMED else f"your server {name}"

    # The boot.

    async def until_it_answers(
        self, made: Manifest, path: str, begun: Callable[[str], None], secrets: tuple[str, ...]
    ) -> str:
        """Wait, and return the server's address.

        Args:
            made: The pod as it was made.
            path: What to ask the server for.
            begun: Called with the address as soon as it is known.
            secrets: What must not be shown of the server's last words.

        Raises:
            StartFailed: If it does not come up.
        """
        self._uid, self._made = made["metadata"]["uid"], time.monotonic()
        known, since = "", 0.0
        try:
            with self._pods.changes(self._key) as changed:
                while True:
                    changed.clear()
                    address = address_of(self._look(secrets))
                    if address and address != known:
                        known, since = address, time.monotonic()
                        begun(address)
                    if known and await self._answers(known, path):
                        return known
                    if time.monotonic() - self._began > self._within:
                        raise StartFailed(self._too_long(), _AGAIN)
                    await self._pause(changed, since)
        finally:
            if self._events is not None:
                await self._events.stop()

    async def _answers(self, address: str, path: str) -> bool:
        host = address.removeprefix("http://").rpartition(":")[0].strip("[]")
        self.answer = await answer(PORT, path, 2.0, host=host)
        return self.answer is not None

    async def _pause(self, changed: asyncio.Event, since: float) -> None:
        if since:
            await asyncio.sleep(min(max((time.monotonic() - since) * _SHARE, _SHORTEST), _LONGEST))
            return
        if self._events is None and time.monotonic() - self._made > _EVENTS_AFTER:
            self._events = Watch(self._pods.cluster, "Event", namespace=self._key[0])
            self._events.listen(self._heard)
            self._events.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST):
                await changed.wait()

    def _look(self, secrets: tuple[str, ...]) -> Manifest | None:
        """Return the pod as it is now.

        Raises:
            StartFailed: If it has ended, or waits for what will never come.
        """
        pod = self._pods.get(self._key, self._launch)
        if pod is None:
            if self._seen:
                raise StartFailed("Its pod was deleted in the cluster while it started.", _AGAIN)
            return None
        self._seen = True
        end = words.ended(pod)
        if end is not None:
            said = telling_line(end.last, secrets)
            why = end.words.rstrip(".") + (f": {said}" if said else "")
            raise StartFailed(f"The notebook server ended while it started. {why}.", end.advice or _AGAIN)
        waits = words.waiting(pod, self._home_said)
        if waits is not None:
            if waits.hopeless:
                raise StartFailed(f"{waits.words}.", waits.advice)
            self._tell(waits.words)
        return pod

    def _heard(self, _change: Change, event: Manifest) -> None:
        about = event.get("involvedObject") or {}
        said = words.of_event(event)
        if about.get("kind") == "PersistentVolumeClaim" and about.get("name") == self._home:
            if said and _at(event) > self._began_at - _OLD_EVENT:
                self._home_said = said  # told for as long as the pod has no node for want of it
                self._tell(said)
        elif about.get("uid") == self._uid:
            self._tell(said)

    def _too_long(self) -> str:
        within = f"It did not start within {self._within:.0f} seconds"
        return f"{within}. The last that was heard: {self._said}." if self._said else f"{within}."


def _home_of(pod: Manifest) -> str:
    """Return the name of the claim of a pod's home, empty if it has none."""
    for volume in (pod.get("spec") or {}).get("volumes") or []:
        if volume.get("name") == "home":
            return str((volume.get("persistentVolumeClaim") or {}).get("claimName") or "")
    return ""


def _at(event: Manifest) -> float:
    """Return when an event was seen last, in seconds since 1970."""
    text = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(text).timestamp() if text else 0.0
