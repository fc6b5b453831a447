"""The policy as the API server enforces it: ValidatingAdmissionPolicies with the very texts that we evaluate. Pure.

- ``hub-ext`` holds every object rule that denies, for what is made in the namespaces of people: pods (and containers
  that are added to them later) from whomever, and of our accounts Jobs, by their template, and NetworkPolicies.
- ``hub-ext-warnings`` holds those that warn, where there are any.
- Those of `confinement` keep our accounts in these namespaces, so that there is no elsewhere.

Names are those of a platform in the namespace ``hub-ext``; one in another namespace has others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hub_ext.catalog.cel import variables_of
from hub_ext.catalog.policy import Enclave, Policy, Rule
from hub_ext.kubernetes.confinement import DENY, account, admission, binding, by, confinement, persons, resources
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.rbac import HUB, SERVICE

HAS_TEMPLATE = ("jobs",)  # every kind but pods that our accounts may make pods by
_POD_KINDS = ("pods", *HAS_TEMPLATE)
# The roots of a rule that stand for something else in a cluster; what is within quotes is left as it is.
_ROOTS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<![\w.])(object|params)\b(?=\s*[.\[])""")
_THERE = {"object": "dyn(object)", "params": "variables.params"}
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
    made: list[Manifest] = []
    for name, severity, actions in ((system, "deny", DENY), (f"{system}-warnings", "warn", ["Warn"])):
        rules = [rule for rule in objects if rule.severity == severity]
        if rules:
            made += [_policy(name, rules, enclave, ours), binding(name, actions)]
    return [*made, *confinement(enclave, ours)]


def _policy(name: str, rules: Iterable[Rule], enclave: Enclave, ours: Sequence[str]) -> Manifest:
    kinds = [
        ("", ["pods", "pods/ephemeralcontainers", "pods/resize"]),
        ("batch", list(HAS_TEMPLATE)),
        ("networking.k8s.io", ["networkpolicies"]),
    ]
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {"matchLabels": persons(enclave.spec.system_namespace)},
            "resourceRules": [resources(group, names, ["CREATE", "UPDATE"]) for group, names in kinds],
        },
        "matchConditions": [
            {"name": "ours", "expression": f"{_is_one_of(('pods',))} || {by(ours)}"},
            {"name": "changes", "expression": _CHANGES},
        ],
        "variables": [{"name": name, "expression": text} for name, text in _variables(enclave).items()],
        "validations": [_validation(rule) for rule in rules],
    }
    return admission("ValidatingAdmissionPolicy", name, spec)


def _variables(enclave: Enclave) -> dict[str, str]:
    """Return the named variables of all kinds; each is worked out only where a rule of its kind asks for it.

    The limits of the enclave are one of them, and no ConfigMap: an API server looks for that before it asks whom a
    policy is about, so that one which is lost would stop everybody's pods.
    """
    template = f"{_is_one_of(HAS_TEMPLATE)} ? dyn(object).spec.template : dyn(object)"
    network = {name: in_cluster(text) for name, text in variables_of("networkpolicy").items()}
    params = json.dumps({"data": enclave.params()}, ensure_ascii=False)  # is CEL, too
    return {"params": params, "pod": template, **variables_of("pod", "variables.pod"), **network}


def in_cluster(text: str) -> str:
    """Return a text as an API server takes it: for an object of any kind, since one policy looks at several."""
    return _ROOTS.sub(lambda found: found[0] if found[1] is None else _THERE[found[1]], text)


def _validation(rule: Rule) -> dict[str, Any]:
    here = _is_one_of(_POD_KINDS) if rule.on == "pod" else _is_one_of(("networkpolicies",))
    return {
        "expression": f"!({here}) || ({in_cluster(rule.cel)})",
        "message": f"{rule.id}: {rule.message}",
        "reason": "Forbidden",
    }


def _is_one_of(resources: Sequence[str]) -> str:
    return " || ".join(f"request.resource.resource == '{name}'" for name in resources)
