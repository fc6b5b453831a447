"""What the accounts of Hub and service may do in a cluster: each right once, with its reason. Pure.

A right holds in the whole cluster, since the namespaces of people are made on demand; `confinement.py` keeps every
change inside those namespaces. Where everybody shares one namespace, it holds in that alone. Reading is not held up by
admission, so nothing here may read what is secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub_ext.kubernetes import places
from hub_ext.kubernetes.objects import MANAGED_BY, Manifest

HUB, SERVICE = "hub-ext-hub", "hub-ext-service"
_OURS = ("hub-ext",)  # the one quota and the one limit range that we keep in a namespace


@dataclass(frozen=True)
class Right:
    """Something that an account may do with a kind of object.

    Attributes:
        resource: The kind, as paths name it.
        verbs: What, as RBAC names it.
        why: The reason, for who grants it.
        group: The API group, empty for the core.
        names: Only objects of these names; empty for all.
    """

    resource: str
    verbs: tuple[str, ...]
    why: str
    group: str = ""
    names: tuple[str, ...] = ()

    def rule(self) -> Manifest:
        """Return it as a rule of a ClusterRole."""
        found: Manifest = {"apiGroups": [self.group], "resources": [self.resource], "verbs": list(self.verbs)}
        return found | ({"resourceNames": list(self.names)} if self.names else {})


# A namespace for a person, with what closes and bounds it: made by whichever of the two starts something first.
_ROOM = (
    Right("namespaces", ("get", "create", "patch"), "A person's namespace is made at her first start; ours or not?"),
    Right("resourcequotas", ("create",), "Bounds what a person has at once."),
    Right("resourcequotas", ("get", "patch"), "Follows the profiles that she may use.", names=_OURS),
    Right("limitranges", ("create",), "Bounds each container."),
    Right("limitranges", ("get", "patch"), "Follows the profiles that she may use.", names=_OURS),
    Right(
        "networkpolicies",
        ("get", "create", "patch", "delete"),
        "Closes the namespace, and opens for each server or run what its profile names, as long as it is there.",
        group="networking.k8s.io",
    ),
)
# Where everybody shares one namespace: what admins make, and what is in no namespace.
_NOT_SHARED = ("namespaces", "resourcequotas", "limitranges", "storageclasses")
_EVENTS = Right("events", ("list", "watch"), "Says in plain words why something does not start.")
_CLASSES = Right(
    "storageclasses", ("list",), "`hub-ext doctor` says whether homes can be made: of which class?", "storage.k8s.io"
)

RIGHTS: Mapping[str, tuple[Right, ...]] = {
    HUB: (
        *_ROOM,
        Right(
            "pods", ("get", "list", "watch", "create", "delete"), "A notebook server is a pod; one that ends is seen."
        ),
        Right(
            "persistentvolumeclaims", ("get", "create", "patch"), "The home volume, and a larger one when asked for."
        ),
        Right(
            "persistentvolumeclaims",
            ("delete",),
            "The home of somebody who left, when an admin has confirmed it.",
            names=("home",),
        ),
        Right("secrets", ("create", "delete"), "A server's own token, which the pod reads from there."),
        _EVENTS,
        _CLASSES,
    ),
    SERVICE: (
        *_ROOM,
        Right("jobs", ("get", "list", "watch", "create", "delete"), "A run is a Job; one that ends is seen.", "batch"),
        Right("pods", ("get", "list", "watch"), "Says how a run's pod ended: out of memory, evicted, node gone."),
        Right("secrets", ("create", "delete"), "A run's token and secret parameters, deleted when it ends."),
        _EVENTS,
        _CLASSES,
    ),
}

# What one would expect among the rights and does not find, for who reviews them.
NOT_GRANTED: Mapping[str, str] = {
    "secrets: get, list, watch, patch, update": (
        "Each of them reads secrets, of every namespace. Ours are made and deleted by name; nobody reads them back."
    ),
    "pods/log": "Would read the log of every pod of the cluster. How a container ended stands in the pod's status.",
    "pods/exec, pods/attach, pods/portforward, pods/ephemeralcontainers": "Each is a way into somebody's server.",
    "pods: patch, update": "A pod is never changed: another one is made.",
    "namespaces: list, watch, delete": (
        "A person's namespace has no end. Who runs the cluster deletes it, when the person is gone for good."
    ),
    "persistentvolumeclaims: list, watch, deletecollection": "One home is asked for, by its name, never all of them.",
    "resourcequotas, limitranges: delete": "What bounds a namespace stays as long as the namespace.",
    "services, configmaps, serviceaccounts, roles, rolebindings, nodes": "Nothing that we do needs one.",
    "bind, escalate, impersonate": "None of our accounts may give rights, or be somebody else.",
}


def rights(account: str, shared: str | None = None) -> tuple[Right, ...]:
    """Return what an account may do.

    Args:
        account: Which.
        shared: The namespace of everybody, None where each person has one.
    """
    if not shared:
        return RIGHTS[account]
    look = Right("namespaces", ("get",), "The namespace of everybody: is it there, with its labels?", names=(shared,))
    kept = [one for one in RIGHTS[account] if one.resource not in _NOT_SHARED]
    # A home is called by its person there; the policy of the cluster keeps the account from what is not ours.
    return look, *(replace(one, names=()) if one.resource == "persistentvolumeclaims" else one for one in kept)


def manifests(namespace: str, shared: str | None = None) -> list[Manifest]:
    """Return accounts, roles and bindings.

    Args:
        namespace: Where Hub and service live.
        shared: The namespace of everybody, which is made by whoever applies these; None where each person has one.
    """
    room = [places.shared_namespace(shared, namespace)] if shared else []
    return [*room, *(one for name in RIGHTS for one in _of(name, namespace, shared))]


def _of(name: str, namespace: str, shared: str | None) -> Iterator[Manifest]:
    about: Manifest = {"name": f"{name}:{namespace}", "labels": dict(MANAGED_BY)}  # another platform may be there
    where, kind = ({"namespace": shared}, "Role") if shared else ({}, "ClusterRole")
    rbac = "rbac.authorization.k8s.io"
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**about, "name": name, "namespace": namespace},
        "automountServiceAccountToken": False,
    }
    yield {
        "apiVersion": f"{rbac}/v1",
        "kind": kind,
        "metadata": about | where,
        "rules": [right.rule() for right in rights(name, shared)],
    }
    yield {
        "apiVersion": f"{rbac}/v1",
        "kind": f"{kind}Binding",
        "metadata": about | where,
        "roleRef": {"apiGroup": rbac, "kind": kind, "name": about["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


def as_dicts() -> list[dict[str, Any]]:
    """Return the rights as JSON, one entry for each account and right."""
    return [
        {
            "account": name,
            "group": right.group,
            "resource": right.resource,
            "names": list(right.names),
            "verbs": list(right.verbs),
            "why": right.why,
        }
        for name, rights in RIGHTS.items()
        for right in rights
    ]
