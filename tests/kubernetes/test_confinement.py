"""Somebody who holds the credentials of the Hub and of the service: what the API server lets her do, and what not.

Each kind that the rights allow is tried in namespaces that are nobody's, somebody else's, or only look like ours.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hub_ext.kubernetes.objects import MANAGED_BY, Manifest
from hub_ext.kubernetes.rbac import HUB, RIGHTS, SERVICE
from hub_ext.kubernetes.render import Rendering
from tests.kubernetes.accounts import NOWHERE, PATHS, Api, Platform, Said, marked, platform, settled
from tests.kubernetes.conftest import UsedCluster

KINDS = {
    "pods": "Pod",
    "jobs": "Job",
    "secrets": "Secret",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "resourcequotas": "ResourceQuota",
    "limitranges": "LimitRange",
    "networkpolicies": "NetworkPolicy",
}
BOUNDS = ("ResourceQuota", "LimitRange")
WRITES = {"create", "patch", "delete"}
EVERY = [
    pytest.param(account, KINDS[right.resource], verb, id=f"{account}-{verb}-{right.resource}")
    for account in RIGHTS
    for right in RIGHTS[account]
    for verb in right.verbs
    if verb in WRITES and right.resource in KINDS
]
WHERE = ["kube-system", "unlabelled", "ours-by-name-alone", "ours-by-label-alone", "of-another-platform"]
MARK = dict(MANAGED_BY)


@pytest.fixture(scope="module")
def ours(cluster: UsedCluster) -> Iterator[Platform]:
    """Our policies and accounts in the cluster."""
    with platform(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def room(ours: Platform) -> Rendering:
    """A person's namespace, as the Hub makes it."""
    return ours.room(f"{ours.name}-ann")


@pytest.fixture(scope="module")
def elsewhere(ours: Platform) -> dict[str, str]:
    """Namespaces that are not of our people."""
    person = ours.rendering().namespace["metadata"]["labels"]
    other = person | {"hub-ext/platform": "another"}
    labelled = ours.namespace(f"{ours.name}-person", **person)
    ours.close(labelled)  # so that nothing is refused there for want of these
    return {
        "kube-system": "kube-system",
        "unlabelled": ours.namespace(f"{ours.name}-plain"),
        "ours-by-name-alone": ours.namespace(f"hub-ext-{ours.name}-bare"),
        "ours-by-label-alone": labelled,
        "of-another-platform": ours.namespace(f"hub-ext-{ours.name}-other", **other),
    }


def api_of(ours: Platform, account: str) -> Api:
    return {HUB: ours.hub, SERVICE: ours.service}[account]


def sample(ours: Platform, kind: str, where: str) -> Manifest:
    """Return an object of a kind as we would make it, somewhere."""
    run = ours.rendering("run")
    made = {one["kind"]: one for one in (*run.all(), *ours.rendering().all())}
    made["Secret"] = marked("Secret", "start", where, type="Opaque", stringData={"a": "b"})
    found = copy.deepcopy(made[kind])
    found["metadata"]["namespace"] = where
    return found


def try_(api: Api, verb: str, there: Manifest) -> Said:
    if verb == "create":
        return api.make(there)
    if verb == "delete":
        return api.remove(there)
    return api.change(there, {"metadata": {"annotations": {"a": "b"}}})


# --- elsewhere -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("account", "kind", "verb"), EVERY)
def test_what_the_rights_allow_is_refused_outside_the_namespaces_of_people(
    ours: Platform, elsewhere: dict[str, str], account: str, kind: str, verb: str, where: str
) -> None:
    there = sample(ours, kind, elsewhere[where])
    made = False
    if verb != "create":
        if where == "kube-system" and kind in BOUNDS:
            pytest.skip("a quota, even for a moment, could stop a part of the cluster that is started just then")
        found = ours.admin.make(there, real=True)  # what is not there cannot be refused
        assert found.admitted or found.status == 409, found
        made = found.admitted
    try:
        said = try_(api_of(ours, account), verb, there)
        assert said.by(f"{ours.name}-accounts"), said
        assert "act in namespaces that begin with hub-ext- and have the labels" in said.message
    finally:
        if made:
            ours.admin.remove(there, real=True)


@pytest.mark.parametrize(("account", "kind", "verb"), EVERY)
def test_and_allowed_in_that_of_a_person(ours: Platform, room: Rendering, account: str, kind: str, verb: str) -> None:
    """Else everything above would be refused, and nothing proven."""
    api, there = api_of(ours, account), sample(ours, kind, room.namespace["metadata"]["name"])
    fixed = kind in BOUNDS
    if verb == "create" and fixed:
        there["metadata"]["name"] = "another"
    made = False
    if verb != "create" and not fixed:
        settled(lambda: api.make(there, real=True))  # a claim of the case before needs its time to go
        made = True
    said = try_(api, verb, there)
    assert said.admitted, said
    if made:
        assert ours.admin.remove(there, real=True).admitted


def test_namespaces_are_made_and_changed_only_as_those_of_people(
    ours: Platform, room: Rendering, elsewhere: dict[str, str]
) -> None:
    good = ours.rendering(user=f"{ours.name}-new").namespace
    policy = f"{ours.name}-accounts"
    for api in (ours.hub, ours.service):
        assert api.make(good).admitted
        for label in ("hub-ext/namespace", "hub-ext/platform", "pod-security.kubernetes.io/enforce", *MARK):
            for value in ("privileged", None):
                assert api.make(relabelled(good, label, value)).by(policy), label
        assert api.make(renamed(good, f"{ours.name}-new")).by(policy)
        mine = room.namespace
        assert api.change(mine, {"metadata": {"labels": {"hub-ext/enclave": "low"}}}).admitted
        owned = ("hub-ext/namespace", "hub-ext/platform", "hub-ext/user", "pod-security.kubernetes.io/enforce", *MARK)
        for label in owned:
            for value in ("privileged", None):
                assert api.change(mine, {"metadata": {"labels": {label: value}}}).by(policy), label
        labels = mine["metadata"]["labels"]
        for name in elsewhere.values():
            there = {"kind": "Namespace", "metadata": {"name": name}}
            for patch in ({"annotations": {"a": "b"}}, {"labels": labels}):
                assert api.change(there, {"metadata": patch}).by(policy), name


def relabelled(manifest: Manifest, label: str, value: str | None) -> Manifest:
    found = copy.deepcopy(manifest)
    found["metadata"]["labels"].pop(label)
    if value is not None:
        found["metadata"]["labels"][label] = value
    return found


def renamed(manifest: Manifest, name: str) -> Manifest:
    found = copy.deepcopy(manifest)
    found["metadata"]["name"] = name
    return found


# --- no right at all -------------------------------------------------------------------------------------------------

READS = [
    "/api/v1/secrets",
    "/api/v1/namespaces/{room}/secrets",
    "/api/v1/namespaces/{room}/secrets/there",
    "/api/v1/namespaces/{room}/secrets?watch=1",
    "/api/v1/namespaces/kube-system/secrets",
    "/api/v1/namespaces/{room}/pods/x/log",
    "/api/v1/namespaces/{room}/configmaps",
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
]
WRITES_ELSEWHERE = [
    ("POST", "/api/v1/namespaces/{room}/pods/x/exec?command=sh"),
    ("POST", "/api/v1/namespaces/{room}/pods/x/attach"),
    ("POST", "/api/v1/namespaces/{room}/pods/x/portforward"),
    ("POST", "/api/v1/namespaces/{room}/pods/x/eviction"),
    ("POST", "/api/v1/namespaces/{room}/pods/x/binding"),
    ("PUT", "/api/v1/namespaces/{room}/pods/x"),
    ("PATCH", "/api/v1/namespaces/{room}/pods/x"),
    ("PATCH", "/api/v1/namespaces/{room}/pods/x/status"),
    ("PATCH", "/api/v1/namespaces/{room}/pods/x/ephemeralcontainers"),
    ("PATCH", "/apis/batch/v1/namespaces/{room}/jobs/x/status"),
    ("PATCH", "/api/v1/namespaces/{room}/secrets/there"),
    ("PUT", "/api/v1/namespaces/{room}/secrets/there"),
    ("DELETE", "/api/v1/namespaces/{room}/secrets"),
    ("DELETE", "/api/v1/namespaces/{room}/pods"),
    ("DELETE", "/api/v1/namespaces/{room}/resourcequotas/hub-ext"),
    ("DELETE", "/api/v1/namespaces/{room}/limitranges/hub-ext"),
    ("DELETE", "/api/v1/namespaces/{room}/persistentvolumeclaims/another"),
    ("DELETE", "/api/v1/namespaces/{room}/persistentvolumeclaims"),
    ("PATCH", "/api/v1/namespaces/{room}/resourcequotas/of-the-cluster"),
    ("PATCH", "/api/v1/namespaces/{room}/limitranges/of-the-cluster"),
    ("DELETE", "/api/v1/namespaces/{room}"),
    ("PUT", "/api/v1/namespaces/{room}/finalize"),
    ("POST", "/api/v1/namespaces/{room}/serviceaccounts/default/token"),
    ("POST", "/api/v1/namespaces/{system}/serviceaccounts/hub-ext-hub/token"),
    ("POST", "/api/v1/namespaces/{room}/serviceaccounts"),
    ("POST", "/api/v1/namespaces/{room}/services"),
    ("POST", "/apis/apps/v1/namespaces/{room}/deployments"),
    ("POST", "/apis/batch/v1/namespaces/{room}/cronjobs"),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/{room}/rolebindings"),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
    ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{system}-accounts"),
    ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/{system}-accounts"),
    ("PATCH", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{system}"),
]


@pytest.mark.parametrize("path", READS)
def test_nothing_that_is_secret_or_not_ours_can_be_read(ours: Platform, room: Rendering, path: str) -> None:
    where = room.namespace["metadata"]["name"]
    for api in (ours.hub, ours.service):
        assert api.ask("GET", path.format(room=where)).by_rights


@pytest.mark.parametrize(("method", "path"), WRITES_ELSEWHERE, ids=[f"{one[0]} {one[1]}" for one in WRITES_ELSEWHERE])
def test_no_other_way_is_open(ours: Platform, room: Rendering, method: str, path: str) -> None:
    where = room.namespace["metadata"]["name"]
    for api in (ours.hub, ours.service):
        kind = "merge-patch+json" if method == "PATCH" else "json"
        said = api.ask(method, path.format(room=where, system=ours.name), {}, kind=kind)
        assert said.by_rights, said


def test_a_home_is_removed_by_the_hub_alone_and_by_its_name(ours: Platform, room: Rendering) -> None:
    where = room.namespace["metadata"]["name"]
    path = f"/api/v1/namespaces/{where}/persistentvolumeclaims/home"
    assert ours.service.ask("DELETE", path, {}).by_rights
    assert ours.hub.ask("DELETE", path, {}).status == 404  # it may, and there is none
    assert ours.hub.ask("DELETE", "/api/v1/namespaces/default/persistentvolumeclaims/home", {}).status in (403, 404)


def test_nobody_can_be_somebody_else(ours: Platform) -> None:
    for api in (ours.hub, ours.service):
        answer = api.http.get("/api/v1/secrets", headers={"Impersonate-User": "system:admin"})
        assert answer.status_code == 403
        assert "cannot impersonate" in answer.json()["message"]


# --- what closes and bounds a namespace ------------------------------------------------------------------------------


def around(made: Rendering) -> dict[str, Manifest]:
    return {one["kind"]: one for one in made.around}


@pytest.mark.parametrize(
    "spec",
    [
        {"policyTypes": ["Ingress"]},
        {"egress": [{}]},
        {"ingress": [{}]},
        {"podSelector": {"matchLabels": {"a": "b"}}},
    ],
    ids=str,
)
def test_the_default_deny_stays(ours: Platform, room: Rendering, spec: dict[str, Any]) -> None:
    closed = around(room)["NetworkPolicy"]
    for api in (ours.hub, ours.service):
        said = api.change(closed, {"spec": spec})
        assert not said.admitted
        assert said.by(f"{ours.name}-accounts") or said.by(ours.name), said  # a rule on NetworkPolicies may be first
        assert api.remove(closed).by(f"{ours.name}-accounts")
        assert api.change(closed, {"metadata": {"annotations": {"a": "b"}}}).admitted


def test_a_network_policy_of_the_cluster_is_not_ours_to_change(ours: Platform, room: Rendering) -> None:
    theirs = copy.deepcopy(room.network)
    theirs["metadata"] |= {"name": "of-the-cluster", "labels": {}}
    assert ours.admin.make(theirs, real=True).admitted
    for api in (ours.hub, ours.service):
        assert api.remove(theirs).by(f"{ours.name}-accounts")
        assert api.change(theirs, {"metadata": {"labels": MARK}}).by(f"{ours.name}-accounts")


def test_a_quota_goes_on_to_bound_what_it_bounds(ours: Platform, room: Rendering) -> None:
    quota = around(room)["ResourceQuota"]
    for api in (ours.hub, ours.service):
        for name in ("pods", "limits.cpu", "limits.memory"):
            assert api.change(quota, {"spec": {"hard": {name: None}}}).by(f"{ours.name}-accounts"), name
        assert api.change(quota, {"spec": {"hard": {"pods": "3"}}}).admitted


@pytest.mark.parametrize("purpose", ["server", "run"])
def test_nothing_runs_where_the_default_deny_or_the_quota_is_missing(ours: Platform, purpose: str) -> None:
    made = ours.rendering(purpose, f"{ours.name}-open-{purpose}")
    api, start = (ours.hub, made.pod) if purpose == "server" else (ours.service, made.job or {})
    assert ours.hub.make(made.namespace, real=True).admitted
    ours.namespaces.append(made.namespace["metadata"]["name"])
    closed, quota = around(made)["NetworkPolicy"], around(made)["ResourceQuota"]
    assert ours.hub.make(closed, real=True).admitted
    for one in (api, ours.admin):
        eventually(one, start, f"{ours.name}-bounded")
    assert ours.hub.make(quota, real=True).admitted
    eventually(api, start)
    assert ours.admin.remove(closed, real=True).admitted
    loose = copy.deepcopy(closed)
    loose["spec"] |= {"policyTypes": ["Ingress"]}
    for there in (None, loose):
        if there is not None:
            assert ours.admin.make(there, real=True).admitted
        for one in (api, ours.admin):
            eventually(one, start, f"{ours.name}-closed")


def eventually(api: Api, start: Manifest, policy: str = "") -> None:
    """See a refusal, or that there is none, as soon as the API server has heard of what it is for."""
    deadline = time.monotonic() + 15
    while True:
        said = api.make(start)
        if said.by(policy) if policy else said.admitted:
            return
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


# --- single kinds ----------------------------------------------------------------------------------------------------


def test_a_secret_that_the_cluster_would_fill_is_refused(ours: Platform, room: Rendering) -> None:
    where = room.namespace["metadata"]["name"]
    token = marked("Secret", "token", where, type="kubernetes.io/service-account-token")
    token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    for api in (ours.hub, ours.service):
        assert api.make(token).by(f"{ours.name}-accounts")


def test_a_home_is_a_new_empty_volume(ours: Platform, room: Rendering) -> None:
    home = room.home
    assert home is not None
    policy = f"{ours.name}-accounts"
    assert ours.hub.make(home).admitted
    for spec in (
        {"volumeName": "pv-of-somebody"},
        {"dataSource": {"kind": "PersistentVolumeClaim", "name": "other"}},
        {"storageClassName": "expensive"},
    ):
        other = copy.deepcopy(home)
        other["spec"] |= spec
        assert ours.hub.make(other).by(policy), spec


def test_a_pod_in_a_persons_namespace_is_hers(ours: Platform, room: Rendering) -> None:
    other = ours.rendering(user=f"{ours.name}-bob").pod
    other["metadata"]["namespace"] = room.namespace["metadata"]["name"]
    said = ours.hub.make(other)
    assert said.by(ours.name)
    assert "own-namespace" in said.message


# --- even with every right -------------------------------------------------------------------------------------------


def test_even_with_every_right_the_policy_keeps_the_accounts_in(
    ours: Platform, room: Rendering, elsewhere: dict[str, str]
) -> None:
    """Rights that somebody gave by mistake, or that were taken: what makes, changes and connects is still kept in."""
    where, policy = room.namespace["metadata"]["name"], f"{ours.name}-accounts"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{ours.name}-too-much"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": HUB, "namespace": ours.name}],
    }
    ours.cluster.kubectl.apply(binding)
    pod = ours.rendering(user=f"{ours.name}-ann").pod
    try:
        assert ours.hub.make(pod, real=True).admitted
        deadline = time.monotonic() + 30
        while ours.hub.ask("GET", "/api/v1/nodes").by_rights:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        deployment = {
            "metadata": {"name": "x", "labels": MARK},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod["spec"] | {"restartPolicy": "Always"}},
            },
        }
        del deployment["spec"]["template"]["spec"]["activeDeadlineSeconds"]
        for there in elsewhere.values():
            path = f"/apis/apps/v1/namespaces/{there}/deployments"
            assert ours.hub.ask("POST", path, deployment).by(policy), there
        too_much = binding | {"metadata": {"name": f"{ours.name}-more", "labels": MARK}}
        role = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        assert ours.hub.ask("POST", role, too_much).by(policy)
        named = f"/api/v1/namespaces/{where}/pods/{pod['metadata']['name']}"
        assert ours.hub.ask("POST", f"{named}/exec?command=sh", real=True).by(policy)
        assert ours.hub.ask("POST", f"{named}/eviction", {"metadata": {"name": pod["metadata"]["name"]}}).by(policy)
        debug = {"spec": {"ephemeralContainers": [{"name": "d", "image": pod["spec"]["containers"][0]["image"]}]}}
        said = ours.hub.ask("PATCH", f"{named}/ephemeralcontainers", debug, kind="strategic-merge-patch+json")
        assert said.by(policy) or said.by(ours.name) or "PodSecurity" in said.message, said
        assert ours.hub.change({"kind": "Pod", **pod}, {"status": {"message": "x"}}, part="/status").by(policy)
        assert ours.hub.ask("DELETE", f"/api/v1/namespaces/{elsewhere['unlabelled']}").by(policy)
        assert ours.hub.ask("DELETE", PATHS["ResourceQuota"].format(where) + "/hub-ext").by(policy)
    finally:
        ours.cluster.kubectl("delete", "clusterrolebinding", binding["metadata"]["name"])
    assert pod["spec"]["nodeSelector"] == NOWHERE
