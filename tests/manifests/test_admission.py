"""The exported policy says what we say: the very texts, for pods, Jobs and NetworkPolicies."""

from __future__ import annotations

import copy
from typing import Any

import cel
import pytest
import yaml
from cel.stdlib import add_stdlib_to_context

from hub_ext.catalog.cel import _compare, _quantity, without_nulls
from hub_ext.catalog.loading import load
from hub_ext.catalog.policy import Policy
from hub_ext.kubernetes.admission import PARAMS, account, export
from hub_ext.kubernetes.render import render
from hub_ext.kubernetes.yaml_text import to_yaml
from hub_ext.settings import shipped

CATALOG = load(shipped("profiles"))
STANDARD = CATALOG.versions("standard")[0]
IMAGE = "localhost/environment/default@sha256:" + "a" * 64
HUB = account("hub-ext", "hub-ext-hub")
MADE = {(one["kind"], one["metadata"]["name"]): one for one in export(CATALOG.policy, CATALOG.enclave)}


def made(purpose: str = "server") -> Any:
    return render(STANDARD, STANDARD.spec, CATALOG.enclave, user="ann", purpose=purpose, name="x", image=IMAGE)


def admitted(name: str, resource: str, subject: Any, *, old: Any = None, **request: Any) -> list[str]:
    """Evaluate an exported policy as the API server does; return the messages of what it refuses.

    Nothing is returned where its match conditions leave the request out.
    """
    policy = MADE["ValidatingAdmissionPolicy", name]["spec"]
    asked = {
        "operation": "CREATE",
        "name": (subject or old)["metadata"]["name"],
        "namespace": (subject or old)["metadata"].get("namespace", ""),
        "resource": {"group": "", "resource": resource},
        "userInfo": {"username": HUB},
    } | request

    def context(variables: dict[str, Any]) -> cel.Context:
        found = cel.Context()
        add_stdlib_to_context(found)
        found.add_function("quantity", _quantity)
        found.add_function("compareTo", _compare)
        found.add_variable("request", asked)
        found.add_variable("object", without_nulls(subject))
        found.add_variable("oldObject", without_nulls(old))
        found.add_variable("namespaceObject", made().namespace if asked["namespace"].startswith("hub-ext-") else {})
        found.add_variable("params", {"data": MADE["ConfigMap", PARAMS]["data"]})
        found.add_variable("variables", variables)
        return found

    def holds(text: str, variables: dict[str, Any]) -> bool:
        try:
            return cel.compile(text).execute(context(variables)) is True
        except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError):
            return False

    if not all(holds(one["expression"], {}) for one in policy["matchConditions"]):
        return []
    values: dict[str, Any] = {}
    for one in policy.get("variables", ()):
        try:
            values[one["name"]] = cel.compile(one["expression"]).execute(context(values))
        except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError):
            continue  # worked out only where it is asked for
    return [one["message"] for one in policy["validations"] if not holds(one["expression"], values)]


def test_it_is_one_policy_with_all_rules_its_binding_and_its_limits() -> None:
    objects = [rule for rule in CATALOG.policy.rules if rule.on != "request"]
    policy = MADE["ValidatingAdmissionPolicy", "hub-ext"]["spec"]
    assert [one["message"].partition(":")[0] for one in policy["validations"]] == [rule.id for rule in objects]
    for one, rule in zip(policy["validations"], objects, strict=True):
        assert one["expression"].endswith(f" || ({rule.cel})")
    binding = MADE["ValidatingAdmissionPolicyBinding", "hub-ext"]["spec"]
    assert binding["policyName"] == "hub-ext"
    assert binding["validationActions"] == ["Deny", "Audit"]
    assert binding["paramRef"] == {"name": PARAMS, "namespace": "hub-ext", "parameterNotFoundAction": "Deny"}
    assert MADE["ConfigMap", PARAMS]["data"] == CATALOG.enclave.params()
    assert policy["failurePolicy"] == "Fail"
    resources = [name for rule in policy["matchConstraints"]["resourceRules"] for name in rule["resources"]]
    assert resources == ["pods", "pods/ephemeralcontainers", "pods/resize", "jobs", "networkpolicies"]


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
    for one in (server.pod, server.network, run.job):
        assert admitted("hub-ext-accounts", "x", one) == []
    assert (
        admitted("hub-ext-accounts", "namespaces", server.namespace, namespace=server.namespace["metadata"]["name"])
        == []
    )


@pytest.mark.parametrize("user", [HUB, "system:serviceaccount:kube-system:job-controller", "eve"])
def test_a_pod_in_a_persons_namespace_is_refused_whoever_makes_it(user: str) -> None:
    pod = copy.deepcopy(made().pod)
    pod["spec"]["containers"][0]["securityContext"]["privileged"] = True
    found = admitted("hub-ext", "pods", pod, userInfo={"username": user})
    assert [one.partition(":")[0] for one in found] == ["no-privileged"]


def test_a_job_is_refused_for_the_pod_that_it_would_make() -> None:
    job = copy.deepcopy(made("run").job)
    job["spec"]["template"]["spec"]["hostNetwork"] = True
    found = admitted("hub-ext", "jobs", job)
    assert [one.partition(":")[0] for one in found] == ["no-host-network"]


def test_a_container_that_is_added_later_is_refused() -> None:
    pod = copy.deepcopy(made().pod)
    container = copy.deepcopy(pod["spec"]["containers"][0]) | {"name": "debug"}
    pod["spec"]["ephemeralContainers"] = [container]
    found = admitted("hub-ext", "pods", pod, operation="UPDATE", old=made().pod)
    assert "no-debug-containers" in [one.partition(":")[0] for one in found]


def test_a_network_policy_is_held_against_its_rules_and_those_of_others_are_left_alone() -> None:
    network = copy.deepcopy(made().network)
    network["spec"]["egress"] = [{}]
    found = [one.partition(":")[0] for one in admitted("hub-ext", "networkpolicies", network)]
    assert found == ["egress-named", "egress-ports"]
    assert admitted("hub-ext", "networkpolicies", network, userInfo={"username": "admin"}) == []


def test_pods_of_others_elsewhere_are_left_alone_and_ours_are_not() -> None:
    pod = copy.deepcopy(made().pod)
    pod["metadata"]["namespace"] = "kube-system"
    pod["spec"]["hostNetwork"] = True
    assert admitted("hub-ext", "pods", pod, userInfo={"username": "system:node:a"}) == []
    assert admitted("hub-ext", "pods", pod)


@pytest.mark.parametrize("where", ["kube-system", "default", "hub-ext", "hubext-ann"])
def test_our_accounts_make_nothing_outside_the_namespaces_of_people(where: str) -> None:
    pod = copy.deepcopy(made().pod)
    pod["metadata"]["namespace"] = where
    for operation in ("CREATE", "UPDATE", "DELETE"):
        assert admitted("hub-ext-accounts", "pods", pod, old=pod, operation=operation)
    assert admitted("hub-ext-accounts", "pods", pod, userInfo={"username": "admin"}) == []


def test_our_accounts_never_change_the_label_of_a_namespace() -> None:
    namespace = made().namespace
    bare = copy.deepcopy(namespace)
    del bare["metadata"]["labels"]["hub-ext/namespace"]
    name = {"namespace": namespace["metadata"]["name"]}
    assert admitted("hub-ext-accounts", "namespaces", bare, **name)
    assert admitted("hub-ext-accounts", "namespaces", bare, old=namespace, operation="UPDATE", **name)
    assert admitted("hub-ext-accounts", "namespaces", namespace, old=bare, operation="UPDATE", **name)
    assert admitted("hub-ext-accounts", "namespaces", None, old=bare, operation="DELETE", **name)
    assert admitted("hub-ext-accounts", "namespaces", None, old=namespace, operation="DELETE", **name) == []
    other = copy.deepcopy(namespace)
    other["metadata"]["name"] = "kube-system"
    assert admitted("hub-ext-accounts", "namespaces", other, namespace="kube-system")


def test_the_text_is_what_kubectl_reads() -> None:
    everything = export(CATALOG.policy, CATALOG.enclave, ["system:serviceaccount:a:b"])
    assert list(yaml.safe_load_all(to_yaml(everything))) == everything
    assert "system:serviceaccount:a:b" in to_yaml(everything)
