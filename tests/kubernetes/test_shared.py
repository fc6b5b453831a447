"""One namespace for everybody, where nobody may make another: servers, runs, homes, and nobody in another's way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from hub_ext.catalog.loading import load
from hub_ext.kubernetes.admission import export
from hub_ext.kubernetes.confinement import account
from hub_ext.kubernetes.rbac import HUB, SERVICE
from tests.cluster.errors import ClusterError
from tests.kubernetes.accounts import _keep_looking
from tests.kubernetes.conftest import UsedCluster
from tests.kubernetes.platforms import API, PROFILES, ClusterPlatform, Person, wait_for
from tests.kubernetes.test_homes import home_of
from tests.kubernetes.test_network import ASK, reached
from tests.kubernetes.test_runs import Analyst

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def together(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlatform]:
    """A platform whose accounts have rights in one namespace alone, and the policy that goes with it."""
    _keep_looking(cluster)
    made = ClusterPlatform(
        tmp_path_factory.mktemp("together"), cluster, proxied=False, shared=True, HUB_EXT_HOME_KEPT_DAYS="0"
    )
    loaded = load(made.catalog, "cluster")
    policy = export(loaded.policy, loaded.enclave)
    try:
        cluster.kubectl.apply(*policy)
        made.start()
        made.approve(*PROFILES[:2])
        yield made
    finally:
        names = [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in policy]
        cluster.kubectl("delete", *names, "--ignore-not-found")
        made.close()


def of(person: Person, *kinds: str) -> list[str]:
    """Return what there is of somebody's, by its label."""
    mark = ("-l", f"hub-ext/user={person.name}")
    found = person.kubectl.items(",".join(kinds), "-n", person.namespace, *mark)
    return sorted(f"{one['kind']}/{one['metadata']['name']}" for one in found)


def refused(together: ClusterPlatform, name: str, *arguments: str, stdin: str | None = None) -> str:
    """Return what the API server says to an account of ours that it refuses something."""
    with pytest.raises(ClusterError) as said:
        together.cluster.kubectl(*arguments, f"--as={account(together.system, name)}", stdin=stdin)
    return str(said.value)


@pytest.mark.parametrize("name", [HUB, SERVICE])
def test_no_account_may_make_a_namespace_or_look_beside_its_own(together: ClusterPlatform, name: str) -> None:
    dry = "--dry-run=server"
    assert "cannot create resource" in refused(together, name, "create", "namespace", f"mine-{together.id}", dry)
    assert "cannot list resource" in refused(together, name, "get", "pods", "--all-namespaces")
    secret = ("create", "secret", "generic", "x", dry, "-n")
    assert "cannot create resource" in refused(together, name, *secret, "default")

    def by_the_policy() -> bool:  # which an API server takes up in its own time
        with contextlib.suppress(ClusterError):
            together.cluster.kubectl(*secret, together.shared, f"--as={account(together.system, name)}")
            return False
        return "ValidatingAdmissionPolicy" in refused(together, name, *secret, together.shared)

    wait_for(by_the_policy, told="what bears not our mark is made")


def test_two_people_have_servers_there_and_neither_reaches_the_others(together: ClusterPlatform) -> None:
    ann, bob = together.person("ann"), together.person("bob")
    ann.start("small")
    ann.start("scratch", "second")
    bob.start("small")
    mine, hers = ann.place, bob.place
    assert of(ann, "pods") == [f"Pod/{mine.server('')}", f"Pod/{mine.server('second')}"]
    assert of(ann, "persistentvolumeclaims") == [f"PersistentVolumeClaim/{mine.home}"]
    assert together.cluster.kubectl.items("resourcequotas,limitranges", "-n", together.shared) == []
    addresses = {
        name: (ann.pod(pod)["status"]["podIP"], 8888)
        for name, pod in (("ann", mine.server("")), ("second", mine.server("second")), ("bob", hers.server("")))
    }
    asked = ("python", "-c", ASK.format(targets=addresses))
    for pod, own in ((mine.server(""), "ann"), (hers.server(""), "bob")):
        if together.cluster.local is not None:  # else whether policies are enforced is for others to say
            found = reached(ann.kubectl("exec", pod, "-n", together.shared, "--", *asked))
            assert {name for name, was in found.items() if was} <= {own}
    ann.stop("second")
    bob.stop()
    assert of(ann, "pods") == [f"Pod/{mine.server('')}"]
    assert of(bob, "pods", "secrets", "networkpolicies") == []
    ann.stop()
    wait_for(lambda: not of(ann, "pods", "secrets", "networkpolicies"))


def test_a_run_is_a_job_there_and_leaves_nothing(together: ClusterPlatform) -> None:
    cat = Analyst(together, "cat")
    run = cat.run("print(6 * 7)", profile="scratch")
    found = cat.ended(run)
    assert (found["state"], found["reason"]) == ("succeeded", "")
    assert "42" in cat.text(run, "report")
    mark = f"hub-ext/user={cat.name}"
    kinds = "jobs,pods,secrets,networkpolicies"
    wait_for(lambda: not cat.kubectl.items(kinds, "-n", together.shared, "-l", mark))


def test_the_home_of_who_left_goes_and_no_other(together: ClusterPlatform) -> None:
    dan, eve = together.person("dan"), together.person("eve")
    for one in (dan, eve):
        one.start("small")
        one.stop()
    admin = together.api("admin")
    assert admin.put(f"{API}/people/{dan.name}/block", json={"reason": "Left."}).status_code == 200
    wait_for(lambda: home_of(together, dan).get("state") == "kept")
    assert home_of(together, dan)["place"] == f"the volume {together.shared}/{dan.place.home}"
    assert admin.post(f"{API}/homes/removal", json={"names": [dan.name]}).status_code == 202
    wait_for(lambda: of(dan, "persistentvolumeclaims") == [])
    assert of(eve, "persistentvolumeclaims") == [f"PersistentVolumeClaim/{eve.place.home}"]


def test_a_budget_bounds_one_person_there_and_nobody_else(together: ClusterPlatform) -> None:
    gil, hal = together.person("gil"), together.person("hal")
    budget = f"{API}/budgets/person/{gil.name}"
    clara = together.api("clara")
    assert clara.put(budget, json={"servers": 1}).status_code == 201
    gil.start("scratch")
    denied = gil.ask("scratch", "second")
    said = gil.is_told("Spawn failed", "second") if denied.status_code == 202 else denied.text
    assert "you have 1 of 1 servers at once" in said
    assert of(gil, "pods") == [f"Pod/{gil.place.server('')}"]
    hal.start("scratch")
    for one in (gil, hal):
        one.stop()
    assert clara.delete(budget).status_code == 204


def test_a_quota_of_the_clusters_own_says_that_it_is_not_hers_and_lets_the_next_one_in(
    together: ClusterPlatform,
) -> None:
    ida, joe, kim = together.person("ida"), together.person("joe"), Analyst(together, "kim")
    kubectl, there = together.cluster.kubectl, ("-n", together.shared)
    wait_for(lambda: not kubectl.items("pods", *there))
    kubectl("create", "quota", "of-all", "--hard=pods=1", *there)
    wait_for(lambda: kubectl.json("get", "quota", "of-all", *there).get("status", {}).get("hard"))
    ida.start("scratch")
    answer = joe.ask("scratch")
    said = joe.is_told("Spawn failed") if answer.status_code == 202 else answer.text
    assert "A quota of the cluster's own leaves no room for it" in said
    assert "of-all; servers and runs: 1 of 1 in use" in said
    run = kim.run("print(6 * 7)", profile="scratch")
    assert "of-all" in kim.until(run, lambda one: "of-all" in one["reason"])["reason"]
    ida.stop()
    assert kim.ended(run)["state"] == "succeeded"
    wait_for(lambda: not kubectl.items("pods", *there))
    joe.start("scratch")
    joe.stop()
    kubectl("delete", "quota", "of-all", *there)


def test_without_the_setting_a_start_is_refused_and_told_which_it_is(together: ClusterPlatform) -> None:
    fay = together.person("fay")
    with together.enclave(shared_namespace=None):
        answer = fay.ask("scratch")
        said = fay.is_told("Spawn failed") if answer.status_code == 202 else answer.text
    assert "may make no namespaces in this cluster" in said
    assert "shared_namespace" in said
