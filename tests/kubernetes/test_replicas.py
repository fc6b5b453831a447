"""Three replicas, and what they need taken from them: no run is lost, done twice, or told wrongly.

`HUB_EXT_FAULT_RUNS` says how many runs pass meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import nbformat
import pytest

from hub_ext.kubernetes.places import namespace_name
from tests.kubernetes.accounts import _keep_looking
from tests.kubernetes.charts import Release
from tests.kubernetes.platforms import API, PATIENCE, profile, wait_for
from tests.kubernetes.trouble import Trouble, until_answered

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

RUNS = int(os.environ.get("HUB_EXT_FAULT_RUNS", "20"))
pytestmark = [pytest.mark.functional, pytest.mark.alone, pytest.mark.timeout(300 + 20 * RUNS)]

SEED = int(os.environ.get("HUB_EXT_FAULT_SEED", "7"))
AT_ONCE = 5 if RUNS <= 50 else 8  # runs that are ordered and have not ended
STORE_AWAY = 30.0  # seconds
BETWEEN = (4.0, 9.0) if RUNS <= 50 else (8.0, 20.0)  # seconds from one replica that is killed to the next
TRUE_WITHIN = 15.0  # seconds
ENDED = ("succeeded", "failed", "cancelled", "lost")
ROLES = {"clara": ["curator"], "rene": ["curator"], "aude": ["auditor"]}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture(scope="module")
def release(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release with three replicas of the service, and a profile that asks for little."""
    _keep_looking(cluster)
    settings = {"roles": ROLES, "approvals_required": 1, "jobs_at_once": AT_ONCE}
    made = Release(cluster, tmp_path_factory.mktemp("replicas"), settings=settings, service={"replicas": 3})
    try:
        made.install()
        made.approve(profile("scratch", home=False))
        yield made
    finally:
        made.close()


class Orders:
    """Orders runs of one workflow, each with a number and a key, and asks again until there is an answer.

    Args:
        release: The release.
    """

    def __init__(self, release: Release) -> None:
        self.name = f"ana-{release.id}"
        self.namespace = namespace_name(self.name)
        self.release = release
        self.client = release.api(self.name)
        self.made: dict[int, str] = {}
        self.refused: Counter[str] = Counter()

    def publish(self) -> None:
        """Publish what is run."""
        cells = [
            nbformat.v4.new_code_cell("n: int = 2", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell("print('seven times is', n * 7)"),
        ]
        notebook = nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}))
        body = {"name": "seven", "notebook": json.loads(notebook), "profile": "scratch"}
        assert self.client.post(f"{API}/workflows", json=body).status_code in (200, 201)

    def order(self, number: int) -> None:
        """Order a run."""
        key, body = f"{number}-{uuid4()}", {"parameters": {"n": number}}

        def asked() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                answer = self.client.post(
                    f"{API}/workflows/{self.name}/seven/runs", json=body, headers={"Idempotency-Key": key}
                )
                if answer.status_code in (200, 201, 202):
                    self.made[number] = str(answer.json()["id"])
                    return True
                assert answer.status_code >= 500, answer.text
                self.refused[str(answer.status_code)] += 1
            return False

        until_answered(asked, 240, f"run {number} could not be ordered")

    def states(self) -> dict[str, dict[str, Any]]:
        """Return all runs of hers by id; none where nobody answers."""
        found: dict[str, dict[str, Any]] = {}
        cursor: str | None = ""
        with contextlib.suppress(httpx.HTTPError):
            while cursor is not None:
                asked = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
                answer = self.client.get(f"{API}/runs", params=asked)
                if answer.status_code != 200:
                    return {}
                found |= {one["id"]: one for one in answer.json()["items"]}
                cursor = answer.json()["next"]
            return found
        return {}

    def open(self) -> int:
        """Return how many have not ended; all of them where nobody answers."""
        found = self.states()
        return sum(found.get(run, {"state": "unknown"})["state"] not in ENDED for run in self.made.values())

    def text(self, run: str) -> str:
        """Return the report of a run."""
        answer = self.client.get(f"{API}/runs/{run}/report")
        assert answer.status_code == 200, answer.text
        return answer.text


def acts(release: Release, run: str) -> list[dict[str, Any]]:
    """Return the record of a run, the first act first."""
    answer = release.api("aude").get(f"{API}/audit", params={"object": f"run:{run}", "limit": 100})
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["items"]))


def told_wrongly(orders: Orders) -> list[str]:
    """Return what the cluster shows to be otherwise than the platform says."""
    jobs = {
        one["metadata"]["name"]: one.get("status", {})
        for one in orders.release.cluster.kubectl.items("jobs", "-n", orders.namespace)
    }
    wrong = []
    for run, about in orders.states().items():
        if about["state"] != "running":
            continue
        launch = [one["detail"]["launch"] for one in acts(orders.release, run) if one["action"] == "run.launch"][-1]
        if launch not in jobs or jobs[launch].get("completionTime"):
            wrong.append(f"{run} runs, and {launch} is {'over' if launch in jobs else 'not there'}")
    # One that has ended between two looks is true at the next.
    return [one for one in wrong if orders.states().get(one.split()[0], {}).get("state") == "running"]


def test_no_run_is_lost_done_twice_or_told_wrongly_whatever_is_taken_away(release: Release) -> None:
    orders = Orders(release)
    orders.publish()
    orders.order(0)
    release.until(lambda: orders.open() == 0)
    server = f"/hub/api/users/{orders.name}/server"
    assert orders.client.post(server, json={"profile": "scratch", "options": {}}).status_code in (201, 202)
    wait_for(lambda: orders.client.get(f"/hub/api/users/{orders.name}").json()["servers"].get("", {}).get("ready"))
    pod = ("get", "pod", "server", "-n", orders.namespace)
    before = release.cluster.kubectl.json(*pod)["metadata"]["uid"]
    began = time.monotonic()
    with Trouble(release, SEED, BETWEEN) as trouble:
        plan = {
            RUNS // 4: lambda: trouble.kill("postgresql", seen_dead=True),
            RUNS // 2: lambda: trouble.take_store(STORE_AWAY),
            3 * RUNS // 4: lambda: trouble.kill("hub"),
        }
        for number in range(1, RUNS + 1):
            until_answered(lambda: orders.open() < AT_ONCE, 300, "nothing ended")
            orders.order(number)
            plan.get(number, lambda: None)()
    release.until(trouble.is_whole)
    healthy = time.monotonic()
    wrong = told_wrongly(orders)
    while wrong and time.monotonic() - healthy < TRUE_WITHIN:
        time.sleep(0.5)
        wrong = told_wrongly(orders)
    assert wrong == []
    true_after = time.monotonic() - healthy
    wait_for(lambda: orders.open() == 0, 2 * PATIENCE, json.dumps(orders.states())[-3000:])
    took = time.monotonic() - began
    print(
        f"{RUNS} runs in {took:.0f} s; {dict(Counter(what for _, what in trouble.done))}; "
        f"refused meanwhile and asked again: {dict(orders.refused)}; true {true_after:.1f} s after"
    )
    look_at_all(orders)
    assert release.cluster.kubectl.json(*pod)["metadata"]["uid"] == before
    assert orders.client.get(f"/hub/api/users/{orders.name}").json()["servers"][""]["ready"]
    assert orders.client.delete(server).status_code in (202, 204)


def look_at_all(orders: Orders) -> None:
    """See that each run that was ordered is there once, was done once, succeeded, and says what it had to."""
    found = orders.states()
    assert len(orders.made) == RUNS + 1
    assert set(found) == set(orders.made.values()), "one was lost, or ordered twice"
    assert {(one["state"], one["reason"]) for one in found.values()} == {("succeeded", "")}
    for number, run in orders.made.items():
        done = Counter(one["action"] for one in acts(orders.release, run))
        assert (done["run.create"], done["run.start"], done["run.end"]) == (1, 1, 1), (run, done)
        assert orders.text(run).count(f"seven times is {number * 7}") == 1


def test_a_replica_that_is_told_to_end_hands_over_within_seconds(release: Release) -> None:
    orders = Orders(release)
    orders.publish()
    orders.order(1000)
    release.until(lambda: orders.open() == 0)
    trouble = Trouble(release, SEED)
    for pod in trouble.pods("service"):
        release.kubectl("delete", "pod", pod, "--wait=false")
        began = time.monotonic()
        orders.order(1001 + len(orders.made))
        release.until(lambda: orders.open() == 0)
        print(f"a run after SIGTERM to {pod}: {time.monotonic() - began:.1f} s; refused: {dict(orders.refused)}")
        release.until(trouble.is_whole)
    assert sum(orders.refused.values()) <= 1  # none was; a node that is busy may hear late who gets no more requests


def test_a_proxy_that_is_started_anew_leads_to_servers_within_seconds(release: Release) -> None:
    orders = Orders(release)
    server = f"/hub/api/users/{orders.name}/server"
    assert orders.client.post(server, json={"profile": "scratch", "options": {}}).status_code in (201, 202)
    release.until(lambda: orders.client.get(f"/user/{orders.name}/api").status_code == 200)
    Trouble(release, SEED).kill("proxy")

    def leads(path: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return orders.client.get(path, timeout=2).status_code == 200
        return False

    wait_for(lambda: not leads("/hub/login"), PATIENCE)
    release.until(lambda: leads("/hub/login"))
    back = time.monotonic()
    release.until(lambda: leads(f"/user/{orders.name}/api"))
    took = time.monotonic() - back
    print(f"from the proxy's first answer to the server's: {took:.1f} s")
    assert took < TRUE_WITHIN
    assert orders.client.delete(server).status_code in (202, 204)


def test_parts_whose_database_is_away_are_not_ready_and_none_is_started_again(release: Release) -> None:
    trouble = Trouble(release, SEED)
    release.until(trouble.is_whole)
    before = restarts(release)
    release.kubectl("scale", "deployment/hub-ext-postgresql", "--replicas=0")
    try:
        release.until(lambda: not ready(release, "hub") and not ready(release, "service"))
    finally:
        release.kubectl("scale", "deployment/hub-ext-postgresql", "--replicas=1")
    release.until(trouble.is_whole)
    assert restarts(release) == before


def ready(release: Release, part: str) -> list[str]:
    """Return the pods of a part that are ready."""
    found = release.cluster.kubectl.items("pods", "-n", release.namespace, "-l", f"app.kubernetes.io/component={part}")
    return [
        str(one["metadata"]["name"])
        for one in found
        for condition in one["status"].get("conditions", ())
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]


def restarts(release: Release) -> dict[str, int]:
    """Return how often each container of Hub and service was started again."""
    found = release.cluster.kubectl.items("pods", "-n", release.namespace)
    return {
        f"{one['metadata']['name']}/{container['name']}": int(container["restartCount"])
        for one in found
        if one["metadata"]["labels"].get("app.kubernetes.io/component") in ("hub", "service")
        for container in one["status"].get("containerStatuses", ())
    }
