"""What goes wrong with a release at work: replicas killed at random, its database, store and Hub taken away."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.cluster.errors import ClusterError
from tests.kubernetes.platforms import wait_for

if TYPE_CHECKING:
    from tests.kubernetes.charts import Release

_RESULTS = "/srv/hub-ext/results"
_BETWEEN = (4.0, 9.0)
_LEFT = 2  # that are ready when one of the three is killed


class Trouble:
    """Makes trouble in a thread of its own, until it is told to stop.

    Attributes:
        done: What was done, with its second.

    Args:
        release: The release.
        seed: Of what is random.
        between: Seconds between two replicas that are killed, at least and at most.
    """

    def __init__(self, release: Release, seed: int, between: tuple[float, float] = _BETWEEN) -> None:
        self.release = release
        self.done: list[tuple[float, str]] = []
        self._between = between
        self._random = random.Random(seed)
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._kill_replicas, name="trouble")

    def __enter__(self) -> Trouble:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Make no more of it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def note(self, what: str) -> None:
        """Write down what is done."""
        self.done.append((round(time.monotonic() - self._began, 1), what))

    def pods(self, part: str) -> list[str]:
        """Return the pods of a part that run."""
        found = self.release.cluster.kubectl.items(
            "pods", "-n", self.release.namespace, "-l", f"app.kubernetes.io/component={part}"
        )
        return [
            str(one["metadata"]["name"])
            for one in found
            if one["status"].get("phase") == "Running" and "deletionTimestamp" not in one["metadata"]
        ]

    def kill(self, part: str, *, seen_dead: bool = False) -> None:
        """Kill a pod of a part, without a word of warning.

        Args:
            part: Which.
            seen_dead: Another one may come only when its process is gone, as on one volume it has to be.
        """
        pods = self.pods(part)
        if pods:
            self.note(f"{part} killed")
            with contextlib.suppress(ClusterError):  # it has gone by itself
                how = ("--grace-period=1",) if seen_dead else ("--grace-period=0", "--force")
                self.release.kubectl("delete", "pod", self._random.choice(pods), *how, "--wait=false")

    def _kill_replicas(self) -> None:
        while not self._stop.wait(self._random.uniform(*self._between)):
            if self._ready_replicas() >= _LEFT:  # on a busy machine they come back slower than they are killed
                self.kill("service")

    def _ready_replicas(self) -> int:
        with contextlib.suppress(ClusterError):
            about = self.release.cluster.kubectl.json(
                "get", "deployment", "hub-ext-service", "-n", self.release.namespace
            )
            return int(about["status"].get("readyReplicas", 0))
        return 0

    def take_store(self, seconds: float) -> None:
        """Let the result store answer nobody for some seconds."""
        self._in_a_replica(f"mv {_RESULTS} {_RESULTS}.away && touch {_RESULTS}", f"test -f {_RESULTS}")
        self.note("store away")
        time.sleep(seconds)  # how long it is away, not a wait for something
        self._in_a_replica(f"rm -f {_RESULTS} && mv {_RESULTS}.away {_RESULTS}", f"test -d {_RESULTS}/runs")
        self.note("store back")

    def _in_a_replica(self, command: str, seen: str) -> None:
        """Run a command in any replica; the one that does it may be killed meanwhile, so what it did is looked at."""

        def tried() -> bool:
            for pod in self.pods("service"):
                with contextlib.suppress(ClusterError):
                    self.release.kubectl(
                        "exec", pod, "-c", "service", "--", "sh", "-c", f"{seen} || ({command})", seconds=20
                    )
                    return True
            return False

        wait_for(tried, 120, "no replica could be asked")

    def is_whole(self) -> bool:
        """Return whether every part is there and ready again."""
        found = self.release.cluster.kubectl.items("deployments", "-n", self.release.namespace)
        return self.release.answers() and all(
            one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] for one in found
        )


def until_answered(ask: Callable[[], bool], seconds: float, told: str) -> None:
    """Ask again and again until there is a good answer; whoever is asked may be away."""
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, told
        time.sleep(0.2)
