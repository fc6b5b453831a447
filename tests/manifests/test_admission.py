"""The exported policy says what we say: the very texts, for pods, Jobs and NetworkPolicies.

What an API server makes of it is tried on one, in tests/kubernetes/test_admission.py.
"""

from __future__ import annotations

import copy
from typing import Any

import cel
import pytest
import yaml

from hub_ext.catalog.loading import load
from hub_ext.catalog.policy import Policy
from hub_ext.kubernetes.admission import export, in_cluster
from hub_ext.kubernetes.render import render
from hub_ext.kubernetes.yaml_text import to_yaml
from hub_ext.settings import shipped
from tests.manifests.evaluator import admitted

CATALOG = load(shipped("profiles"))
STANDARD = CATALOG.versions("standard")[0]
IMAGE = "localhost/environment/default@sha256:" + "a" * 64
MADE = {(one["kind"], one["metadata"]["name"]): one for one in export(CATALOG.policy, CATALOG.enclave)}


def made(purpose: str = "server") -> Any:
    return render(STANDARD, STANDARD.spec, CATALOG.enclave, user="ann", purpose=purpose, name="x", image=IMAGE)


def rules(found: list[str]) -> list[str]:
    return [one.partition(":")[0] for one in found]


def test_it_is_one_policy_with_all_rules_its_binding_and_its_limits() -> None:
    objects = [rule for rule in CATALOG.policy.rules if rule.on != "request"]
    policy = MADE["ValidatingAdmissionPolicy", "hub-ext"]["spec"]
    assert [one["message"].partition(":")[0] for one in policy["validations"]] == [rule.id for rule in objects]
    for one, rule in zip(policy["validations"], objects, strict=True):
        assert one["expression"].endswith(f" || ({in_cluster(rule.cel)})")
    binding = MADE["ValidatingAdmissionPolicyBinding", "hub-ext"]["spec"]
    assert binding["policyName"] == "hub-ext"
    assert binding["validationActions"] == ["Deny", "Audit"]
    assert "paramRef" not in binding
    limits = next(one["expression"] for one in policy["variables"] if one["name"] == "params")
    assert cel.evaluate(limits) == {"data": CATALOG.enclave.params()}
    assert policy["failurePolicy"] == "Fail"
    resources = [name for rule in policy["matchConstraints"]["resourceRules"] for name in rule["resources"]]
    assert resources == ["pods", "pods/ephemeralcontainers", "pods/resize", "jobs", "networkpolicies"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("object.spec.a == 1", "dyn(object).spec.a == 1"),
        (
            "has(object .spec) && object['a'] == 'object.spec'",
            "has(dyn(object) .spec) && dyn(object)['a'] == 'object.spec'",
        ),
        ("'a.object.b' == \"object.\" && myobject.x", "'a.object.b' == \"object.\" && myobject.x"),
        ("namespaceObject.metadata.name == ''", "namespaceObject.metadata.name == ''"),
        ("quantity(params.data['maxCpu']) == 1", "quantity(variables.params.data['maxCpu']) == 1"),
        ("variables.params.a == 1 && c.object.b", "variables.params.a == 1 && c.object.b"),
    ],
)
def test_a_text_for_one_kind_is_taken_where_several_are_looked_at(text: str, same: str) -> None:
    assert in_cluster(text) == same


def test_whatever_is_lost_stops_nobody_elsewhere() -> None:
    """A parameter is looked for before any condition, so only the constraints keep it away from others' pods."""
    for (kind, name), one in MADE.items():
        if kind == "ValidatingAdmissionPolicy" and not name.endswith("-accounts"):
            selector = one["spec"]["matchConstraints"]["namespaceSelector"]
            assert selector == {"matchLabels": {"hub-ext/namespace": "person", "hub-ext/platform": "hub-ext"}}, name


def test_rules_that_warn_are_a_policy_of_their_own() -> None:
    soft = CATALOG.policy.rules[0].model_copy(update={"id": "soft", "severity": "warn"})
    found = {one["metadata"]["name"]: one for one in export(Policy((*CATALOG.policy.rules, soft)), CATALOG.enclave)}
    assert found["hub-ext-warnings"]["spec"]["validationActions"] == ["Warn"]
    assert ("ValidatingAdmissionPolicy", "hub-ext-warnings") not in MADE


def test_what_we_make_is_admitted() -> None:
    server, run = made(), made("run")
    assert admitted("hub-ext", "pods", server.pod) == []
    assert admitted("hub-ext", "jobs", run.job) == []
    for one in (server.network, server.around[0]):
        assert admitted("hub-ext", "networkpolicies", one) == []


@pytest.mark.parametrize(
    "user", ["system:serviceaccount:hub-ext:hub-ext-hub", "system:serviceaccount:kube-system:job-controller", "eve"]
)
def test_a_pod_in_a_persons_namespace_is_refused_whoever_makes_it(user: str) -> None:
    pod = copy.deepcopy(made().pod)
    pod["spec"]["containers"][0]["securityContext"]["privileged"] = True
    assert rules(admitted("hub-ext", "pods", pod, userInfo={"username": user})) == ["no-privileged"]


def test_a_job_is_refused_for_the_pod_that_it_would_make() -> None:
    job = copy.deepcopy(made("run").job)
    job["spec"]["template"]["spec"]["hostNetwork"] = True
    assert rules(admitted("hub-ext", "jobs", job)) == ["no-host-network"]


def test_a_container_that_is_added_later_is_refused() -> None:
    pod = copy.deepcopy(made().pod)
    container = copy.deepcopy(pod["spec"]["containers"][0]) | {"name": "debug"}
    pod["spec"]["ephemeralContainers"] = [container]
    found = admitted("hub-ext", "pods", pod, operation="UPDATE", old=made().pod)
    assert "no-debug-containers" in rules(found)


def test_a_pod_names_no_node_when_it_is_made_and_has_one_afterwards() -> None:
    pod = copy.deepcopy(made().pod)
    pod["spec"] |= {"nodeName": "control-plane", "schedulerName": "default-scheduler"}
    assert rules(admitted("hub-ext", "pods", pod)) == ["no-node-name"]
    longer = copy.deepcopy(pod)
    longer["spec"]["activeDeadlineSeconds"] = 5
    assert admitted("hub-ext", "pods", longer, operation="UPDATE", old=pod, userInfo={"username": "eve"}) == []


def test_a_change_around_a_pod_is_nobodys_matter() -> None:
    """Else a pod that an older policy let in could not lose its finalizers under a stricter one, and never end."""
    before = copy.deepcopy(made().pod)
    before["spec"]["hostNetwork"] = True
    before["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    after = copy.deepcopy(before)
    del after["metadata"]["finalizers"]
    eve = {"username": "eve"}
    assert admitted("hub-ext", "pods", after, operation="UPDATE", old=before, userInfo=eve) == []
    after["metadata"]["labels"]["hub-ext/user"] = "bob"
    assert admitted("hub-ext", "pods", after, operation="UPDATE", old=before, userInfo=eve)


def test_a_network_policy_is_held_against_its_rules_and_those_of_others_are_left_alone() -> None:
    network = copy.deepcopy(made().network)
    network["spec"]["egress"] = [{}]
    assert rules(admitted("hub-ext", "networkpolicies", network)) == ["egress-named", "egress-ports"]
    assert admitted("hub-ext", "networkpolicies", network, userInfo={"username": "admin"}) == []


def test_pods_of_others_elsewhere_are_left_alone_and_ours_are_not() -> None:
    pod = copy.deepcopy(made().pod)
    pod["metadata"]["namespace"] = "kube-system"
    pod["spec"]["hostNetwork"] = True
    other = {"username": "system:node:a"}
    for policy in ("hub-ext", "hub-ext-accounts", "hub-ext-closed", "hub-ext-bounded"):
        assert admitted(policy, "pods", pod, userInfo=other) == []
    assert admitted("hub-ext-accounts", "pods", pod)


def test_the_text_is_what_kubectl_reads() -> None:
    everything = export(CATALOG.policy, CATALOG.enclave, ["system:serviceaccount:a:b"])
    assert list(yaml.safe_load_all(to_yaml(everything))) == everything
    assert "system:serviceaccount:a:b" in to_yaml(everything)
