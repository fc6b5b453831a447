"""Runs as Jobs on a real cluster, from order to report, and what becomes of them when something is taken away."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import nbformat
import pytest

from hub_ext.kubernetes.places import namespace_name
from tests.functional.conftest import Platform
from tests.kubernetes.platforms import approve
from tests.timing import Pauses

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster
    from tests.kubernetes.platforms import ClusterPlatform

API = "/services/workflows/api/v1"
PATIENCE = 90.0
SOON = 2.0  # seconds from a cancel to the end
ENDED = ("succeeded", "failed", "cancelled", "lost")
NOTHING = "sha256:" + "0" * 64

# The profiles that ship ask for more than a small node has.
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: 1, title: {name}, owner: platform-team}}
spec:
  description: For tests.
  access: {{groups: [analysts]}}
  image: {image}
  resources: {{cpu: {{request: 0.01, limit: 1}}, memory: {{request: 64Mi, limit: {memory}}}}}
  lifetime: {{idle: 60, maximum: {minutes}}}
"""
PROFILES = [
    PROFILE.format(name="runs", image="notebooks/standard", memory="512Mi", minutes=60),
    PROFILE.format(name="small", image="notebooks/standard", memory="300Mi", minutes=60),
    PROFILE.format(name="short", image="notebooks/standard", memory="512Mi", minutes=1),
    PROFILE.format(name="missing", image="notebooks/missing", memory="512Mi", minutes=60),
]


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def wait_for(look: Callable[[], Any], seconds: float = PATIENCE, told: Callable[[], Any] = lambda: "") -> Any:
    deadline, pause = time.monotonic() + seconds, Pauses()
    while not (found := look()):
        assert time.monotonic() < deadline, told()
        pause()
    return found


class RunsPlatform(Platform):
    """A platform beside the cluster whose runs are Jobs."""

    def __init__(self, folder: Path, cluster: UsedCluster) -> None:
        super().__init__(folder / "state")
        self.cluster = cluster
        self.id = uuid4().hex[:6]
        self.system = f"hub-ext-runs-{self.id}"
        hub, executors = free_port(cluster.host), free_port(cluster.host)
        outside = [{"cidr": f"{cluster.host}/32", "ports": [hub], "executors": executors}]
        registry = cluster.image.partition("/")[0]
        images = {"notebooks/missing": f"{registry}/notebooks/missing@{NOTHING}"}
        catalog = cluster.catalog(
            folder / "profiles", images, system_namespace=self.system, outside=outside, registries=[registry]
        )
        self.settings = {
            "HUB_EXT_RUNTIME": "kubernetes",
            "HUB_EXT_ENCLAVE": "cluster",
            "HUB_EXT_PROFILES_DIR": str(catalog),
            "HUB_EXT_KUBECONFIG": str(cluster.kubeconfig),
            "HUB_EXT_PODS_HUB_URL": f"http://{cluster.host}:{hub}",
            "HUB_EXT_PODS_EXECUTORS_URL": f"http://{cluster.host}:{executors}",
            "HUB_EXT_ROLES": json.dumps({"clara": ["curator"], "rene": ["curator"]}),
        }

    def approve(self, text: str) -> None:
        approve(self.api, text)

    def close(self) -> None:
        super().close()
        mine = f"hub-ext/platform={self.system}"
        self.cluster.kubectl("delete", "namespace", "-l", mine, "--ignore-not-found", "--wait=true", seconds=240)


@pytest.fixture(scope="module")
def platform(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunsPlatform]:
    """The platform; every test is somebody of its own."""
    made = RunsPlatform(tmp_path_factory.mktemp("runs"), cluster)
    try:
        made.start()
        for text in PROFILES:
            made.approve(text)
        yield made
    finally:
        made.close()


class Analyst:
    """Somebody who publishes and runs."""

    def __init__(self, platform: RunsPlatform | ClusterPlatform, name: str) -> None:
        self.platform = platform
        self.name = f"{name}-{platform.id}"
        self.namespace = getattr(platform, "shared", "") or namespace_name(self.name)
        self.client = platform.api(self.name)
        self.kubectl = platform.cluster.kubectl

    def publish(self, *cells: str, parameters: str = "", profile: str = "runs", **about: Any) -> str:
        made = [nbformat.v4.new_code_cell(cell) for cell in cells]
        if parameters:
            made.insert(0, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        node = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel, "hub_ext": about})
        name = f"w{uuid4().hex[:8]}"
        body = {"name": name, "notebook": json.loads(nbformat.writes(node)), "profile": profile}
        answer = self.client.post(f"{API}/workflows", json=body)
        assert answer.status_code == 201, answer.text
        return name

    def order(self, workflow: str, **parameters: Any) -> str:
        answer = self.client.post(f"{API}/workflows/{self.name}/{workflow}/runs", json={"parameters": parameters})
        assert answer.status_code in (200, 201, 202), answer.text
        return str(answer.json()["id"])

    def run(self, *cells: str, profile: str = "runs", **more: Any) -> str:
        return self.order(self.publish(*cells, profile=profile), **more)

    def get(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"{API}/runs/{run}").json()
        return found

    def until(self, run: str, look: Callable[[dict[str, Any]], Any], seconds: float = PATIENCE) -> dict[str, Any]:
        def met() -> dict[str, Any] | None:
            found = self.get(run)
            return found if look(found) else None

        found: dict[str, Any] = wait_for(met, seconds, lambda: self.get(run))
        return found

    def ended(self, run: str, seconds: float = PATIENCE) -> dict[str, Any]:
        return self.until(run, lambda one: one["state"] in ENDED, seconds)

    def running(self, run: str) -> dict[str, Any]:
        return self.until(run, lambda one: one["state"] == "running" and one["cells_done"] >= 1)

    def cancel(self, run: str) -> float:
        """Cancel a run, and return the seconds until it has ended."""
        began = time.monotonic()
        assert self.client.post(f"{API}/runs/{run}/cancel").status_code in (200, 202)
        assert self.ended(run)["state"] == "cancelled"
        return time.monotonic() - began

    def text(self, run: str, what: str) -> str:
        answer = self.client.get(f"{API}/runs/{run}/{what}")
        assert answer.status_code == 200, (what, answer.text[:300])
        return answer.text

    def left(self) -> list[str]:
        found = self.kubectl.items("jobs,pods,secrets,networkpolicies", "-n", self.namespace)
        return [
            name
            for one in found
            if (name := f"{one['kind']}/{one['metadata']['name']}") != "NetworkPolicy/default-deny"
        ]

    def is_clean(self, seconds: float = 15) -> None:
        wait_for(lambda: not self.left(), seconds, self.left)

    def pods(self) -> list[str]:
        return [str(one["metadata"]["name"]) for one in self.kubectl.items("pods", "-n", self.namespace)]

    def pod(self) -> str:
        return str(wait_for(self.pods)[0])


FOREVER = ("print('on', flush=True)", "import time\ntime.sleep(600)")


def test_a_run_goes_from_order_to_report_and_leaves_nothing_in_the_cluster(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "ann")
    cells = (
        "import os, getpass\nprint(n * 2, os.getcwd(), sorted(os.environ))",
        "open('table.csv', 'w').write('a,b')",
        "try:\n    print(open('/proc/1/environ').read())\nexcept PermissionError:\n    print('hidden')",
    )
    run = ann.order(ann.publish(*cells, parameters="n: int = 2"), n=21)
    found = ann.ended(run)
    assert (found["state"], found["reason"]) == ("succeeded", ""), found
    report = ann.text(run, "report")
    assert "42 /tmp/" in report
    assert "hidden" in report
    assert "HUB_EXT_RUN_TOKEN" not in report
    assert "42" in ann.text(run, "notebook")
    assert ann.text(run, "artifacts/table.csv") == "a,b"
    ann.is_clean()


def test_the_job_is_in_the_callers_namespace_under_the_policy_of_the_run(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "beth")
    run = ann.run(*FOREVER)
    ann.running(run)
    (job,) = ann.kubectl.items("jobs", "-n", ann.namespace)
    owned = ann.kubectl.items("secrets,networkpolicies,pods", "-n", ann.namespace)
    names = {f"{one['kind']}" for one in owned if one["metadata"].get("ownerReferences")}
    assert names == {"Secret", "NetworkPolicy", "Pod"}
    assert {one["kind"] for one in owned} == {"Secret", "NetworkPolicy", "Pod"}
    assert job["metadata"]["name"].startswith("l-")
    ann.cancel(run)
    ann.is_clean(40)


def test_a_run_that_is_cancelled_has_ended_within_two_seconds_with_what_it_did(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "cora")
    workflow, took = ann.publish(*FOREVER), [SOON + 1]
    for _ in range(3):  # the machine may be busy
        run = ann.order(workflow)
        ann.running(run)
        took.append(ann.cancel(run))
        assert "on" in ann.text(run, "report")
        if min(took) <= SOON:
            break
    assert min(took) <= SOON, took


def test_too_little_memory_is_told_as_such(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "carl")
    run = ann.run("x = []\nfor n in range(200):\n    x.append(bytearray(b'x' * 2**22))", profile="small")
    found = ann.ended(run)
    assert found["state"] == "failed"
    assert "memory" in found["reason"], found
    assert "300 MB" in found["reason"], found


def test_a_secret_reaches_the_notebook_and_no_object_of_the_cluster(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "dora")
    secret = "from pydantic import SecretStr\nkey: SecretStr"
    cells = ("print(len(key.get_secret_value()), key.get_secret_value(), flush=True)", FOREVER[1])
    run = ann.order(ann.publish(*cells, parameters=secret), key="hunter2-hunter2")
    ann.running(run)
    there = json.dumps(ann.kubectl.items("jobs,pods,secrets", "-n", ann.namespace))
    assert "hunter2" not in there
    ann.client.post(f"{API}/runs/{run}/cancel")
    ann.ended(run)
    assert "15 ••••••" in ann.text(run, "report")


def test_a_run_ends_at_its_limit_with_what_it_did(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "dan")
    run = ann.run(*FOREVER, profile="short")
    found = ann.ended(run, 120)
    assert (found["state"], found["reason"]) == ("failed", "ran longer than its limit of 1 minute")
    assert "on" in ann.text(run, "report")


def test_an_image_that_is_not_there_is_told(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "emil")
    found = ann.ended(ann.run("1", profile="missing"))
    assert found["state"] == "failed"
    assert "cannot be pulled" in found["reason"], found
    ann.is_clean(40)


@pytest.mark.parametrize("what", ["job", "pod"])
def test_what_is_deleted_by_hand_is_told(platform: RunsPlatform, what: str) -> None:
    ann = Analyst(platform, f"fay-{what}")
    run = ann.run(*FOREVER)
    ann.running(run)
    name = ann.pod() if what == "pod" else ann.kubectl.items("jobs", "-n", ann.namespace)[0]["metadata"]["name"]
    ann.kubectl("delete", what, name, "-n", ann.namespace, "--wait=false")
    found = ann.ended(run, 20)
    called = {"job": "Job", "pod": "pod"}[what]
    assert (found["state"], found["reason"]) == ("failed", f"its {called} was deleted from outside")
    assert "on" in ann.text(run, "report")
    ann.is_clean(40)


def test_a_service_that_is_killed_during_a_run_finds_its_true_end(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "gus")
    run = ann.run(
        "print('first', flush=True)", "import time\nfor n in range(20): print(n, flush=True); time.sleep(0.25)"
    )
    ann.running(run)
    os.kill(_worker(platform), signal.SIGKILL)
    platform.wait_until_up()
    found = ann.ended(run)
    assert (found["state"], found["reason"]) == ("succeeded", "")
    assert "19" in ann.text(run, "report")
    ann.is_clean(40)


def _worker(platform: RunsPlatform) -> int:
    """Return the process of the service itself, below its supervisor."""
    return int(platform.recorded("service").children()[0].pid)


def test_a_namespace_of_somebody_else_is_not_used(platform: RunsPlatform) -> None:
    ann = Analyst(platform, "hank")
    marks = {"hub-ext/platform": platform.system}  # so that it goes with the others
    about = {"name": ann.namespace, "labels": marks}
    ann.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": about})
    found = ann.ended(ann.run("1"))
    assert found["state"] == "failed"
    assert "was not made for this person" in found["reason"], found
    assert ann.left() in ([], [])
