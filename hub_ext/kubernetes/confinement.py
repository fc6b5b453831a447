"""What keeps our accounts inside the namespaces of people, whatever they hold: ValidatingAdmissionPolicies. Pure.

- ``…-accounts`` looks at everything that our accounts make, change or delete, of any kind: only in namespaces
  with our prefix and label, only objects that bear our mark, and never so that what closes a namespace gets looser.
- ``…-closed`` and ``…-bounded`` look at each pod and Job of such a namespace, whoever makes it: nothing runs where the
  default-deny NetworkPolicy or the quota is missing.

Each is named for the namespace of its platform (``hub-ext``), so that two platforms in one cluster do not meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub_ext.catalog.policy import Enclave
from hub_ext.kubernetes.objects import MANAGED_BY, PREFIX, Manifest, label_value

DENY = ("Deny", "Audit")
_DEFAULT_DENY = "default-deny"
_QUOTA = "hub-ext"
_LEVEL = "pod-security.kubernetes.io/enforce"


def account(namespace: str, name: str) -> str:
    """Return a service account as the API server names it."""
    return f"system:serviceaccount:{namespace}:{name}"


def by(ours: Sequence[str]) -> str:
    """Return the condition that one of these accounts asks."""
    names = ", ".join(f"'{name}'" for name in ours)
    return f"request.userInfo.username in [{names}]"


def admission(kind: str, name: str, spec: Manifest) -> Manifest:
    """Return an object of the API group of admission policies."""
    metadata = {"name": name, "labels": dict(MANAGED_BY)}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def resources(group: str, names: Sequence[str], operations: Sequence[str]) -> dict[str, Any]:
    """Return which requests a policy looks at.

    A version is named, since types are checked only where one is; requests by other versions are converted.
    """
    versions = ["*"] if group == "*" else ["v1"]
    return {"apiGroups": [group], "apiVersions": versions, "operations": list(operations), "resources": list(names)}


def persons(system: str) -> dict[str, str]:
    """Return the labels of the namespaces of people, for a platform.

    Args:
        system: Namespace of the platform.
    """
    return {f"{PREFIX}/namespace": "person", f"{PREFIX}/platform": label_value(system)}


def confinement(enclave: Enclave, ours: Sequence[str]) -> list[Manifest]:
    """Return the policies with their bindings.

    Args:
        enclave: The network, whose storage class homes have.
        ours: Our accounts, as the API server names them.
    """
    system = enclave.spec.system_namespace
    accounts, closed, bounded = (f"{system}-{word}" for word in ("accounts", "closed", "bounded"))
    made = [
        _accounts(accounts, enclave, ours),
        binding(accounts),
        _needs(closed, system, _DEFAULT_DENY, ("networking.k8s.io/v1", "NetworkPolicy"), _closes("dyn(params)")),
        binding(closed, param=_DEFAULT_DENY),
    ]
    if enclave.spec.shared_namespace:  # whoever runs the cluster bounds it, or does not
        return made
    return [
        *made,
        _needs(bounded, system, _QUOTA, ("v1", "ResourceQuota"), _bounds("dyn(params)")),
        binding(bounded, param=_QUOTA),
    ]


def _accounts(name: str, enclave: Enclave, ours: Sequence[str]) -> Manifest:
    marks, shared = persons(enclave.spec.system_namespace), enclave.spec.shared_namespace
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "resourceRules": [resources("*", ["*/*"], ["CREATE", "UPDATE", "DELETE", "CONNECT"])],
        },
        "matchConditions": [{"name": "ours", "expression": by(ours)}],
        "variables": [
            {"name": "kind", "expression": "request.resource.group + '/' + request.resource.resource"},
            {"name": "new", "expression": "request.operation == 'CREATE' || request.operation == 'UPDATE'"},
            {"name": "old", "expression": "request.operation == 'UPDATE' || request.operation == 'DELETE'"},
        ],
        "validations": [
            {"expression": text, "message": f"The accounts of hub-ext {message}", "reason": "Forbidden"}
            for text, message in (*_where(marks, shared), *_namespaces(marks, shared), *_kinds(enclave))
        ],
    }
    return admission("ValidatingAdmissionPolicy", name, spec)


def _where(marks: Mapping[str, str], shared: str | None) -> list[tuple[str, str]]:
    """Return what holds for every kind."""
    made = f"(variables.new != true || ({_has_labels('object', MANAGED_BY)}))"
    there = f"(variables.old != true || ({_has_labels('oldObject', MANAGED_BY)}))"
    named = f"request.namespace == '{shared}'" if shared else f"request.namespace.startsWith('{PREFIX}-')"
    inside = f"{named} && {_has_labels('namespaceObject', marks)}"
    return [
        ("request.operation != 'CONNECT'", "connect to nothing."),
        (
            "!has(request.subResource) || request.subResource == ''",
            "change no part of an object by its own path (status, scale, binding, ephemeralcontainers, token).",
        ),
        (f"variables.kind == '/namespaces' || ({inside})", f"act in {_named(marks, shared)}"),
        (f"{made} && {there}", "act on objects that bear their mark."),
    ]


def _namespaces(marks: Mapping[str, str], shared: str | None) -> list[tuple[str, str]]:
    """Return what holds for namespaces."""
    other = "variables.kind != '/namespaces'"
    if shared:
        return [(other, "make and change no namespace.")]
    prefix = f"request.name.startsWith('{PREFIX}-')"
    owner = " == ".join(_label(what, f"{PREFIX}/user") for what in ("object", "oldObject"))
    return [
        (
            f"{other} || variables.new != true || ({prefix} && {_has_labels('object', marks)})",
            f"make {_named(marks)}",
        ),
        (
            f"{other} || variables.old != true || ({prefix} && {_has_labels('oldObject', marks)})",
            f"change {_named(marks)}",
        ),
        (
            f"{other} || variables.new != true || {_has_labels('object', {_LEVEL: 'restricted'})}",
            "keep the Pod Security level restricted.",
        ),
        (f"{other} || request.operation != 'UPDATE' || {owner}", "never give a namespace to somebody else."),
        (
            f"{other} || variables.new != true || !('{PREFIX}/shared' in object.metadata.labels)",
            "make no namespace for everybody.",
        ),
    ]


def _kinds(enclave: Enclave) -> list[tuple[str, str]]:
    """Return what holds for single kinds: what each could be used for, besides what it is for."""
    network = f"variables.kind != 'networking.k8s.io/networkpolicies' || request.name != '{_DEFAULT_DENY}'"
    claim = "variables.kind != '/persistentvolumeclaims' || variables.new != true"
    storage = enclave.spec.storage_class
    usual = f" || object.spec.storageClassName == '{storage}'" if storage else " || request.operation == 'UPDATE'"
    return [
        (f"{network} || (request.operation != 'DELETE' && {_closes('object')})", "never loosen the default deny."),
        (
            f"variables.kind != '/resourcequotas' || (request.operation != 'DELETE' && {_bounds('object')})",
            "never take away what a quota bounds.",
        ),
        (
            f"{claim} || !has(object.spec.volumeName) || object.spec.volumeName == '' || request.operation == 'UPDATE'",
            "ask for a new volume, never for one that is there.",
        ),
        (f"{claim} || (!has(object.spec.dataSource) && !has(object.spec.dataSourceRef))", "ask for empty volumes."),
        (f"{claim} || !has(object.spec.storageClassName){usual}", "use the storage class of the enclave."),
        (
            "variables.kind != '/secrets' || variables.new != true || !has(object.type) || object.type == 'Opaque'",
            "make no secret that the cluster fills (tokens of accounts).",
        ),
    ]


def _named(marks: Mapping[str, str], shared: str | None = None) -> str:
    labels = " and ".join(f"{key}={value}" for key, value in marks.items())
    if shared:
        return f"the namespace {shared}, with the labels {labels}."
    return f"namespaces that begin with {PREFIX}- and have the labels {labels}."


def _has_labels(what: str, labels: Mapping[str, str]) -> str:
    """Return the condition that an object has labels."""
    each = [f"'{key}' in {what}.metadata.labels && {_label(what, key)} == '{value}'" for key, value in labels.items()]
    return " && ".join([f"has({what}.metadata.labels)", *each])


def _label(what: str, key: str) -> str:
    """Return the value of a label; one that is not there cannot be evaluated, and so is refused."""
    return f"{what}.metadata.labels['{key}']"


def _closes(what: str) -> str:
    """Return the condition that a NetworkPolicy closes its whole namespace in both directions."""
    spec = f"{what}.spec"
    everything = f"(!has({spec}.podSelector.matchLabels) && !has({spec}.podSelector.matchExpressions))"
    both = f"has({spec}.policyTypes) && 'Ingress' in {spec}.policyTypes && 'Egress' in {spec}.policyTypes"
    return f"({everything} && {both} && !has({spec}.ingress) && !has({spec}.egress))"


def _bounds(what: str) -> str:
    """Return the condition that a quota bounds everything that a pod takes."""
    spec = f"{what}.spec"
    named = " && ".join(f"'{name}' in {spec}.hard" for name in ("pods", "limits.cpu", "limits.memory"))
    return f"(has({spec}.hard) && {named} && !has({spec}.scopes) && !has({spec}.scopeSelector))"


def _needs(name: str, system: str, what: str, kind: tuple[str, str], condition: str) -> Manifest:
    """Return the policy that nothing runs in a namespace without an object that is as it should be."""
    spec = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": kind[0], "kind": kind[1]},
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {"matchLabels": persons(system)},
            "resourceRules": [resources("", ["pods"], ["CREATE"]), resources("batch", ["jobs"], ["CREATE"])],
        },
        "validations": [
            {
                "expression": condition,
                "message": f"Nothing runs in a person's namespace whose {kind[1]} {what} is not what hub-ext makes.",
                "reason": "Forbidden",
            }
        ],
    }
    return admission("ValidatingAdmissionPolicy", name, spec)


def binding(name: str, actions: Sequence[str] = DENY, *, param: str = "") -> Manifest:
    """Return the binding of a policy.

    Args:
        name: Of both.
        actions: What becomes of what it refuses.
        param: Name of the object that it looks at besides, in the namespace of what is made; missing is refused.
    """
    spec: Manifest = {"policyName": name, "validationActions": list(actions)}
    if param:
        spec["paramRef"] = {"name": param, "parameterNotFoundAction": "Deny"}
    return admission("ValidatingAdmissionPolicyBinding", name, spec)
