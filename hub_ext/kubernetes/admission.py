"""The policy as the API server enforces it: ValidatingAdmissionPolicies with the very texts that we evaluate. Pure.

- ``hub-ext`` holds every object rule that denies, for what is made in the namespaces of people: pods (and containers
  that are added to them later) from whomever, and of our accounts Jobs, by their template, and NetworkPolicies.
- ``hub-ext-warnings`` holds those that warn, where there are any.
- Those of `confinement` keep our accounts in these namespaces, so that there is no elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hub_ext.catalog.cel import variables_of
from hub_ext.catalog.policy import Enclave, Policy, Rule
from hub_ext.kubernetes.confinement import PERSONS, account, admission, by, confinement, resources
from hub_ext.kubernetes.objects import MANAGED_BY, Manifest
from hub_ext.kubernetes.rbac import HUB, SERVICE

PARAMS = "hub-ext-policy"
HAS_TEMPLATE = ("jobs",)  # every kind but pods that our accounts may make pods by
_POD_KINDS = ("pods", *HAS_TEMPLATE)
_CHANGES = (  # what is not about the pod itself (a finalizer, a status) is left to who does it
    "request.operation != 'UPDATE' || object.spec != oldObject.spec || "
    "(has(object.metadata.labels) ? object.metadata.labels : {}) != "
    "(has(oldObject.metadata.labels) ? oldObject.metadata.labels : {})"
)


def export(policy: Policy, enclave: Enclave, accounts: Sequence[str] = ()) -> list[Manifest]:
    """Return everything that `kubectl apply` needs for the policy to hold in a cluster.

    Args:
        policy: The rules; request rules are about what a cluster does not see, and stay with the decision.
        enclave: The network, whose limits the rules ask for.
        accounts: Our accounts, as the API server names them; by default those of the Hub and of the service.
    """
    system = enclave.spec.system_namespace
    ours = list(accounts) or [account(system, name) for name in (HUB, SERVICE)]
    objects = [rule for rule in policy.rules if rule.on != "request"]
    made: list[Manifest] = [_params(enclave)]
    for name, severity, action in (("hub-ext", "deny", ["Deny", "Audit"]), ("hub-ext-warnings", "warn", ["Warn"])):
        rules = [rule for rule in objects if rule.severity == severity]
        if rules:
            made += [_policy(name, rules, ours), _binding(name, action, system)]
    return [*made, *confinement(enclave, ours)]


def _params(enclave: Enclave) -> Manifest:
    """Return the limits of the enclave, which rules read as `params.data`."""
    metadata = {"name": PARAMS, "namespace": enclave.spec.system_namespace, "labels": dict(MANAGED_BY)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": enclave.params()}


def _policy(name: str, rules: Iterable[Rule], ours: Sequence[str]) -> Manifest:
    kinds = [
        ("", ["pods", "pods/ephemeralcontainers", "pods/resize"]),
        ("batch", list(HAS_TEMPLATE)),
        ("networking.k8s.io", ["networkpolicies"]),
    ]
    spec = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {"matchLabels": dict(PERSONS)},
            "resourceRules": [resources(group, names, ["CREATE", "UPDATE"]) for group, names in kinds],
        },
        "matchConditions": [
            {"name": "ours", "expression": f"{_is_one_of(('pods',))} || {by(ours)}"},
            {"name": "changes", "expression": _CHANGES},
        ],
        "variables": [{"name": name, "expression": text} for name, text in _variables().items()],
        "validations": [_validation(rule) for rule in rules],
    }
    return admission("ValidatingAdmissionPolicy", name, spec)


def _variables() -> dict[str, str]:
    """Return the named variables of all kinds; each is worked out only where a rule of its kind asks for it."""
    template = f"{_is_one_of(HAS_TEMPLATE)} ? dyn(object).spec.template : dyn(object)"
    network = {name: text.replace("object.", "dyn(object).") for name, text in variables_of("networkpolicy").items()}
    return {"pod": template, **variables_of("pod", "variables.pod"), **network}


def _validation(rule: Rule) -> dict[str, Any]:
    here = _is_one_of(_POD_KINDS) if rule.on == "pod" else _is_one_of(("networkpolicies",))
    return {"expression": f"!({here}) || ({rule.cel})", "message": f"{rule.id}: {rule.message}", "reason": "Forbidden"}


def _binding(name: str, actions: list[str], params_in: str) -> Manifest:
    found = {"name": PARAMS, "namespace": params_in, "parameterNotFoundAction": "Deny"}
    spec: Manifest = {"policyName": name, "validationActions": actions, "paramRef": found}
    return admission("ValidatingAdmissionPolicyBinding", name, spec)


def _is_one_of(resources: Sequence[str]) -> str:
    return " || ".join(f"request.resource.resource == '{name}'" for name in resources)
