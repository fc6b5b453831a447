"""What goes wrong with servers in a cluster: told as it is, true again within 15 seconds, and nothing is left of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from hub_ext.kubernetes.client import Cluster
from hub_ext.spawner.base import StartFailed
from hub_ext.spawner.booting import Boot
from hub_ext.spawner.pods import Pods
from hub_ext.spawner.progress import Progress
from tests.kubernetes.platforms import API, PROMPT, ClusterPlatform, Person, profile, wait_for

pytestmark = pytest.mark.functional

NOTICED = 2.0  # seconds from the API server's first report


@pytest.fixture(scope="module", autouse=True)
def brief(platform: ClusterPlatform) -> Person:
    """Somebody whose server may run for one minute: it begins first and is looked at last."""
    platform.approve(profile("brief", home=False, maximum=1))
    person = platform.person("bea")
    person.start("brief")
    return person


@pytest.fixture(scope="module")
def mute(platform: ClusterPlatform) -> Iterator[Person]:
    """Somebody whose server never answers, and may run for one minute: it is looked at last, too."""
    if platform.cluster.local is None:
        pytest.skip("its image would have to be pushed to somebody else's registry")
    platform.approve(profile("silent", home=False, image="notebooks/silent", maximum=1))
    person = platform.person("mute")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(person.ask, "silent")
        yield person
        asking.result()


def fails(person: Person, name: str, words: str) -> str:
    """Ask for a server that cannot come up; return why the record says it did not."""
    answer = person.ask(name)
    assert answer.status_code in (202, 500), answer.text
    wait_for(lambda: "" not in person.servers(), told="the start does not end")
    wait_for(lambda: person.outcomes() and person.outcomes()[-1][0] == "failed", PROMPT)
    why = person.outcomes()[-1][1]
    assert words in why
    person.is_clean()
    return why


# --- what never answers ----------------------------------------------------------------------------------------------


async def test_a_pod_that_never_answers_is_given_up_when_the_time_is_over(
    platform: ClusterPlatform, mute: Person
) -> None:
    wait_for(lambda: mute.has("pods"))
    made = mute.pod()
    cluster = await Cluster.connect(str(platform.cluster.kubeconfig))
    pods = Pods(cluster, platform.system)
    pods.watch.start()
    try:
        assert await pods.listed()
        boot, begun = Boot(pods, Progress(), made, 2.0), []
        with pytest.raises(StartFailed, match="It did not start within 2 seconds"):
            await boot.until_it_answers(made, f"/user/{mute.name}/api", begun.append, ())
        assert begun
    finally:
        await pods.watch.stop()
        await cluster.close()


@pytest.mark.usefixtures("mute")
def test_a_server_that_never_answers_can_be_stopped(platform: ClusterPlatform) -> None:
    person = platform.person("impatient")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(person.ask, "silent")
        wait_for(lambda: person.has("pods") and person.pod()["status"]["phase"] == "Running")
        assert not person.ready()
        person.stop()
        asking.result()
    person.is_clean()
    assert [outcome for outcome, _ in person.outcomes()] == ["cancelled"]


# --- what cannot come up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "The image missing cannot be pulled: the registry does not have it."),
        ("changed", "The image standard cannot be pulled: the registry does not have it."),
        ("tight", "It ran out of memory (its limit is 40 MB)"),
    ],
)
def test_what_will_never_come_up_ends_at_once_with_the_reason(platform: ClusterPlatform, name: str, words: str) -> None:
    fails(platform.person(f"{name}-wanted"), name, words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unreachable", "The image standard cannot be pulled: the registry does not answer"),
        ("huge", "Waiting for a node with 60 GB and 0.01 cores free"),
    ],
)
def test_what_may_come_up_yet_is_told_and_can_be_stopped(platform: ClusterPlatform, name: str, words: str) -> None:
    person = platform.person(f"{name}-wanted")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(person.ask, name)
        wait_for(lambda: person.servers().get("", {}).get("pending") == "spawn")
        person.is_told(words)
        person.stop()
        asking.result()
    person.is_clean()


def test_a_quota_of_somebody_elses_is_told_as_such(platform: ClusterPlatform) -> None:
    person = platform.person("quota")
    person.start("scratch")
    person.stop()
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "of-somebody-else", "namespace": person.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    person.kubectl.apply(quota)
    wait_for(
        lambda: person.kubectl.json("get", "quota", "of-somebody-else", "-n", person.namespace)["status"].get("hard")
    )
    fails(
        person,
        "scratch",
        "A quota of the cluster's own leaves no room for it where it would run (of-somebody-else; servers and runs: 0 "
        "of 0 in use, and this needs 1 more)",
    )
    person.kubectl("delete", "quota", "of-somebody-else", "-n", person.namespace)
    person.start("scratch")
    person.stop()


def test_a_home_that_cannot_be_made_is_told_with_the_reason(platform: ClusterPlatform) -> None:
    person = platform.person("volume")
    with platform.enclave(storage_class="there-is-none"), ThreadPoolExecutor(1) as pool:
        asking = pool.submit(person.ask, "small")
        wait_for(lambda: person.servers().get("", {}).get("pending") == "spawn")
        person.is_told("The home volume cannot be made: the cluster has no storage class there-is-none")
        person.stop()
        asking.result()
    person.is_clean()


def test_a_namespace_of_somebody_else_is_not_taken(platform: ClusterPlatform) -> None:
    person = platform.person("foreign")
    foreign = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": person.namespace, "labels": {"team": "x"}}}
    person.kubectl.apply(foreign)
    try:
        before = person.kubectl.json("get", "namespace", person.namespace)["metadata"]["resourceVersion"]
        fails(
            person, "small", f"There is a namespace {person.namespace} in the cluster that was not made for this person"
        )
        after = person.kubectl.json("get", "namespace", person.namespace)["metadata"]["resourceVersion"]
        assert after == before
        assert person.has("pods", "persistentvolumeclaims", "resourcequotas", "networkpolicies") == []
    finally:
        person.kubectl("delete", "namespace", person.namespace, "--wait=false")


# --- what ends under somebody's hands --------------------------------------------------------------------------------


def gone_within(person: Person, seconds: float) -> None:
    wait_for(lambda: "" not in person.servers(), seconds, f"{person.name}'s server is still there for the Hub")


def why_ended(person: Person) -> str:
    """Return what the page of her server says."""
    page = person.platform.login(person.name).get(f"/user/{person.name}/lab")
    assert "is not running" in page.text
    return page.text


def test_a_pod_that_was_deleted_by_hand_is_noticed_and_told(platform: ClusterPlatform) -> None:
    person = platform.person("deleted")
    person.start("small")
    person.kubectl("delete", "pod", "server", "-n", person.namespace, "--wait=false")
    gone_within(person, NOTICED)
    assert "Its pod was deleted in the cluster." in why_ended(person)
    person.is_clean()
    assert person.outcomes() == [("stopped", "Its pod was deleted in the cluster.")]
    person.start("small")  # the home is free again
    person.stop()


def test_a_pod_that_is_gone_at_once_is_noticed_as_well(platform: ClusterPlatform) -> None:
    person = platform.person("forced")
    person.start("scratch")
    person.kubectl("delete", "pod", "server", "-n", person.namespace, "--force", "--grace-period=0", "--wait=false")
    gone_within(person, NOTICED)
    person.is_clean()


def test_an_eviction_is_told_as_such(platform: ClusterPlatform) -> None:
    person = platform.person("evicted")
    person.start("scratch")
    about = {"name": "server", "namespace": person.namespace}
    eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about})
    path = f"/api/v1/namespaces/{person.namespace}/pods/server/eviction"
    person.kubectl("create", "--raw", path, "-f", "-", stdin=eviction)
    gone_within(person, NOTICED)
    assert person.outcomes() == [("stopped", "It was moved off its node, which is being looked after.")]
    person.is_clean()


def test_a_server_that_ends_by_itself_lets_go_of_everything(platform: ClusterPlatform) -> None:
    person = platform.person("ended")
    person.start("scratch")
    person.client.post(f"/user/{person.name}/api/shutdown")
    wait_for(lambda: "" not in person.servers(), told="the Hub does not notice")
    ((outcome, why),) = person.outcomes()
    assert (outcome, why.partition(":")[0]) == ("stopped", "It ended by itself")
    person.is_clean()


# --- an API server in trouble ----------------------------------------------------------------------------------------


@pytest.fixture
def steady(platform: ClusterPlatform) -> Iterator[Person]:
    """Somebody whose server runs through all of it."""
    person = platform.person("steady")
    if not person.ready():
        person.start("scratch")
    uid = person.pod()["metadata"]["uid"]
    yield person
    assert person.ready()
    assert person.client.get(f"/user/{person.name}/api").status_code == 200
    assert person.pod()["metadata"]["uid"] == uid


def test_a_slow_api_server_makes_starts_slow_and_nothing_else(platform: ClusterPlatform, steady: Person) -> None:
    person = platform.person("slow")
    with platform.api_server.slow(2.0):
        person.start("small")
        person.stop()
    person.is_clean()
    assert person.outcomes() == [("stopped", f"Stopped by {person.name}.")]


def test_a_refusing_api_server_is_asked_again_until_it_does_not(platform: ClusterPlatform, steady: Person) -> None:
    person = platform.person("refused")
    with ThreadPoolExecutor(1) as pool:
        with platform.api_server.refuses():
            asking = pool.submit(person.ask, "scratch")
            before = len(platform.api_server.asked)
            wait_for(lambda: len(platform.api_server.asked) > before + 5)
            assert steady.ready()
        assert asking.result().status_code in (201, 202)
    wait_for(person.ready)
    person.stop()
    person.is_clean()


def test_a_watch_that_is_too_old_begins_anew_and_misses_nothing(platform: ClusterPlatform, steady: Person) -> None:
    person = platform.person("watched")
    person.start("scratch")
    assert platform.api_server.drop_watches() >= 1
    person.kubectl("delete", "pod", "server", "-n", person.namespace, "--wait=false")
    gone_within(person, PROMPT)
    person.is_clean()


def test_two_minutes_without_an_api_server(platform: ClusterPlatform, steady: Person) -> None:
    lost, late, stopped = (platform.person(name) for name in ("lost", "late", "stopped"))
    for one in (lost, stopped):
        one.start("scratch")
    with platform.api_server.away():
        until = time.monotonic() + 120
        lost.kubectl("delete", "pod", "server", "-n", lost.namespace, "--wait=false")
        answer = late.ask("scratch")
        assert answer.status_code in (202, 500), answer.text
        wait_for(lambda: "" not in late.servers(), 60)
        assert late.outcomes() == [("failed", "The cluster does not answer now.")]
        stopped.stop()
        assert steady.ready()
        assert steady.client.get(f"/user/{steady.name}/api").status_code == 200
        assert lost.ready()  # nobody can know
        assert httpx.get(f"{platform.url}{API}/health", trust_env=False).status_code == 200
        time.sleep(max(until - time.monotonic(), 0))
    gone_within(lost, PROMPT)
    for one in (lost, late, stopped):
        one.is_clean()
    late.start("scratch")
    late.stop()


# --- a Hub that dies -------------------------------------------------------------------------------------------------


def untrue(platform: ClusterPlatform, people: list[Person]) -> list[str]:
    """Return of whom Hub, cluster and record do not say the same.

    A server is there for all three, ready or about to be, or for none; a pod that is being ended, with what it owns, is
    none.
    """
    found = platform.cluster.kubectl.items("pods,secrets,networkpolicies", "-A", "-l", "hub-ext/purpose=server")
    there: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        there.setdefault(one["metadata"]["namespace"], []).append(one)
    wrong = []
    for person in people:
        server, outcomes = person.servers().get(""), person.outcomes()
        made = there.get(person.namespace, [])
        leaving = [one for one in made if one["metadata"].get("deletionTimestamp")]
        owned = [] if server else [one for one in made if one["metadata"].get("ownerReferences") and leaving]
        kinds = sorted(one["kind"] for one in made if one not in leaving and one not in owned)
        record = outcomes[-1][0] if outcomes else ""
        if kinds != (["NetworkPolicy", "Pod", "Secret"] if server else []) or (record == "ready") != bool(server):
            wrong.append(f"{person.name}: {bool(server)} for the Hub, {kinds} in the cluster, {record!r} in the record")
        elif record == "starting":
            wrong.append(f"{person.name}: still starting in the record")
    return wrong


def hub_answers(platform: ClusterPlatform) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{platform.url}/hub/health", trust_env=False).status_code == 200
    return False


def test_a_hub_that_is_killed_while_many_servers_start(platform: ClusterPlatform) -> None:
    """From the first answer of the next Hub the state is true within 15 seconds; its boot is not among them."""
    people = [platform.person(f"many-{number}") for number in range(20)]

    def ask(person: Person) -> None:
        try:
            person.ask("scratch")
        except httpx.HTTPError:
            return  # the Hub was killed

    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(ask, one) for one in people]
        wait_for(lambda: sum(bool(one.has("pods")) for one in people[:12]) >= 4, told="nothing starts")
        platform.hub().kill()
        for asked_for in asking:
            asked_for.result()
    wait_for(lambda: hub_answers(platform), told="the Hub is not started again")
    until = time.monotonic() + PROMPT
    while (asked := time.monotonic()) <= until and (wrong := untrue(platform, people)):
        time.sleep(0.2)
    assert asked <= until, wrong
    platform.wait_until_up()
    wait_for(
        lambda: all(not one.servers() or one.ready() for one in people), told="a server that was taken up is not ready"
    )
    for one in people:
        if "" in one.servers():
            one.stop()
        one.is_clean()
    assert {outcome for one in people for outcome, _ in one.outcomes()} <= {"stopped", "failed", "cancelled"}


def test_a_hub_that_is_killed_finds_its_servers_again(platform: ClusterPlatform, steady: Person) -> None:
    platform.hub().kill()
    wait_for(lambda: hub_answers(platform), told="the Hub is not started again")
    wait_for(steady.ready, NOTICED)
    platform.wait_until_up()
    steady.kubectl("get", "pod", "server", "-n", steady.namespace)


def test_a_server_that_went_while_the_hub_was_away_is_known_to_have(platform: ClusterPlatform) -> None:
    person = platform.person("meanwhile")
    person.start("scratch")
    hub = platform.hub()
    hub.suspend()
    person.kubectl("delete", "pod", "server", "-n", person.namespace, "--wait=true")
    hub.kill()
    wait_for(lambda: hub_answers(platform), told="the Hub is not started again")  # its service answers a moment longer
    platform.wait_until_up()
    wait_for(lambda: "" not in person.servers(), PROMPT)
    person.is_clean()


# --- time ------------------------------------------------------------------------------------------------------------


def test_the_cluster_ends_a_server_at_its_time_limit(brief: Person) -> None:
    wait_for(lambda: "" not in brief.servers(), told="it is not ended")
    assert brief.outcomes() == [("stopped", "It reached its time limit of 1 minute.")]
    brief.is_clean()


def test_a_server_that_never_answers_is_ended_at_its_time_limit_and_that_is_told(mute: Person) -> None:
    wait_for(lambda: "" not in mute.servers(), told="it is not ended")
    ((outcome, why),) = mute.outcomes()
    assert outcome == "failed"
    assert "It reached its time limit" in why
    mute.is_clean()
