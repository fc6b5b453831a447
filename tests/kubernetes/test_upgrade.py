"""From the commit before to this one and back, with servers and runs going on: none is lost, and nobody waits long."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from hub_ext.kubernetes.places import namespace_name
from tests.functional.conftest import HEALTH
from tests.kubernetes import previous
from tests.kubernetes.accounts import _keep_looking
from tests.kubernetes.charts import NAME, Release, Watch
from tests.kubernetes.platforms import API, PATIENCE, profile, wait_for
from tests.kubernetes.test_chart import BUSY, GAP, ended
from tests.kubernetes.test_replicas import KERNEL, ROLES

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

pytestmark = [pytest.mark.functional, pytest.mark.alone, pytest.mark.timeout(1200)]

SLOW = "import time\nfor n in range({times}):\n    print(n, flush=True)\n    time.sleep(0.5)"


class Upgraded(Release):
    """A release that begins as another commit.

    Args:
        source: The files of that commit.
    """

    def __init__(self, cluster: UsedCluster, folder: Path, source: Path, **values: Any) -> None:
        super().__init__(cluster, folder, **values)
        self.source = source

    def install_before(self, images: dict[str, str]) -> None:
        """Install it as that commit's chart."""
        self.make_namespace()
        ours = self.values
        self.values = ours | {"images": images}
        self._write()
        given = ("--namespace", self.namespace, "--values", str(self.values_file), "--timeout", "5m", "--wait")
        self.helm("install", NAME, str(self.source / "helm" / "hub-ext"), *given, seconds=360)
        self.values = ours
        address = self.kubectl("get", "service", "hub-ext-proxy", "-o", "jsonpath={.spec.clusterIP}")
        self.url = f"http://{address}"
        secret = json.loads(self.kubectl("get", "secret", "hub-ext-keys", "-o", "json"))
        self.password = base64.b64decode(secret["data"]["password"]).decode()
        self.wait_until_answers()

    def roll_back(self) -> None:
        """Go back to the commit before."""
        self.helm("rollback", NAME, "1", "--namespace", self.namespace, "--timeout", "4m", "--wait")


@pytest.fixture(scope="module")
def release(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """A release of the commit before, with two replicas of the service."""
    _keep_looking(cluster)
    folder = tmp_path_factory.mktemp("upgrade")
    source = previous.unpack(previous.commit(), folder / "before")
    images = previous.images(source, cluster)
    settings = {"roles": ROLES, "approvals_required": 1}
    made = Upgraded(cluster, folder, source, settings=settings, service={"replicas": 2})
    try:
        made.install_before(images)
        made.approve(profile("scratch", home=False))
        yield made
    finally:
        made.close()


class Work:
    """Somebody's server and runs, which have to outlive everything."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.name = f"ana-{release.id}"
        self.client = release.api(self.name)
        self.server = f"/hub/api/users/{self.name}/server"
        asked = self.client.post(self.server, json={"profile": "scratch", "options": {}})
        assert asked.status_code in (201, 202), asked.text
        release.until(self.is_ready)
        self.uid = self.pod()

    def is_ready(self) -> bool:
        """Return whether the Hub says that her server is ready."""
        found = self.client.get(f"/hub/api/users/{self.name}")
        return found.status_code == 200 and bool(found.json()["servers"].get("", {}).get("ready"))

    def pod(self) -> str:
        """Return which pod is her server."""
        found = self.release.cluster.kubectl.json("get", "pod", "server", "-n", namespace_name(self.name))
        return str(found["metadata"]["uid"])

    def run(self, name: str, times: int) -> str:
        """Order a run that takes half a second for each time, and wait until it runs."""
        cell = nbformat.v4.new_code_cell(SLOW.format(times=times))
        notebook = nbformat.writes(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL}))
        body = {"name": name, "notebook": json.loads(notebook), "profile": "scratch"}
        assert self.client.post(f"{API}/workflows", json=body).status_code == 201
        run = str(self.client.post(f"{API}/workflows/{self.name}/{name}/runs", json={}).json()["id"])
        wait_for(lambda: self.client.get(f"{API}/runs/{run}").json()["state"] == "running", PATIENCE)
        return run

    def is_whole(self, run: str) -> None:
        """See that her server is the one that it was, and that a run ends as it should."""
        assert self.pod() == self.uid
        self.release.until(self.is_ready)
        assert self.client.get(f"/user/{self.name}/api").status_code == 200
        found = self.release.until(lambda: ended(self.client, run))
        assert (found["state"], found["reason"]) == ("succeeded", "")


@pytest.fixture(scope="module")
def work(release: Upgraded) -> Work:
    """Her work, begun under the commit before."""
    return Work(release)


def watched(release: Release, work: Work) -> Watch:
    """Return what looks for how long pages and her server are away."""
    return Watch(*(release.url + page for page in ("/hub/login", HEALTH, f"/user/{work.name}/api")))


def told(what: str, release: Release, watch: Watch) -> None:
    """Print for how long each was away, and see that none was for long."""
    print(f"away in {what}:", {url.removeprefix(release.url): f"{s:.1f} s" for url, s in watch.longest.items()})
    assert max(watch.longest.values()) <= BUSY * GAP


def test_an_upgrade_from_the_commit_before_loses_nothing(release: Upgraded, work: Work) -> None:
    run = work.run("before", 80)
    with watched(release, work) as watch:
        release.upgrade()
        release.wait_until_answers()
    told("an upgrade from the commit before", release, watch)
    work.is_whole(run)
    work.is_whole(work.run("after", 2))


def test_a_rollback_to_it_loses_nothing_either(release: Upgraded, work: Work) -> None:
    run = work.run("newer", 80)
    with watched(release, work) as watch:
        release.roll_back()
        release.wait_until_answers()
    told("a rollback", release, watch)
    work.is_whole(run)
    work.is_whole(work.run("older", 2))
    assert len(work.client.get(f"{API}/runs").json()["items"]) == 4
