"""What is asked of a release while one of its volumes is full, and afterwards."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import httpx
import nbformat

from tests.cluster.errors import ClusterError
from tests.functional.conftest import HEALTH
from tests.functional.faults import sign_in
from tests.kubernetes.charts import Release
from tests.kubernetes.platforms import API

NO_SPACE = "no space left"
SCRATCH = 64  # MB of temporary files that a pod of the release may have
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


class Somebody:
    """Who works while a volume is full.

    Args:
        release: The release.
        name: Of her; it gets the release's id.
    """

    def __init__(self, release: Release, name: str) -> None:
        self.release = release
        self.name = f"{name}-{release.id}"
        self.client = release.api(self.name)
        self.server = f"/hub/api/users/{self.name}/server"

    def publish(self, name: str, seconds: int = 0) -> httpx.Response:
        """Publish a notebook that nobody published before, and that runs for some time."""
        cell = nbformat.v4.new_code_cell(f"import time; time.sleep({seconds}); print('{uuid4()}')  # " + "x" * 100_000)
        notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": _KERNEL})
        body = {"name": name, "notebook": json.loads(nbformat.writes(notebook)), "profile": "quick-look"}
        return self.client.post(f"{API}/workflows", json=body)

    def order(self, name: str) -> httpx.Response:
        """Order a run of a workflow of hers."""
        return self.client.post(f"{API}/workflows/{self.name}/{name}/runs", json={"parameters": {}})

    def ends(self, run: str) -> tuple[str, str]:
        """Return how a run ended, and why."""

        def ended() -> dict[str, Any] | None:
            found = self.client.get(f"{API}/runs/{run}")
            good = found.status_code == 200 and found.json()["state"] not in ("queued", "starting", "running")
            return found.json() if good else None

        run_of_hers = self.release.until(ended)
        return run_of_hers["state"], run_of_hers["reason"]

    def is_ready(self) -> bool:
        """Return whether her server is ready."""
        found = self.client.get(f"/hub/api/users/{self.name}")
        return found.status_code == 200 and bool(found.json()["servers"].get("", {}).get("ready"))

    def is_away(self) -> bool:
        """Return whether she has no server."""
        found = self.client.get(f"/hub/api/users/{self.name}")
        return found.status_code == 200 and not found.json()["servers"]

    def start(self) -> None:
        """Start her server, and wait until it is ready."""
        asked = self.client.post(self.server, json={"profile": "quick-look", "options": {}})
        assert asked.status_code in (201, 202), asked.text
        self.release.until(self.is_ready)

    def stop(self) -> None:
        """Stop it, and wait until it is away."""
        assert self.client.delete(self.server).status_code in (202, 204)
        self.release.until(self.is_away)

    def works(self, workflow: str) -> None:
        """Check that she can publish and run, without a hand on anything."""
        self.release.until(lambda: self.publish(workflow).status_code == 201)
        ordered = self.order(workflow)
        assert ordered.status_code == 201, ordered.text
        assert self.ends(ordered.json()["id"]) == ("succeeded", "")


def health(release: Release, **query: str) -> httpx.Response:
    """Return what the service says of itself, on a connection of its own."""
    return httpx.get(release.url + HEALTH, params=query, trust_env=False, timeout=20)


def unwell(release: Release) -> str:
    """Return what is wrong with the service as it says itself, empty if nothing is."""
    told = health(release)
    return told.text if told.status_code == 503 else ""


def says(release: Release, part: str) -> str:
    """Return the last lines of the log of a part, empty while it has none."""
    with contextlib.suppress(ClusterError):
        return release.kubectl("logs", "-l", f"app.kubernetes.io/component={part}", "--tail=40")
    return ""


def signs_in(release: Release, name: str) -> str:
    """Return the page that somebody gets who signs in with the right password."""
    with httpx.Client(trust_env=False, timeout=60, follow_redirects=True) as browser:
        return sign_in(browser, release, name).text


def doctor(release: Release) -> dict[str, str]:
    """Return what the doctor says is wrong: part → detail."""
    return {one["what"]: one["detail"] for one in _doctor(release) if one["state"] != "ok"}


def told_of_pods(release: Release) -> list[tuple[str, str]]:
    """Return what the doctor says of pods that are over: detail and advice of each line."""
    return [(one["detail"], one["advice"]) for one in _doctor(release) if one["what"] == "pods"]


def _doctor(release: Release) -> list[dict[str, str]]:
    asked = "hub-ext doctor --json || true"  # its exit status says that something is wrong
    found: list[dict[str, str]] = json.loads(
        release.kubectl("exec", "deploy/hub-ext-service", "-c", "service", "--", "sh", "-c", asked)
    )
    return found


def restarts(release: Release) -> Mapping[str, int]:
    """Return how often the container of each pod was started anew."""
    found = release.cluster.kubectl.items("pods", "-n", release.namespace)
    return {
        one["metadata"]["name"]: sum(each["restartCount"] for each in one["status"].get("containerStatuses", ()))
        for one in found
        if one["metadata"]["labels"].get("app.kubernetes.io/component") in ("hub", "service", "proxy", "postgresql")
    }


def running(release: Release, part: str) -> str:
    """Return a pod of a part that runs."""
    mark = ("-l", f"app.kubernetes.io/component={part}")
    found = release.cluster.kubectl.items("pods", "-n", release.namespace, *mark)
    return next(str(one["metadata"]["name"]) for one in found if one["status"]["phase"] == "Running")


def overfill(release: Release, pod: str) -> None:
    """Put more into the temporary folder of a pod than it may have there."""
    release.kubectl("exec", pod, "--", "sh", "-c", f"head -c {SCRATCH + 4}M /dev/zero > /tmp/filler")


def evicted(release: Release, pod: str) -> str:
    """Return why a pod was taken away by its node; empty if it was not.

    An event says so: the pod itself does not, where it ended well in the second that it got.
    """
    which = f"--field-selector=reason=Evicted,involvedObject.name={pod}"
    found = release.cluster.kubectl.items("events", "-n", release.namespace, which)
    return str(found[0]["message"]) if found else ""


def is_replaced(release: Release, part: str, pod: str) -> bool:
    """Return whether a part is ready, and a pod of it over."""
    about = release.cluster.kubectl.json("get", "pod", pod, "-n", release.namespace)
    return about["status"]["phase"] in ("Failed", "Succeeded") and ready(release, part)


def ready(release: Release, part: str) -> bool:
    """Return whether a part is ready, as the cluster sees it."""
    about = release.cluster.kubectl.json("get", "deployment", f"hub-ext-{part}", "-n", release.namespace)
    return bool(about["status"].get("readyReplicas", 0))


def holds(what: Callable[[], bool], seconds: float, told: str) -> None:
    """Check again and again that something stays as it is."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert what(), told
        time.sleep(0.5)
