"""The policy as the API server enforces it: ValidatingAdmissionPolicies with the very texts that we evaluate. Pure.

- ``hub-ext`` holds every object rule that denies, for pods (and the containers that are added to them later), for the
  Jobs of runs on their template, and for NetworkPolicies. It applies to what our accounts make anywhere, and to pods
  from whomever in the namespaces of people.
- ``hub-ext-warnings`` holds those that warn, where there are any.
- ``hub-ext-accounts`` keeps our accounts inside the namespaces that have our prefix and label, and lets nobody of them
  change that label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hub_ext.catalog.cel import variables_of
from hub_ext.catalog.policy import Enclave, Policy, Rule
from hub_ext.kubernetes.objects import MANAGED_BY, PREFIX, Manifest

PARAMS = "hub-ext-policy"
_LABEL = f"{PREFIX}/namespace"
_HAS_TEMPLATE = ("jobs",)  # every kind but pods that our accounts may make pods by
_POD_KINDS = ("pods", *_HAS_TEMPLATE)


def account(namespace: str, name: str) -> str:
    """Return a service account as the API server names it."""
    return f"system:serviceaccount:{namespace}:{name}"


def export(policy: Policy, enclave: Enclave, accounts: Sequence[str] = ()) -> list[Manifest]:
    """Return everything that `kubectl apply` needs for the policy to hold in a cluster.

    Args:
        policy: The rules; request rules are about what a cluster does not see, and stay with the decision.
        enclave: The network, whose limits the rules ask for.
        accounts: Our accounts, as the API server names them; by default those of the Hub and of the service.
    """
    system = enclave.spec.system_namespace
    ours = list(accounts) or [account(system, name) for name in ("hub-ext-hub", "hub-ext-service")]
    objects = [rule for rule in policy.rules if rule.on != "request"]
    made: list[Manifest] = [_params(enclave)]
    for name, severity, action in (("hub-ext", "deny", ["Deny", "Audit"]), ("hub-ext-warnings", "warn", ["Warn"])):
        rules = [rule for rule in objects if rule.severity == severity]
        if rules:
            made += [_policy(name, rules, ours), _binding(name, action, system)]
    return [*made, _accounts(ours), _binding("hub-ext-accounts", ["Deny", "Audit"], None)]


def _params(enclave: Enclave) -> Manifest:
    """Return the limits of the enclave, which rules read as `params.data`."""
    metadata = {"name": PARAMS, "namespace": enclave.spec.system_namespace, "labels": dict(MANAGED_BY)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": enclave.params()}


def _policy(name: str, rules: Iterable[Rule], ours: Sequence[str]) -> Manifest:
    kinds = [
        ("", ["pods", "pods/ephemeralcontainers", "pods/resize"]),
        ("batch", ["jobs"]),
        ("networking.k8s.io", ["networkpolicies"]),
    ]
    spec = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "resourceRules": [_resources(group, names, ["CREATE", "UPDATE"]) for group, names in kinds],
        },
        "matchConditions": [{"name": "ours", "expression": f"{_by(ours)} || ({_is_pod()} && {_in_namespace()})"}],
        "variables": [{"name": name, "expression": text} for name, text in _variables().items()],
        "validations": [_validation(rule) for rule in rules],
    }
    return _admission("ValidatingAdmissionPolicy", name, spec)


def _variables() -> dict[str, str]:
    """Return the named variables of all kinds; each is worked out only where a rule of its kind asks for it."""
    template = f"{_is_one_of(_HAS_TEMPLATE)} ? object.spec.template : object"
    return {"pod": template, **variables_of("pod", "variables.pod"), **variables_of("networkpolicy")}


def _validation(rule: Rule) -> dict[str, Any]:
    here = _is_one_of(_POD_KINDS) if rule.on == "pod" else _is_one_of(("networkpolicies",))
    return {"expression": f"!({here}) || ({rule.cel})", "message": f"{rule.id}: {rule.message}", "reason": "Forbidden"}


def _accounts(ours: Sequence[str]) -> Manifest:
    is_namespace = "request.resource.group == '' && request.resource.resource == 'namespaces'"
    named = f"request.name.startsWith('{PREFIX}-')"
    inside = f"{_in_namespace()} && {_labelled('namespaceObject')}"
    kept = f"{named} && {_labelled('oldObject')}"
    made = f"{named} && {_labelled('object')}"
    where = f"begin with {PREFIX}- and have the label {_LABEL}"
    validations = [
        (f"({is_namespace}) || ({inside})", f"The accounts of hub-ext act in namespaces that {where}."),
        (
            f"!({is_namespace}) || request.operation == 'DELETE' || ({made})",
            f"The accounts of hub-ext make namespaces that {where}.",
        ),
        (
            f"!({is_namespace}) || request.operation == 'CREATE' || ({kept})",
            f"The accounts of hub-ext change namespaces that {where}.",
        ),
    ]
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "resourceRules": [_resources("*", ["*/*"], ["CREATE", "UPDATE", "DELETE", "CONNECT"])],
        },
        "matchConditions": [
            {"name": "ours", "expression": _by(ours)},
            {"name": "no-lease", "expression": "request.resource.group != 'coordination.k8s.io'"},
        ],
        "validations": [
            {"expression": text, "message": message, "reason": "Forbidden"} for text, message in validations
        ],
    }
    return _admission("ValidatingAdmissionPolicy", "hub-ext-accounts", spec)


def _binding(name: str, actions: list[str], params_in: str | None) -> Manifest:
    spec: Manifest = {"policyName": name, "validationActions": actions}
    if params_in is not None:
        spec["paramRef"] = {"name": PARAMS, "namespace": params_in, "parameterNotFoundAction": "Deny"}
    return _admission("ValidatingAdmissionPolicyBinding", name, spec)


def _admission(kind: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"name": name, "labels": dict(MANAGED_BY)}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _resources(group: str, names: list[str], operations: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": operations, "resources": names}


def _by(ours: Sequence[str]) -> str:
    names = ", ".join(f"'{name}'" for name in ours)
    return f"request.userInfo.username in [{names}]"


def _is_one_of(resources: Sequence[str]) -> str:
    return " || ".join(f"request.resource.resource == '{name}'" for name in resources)


def _is_pod() -> str:
    return "request.resource.resource == 'pods'"


def _in_namespace() -> str:
    return f"request.namespace.startsWith('{PREFIX}-')"


def _labelled(what: str) -> str:
    labels = f"{what}.metadata.labels"
    return f"has({what}.metadata.labels) && '{_LABEL}' in {labels} && {labels}['{_LABEL}'] == 'person'"
