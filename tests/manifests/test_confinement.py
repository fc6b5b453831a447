"""Our accounts stay inside the namespaces of people, touch only what is theirs, and loosen nothing there."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hub_ext.catalog.loading import load
from hub_ext.kubernetes import objects
from hub_ext.kubernetes.render import render
from hub_ext.settings import shipped
from tests.manifests.evaluator import admitted

CATALOG = load(shipped("profiles"))
STANDARD = CATALOG.versions("standard")[0]
IMAGE = "localhost/environment/default@sha256:" + "a" * 64
KINDS = {
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "ResourceQuota": "resourcequotas",
    "LimitRange": "limitranges",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "Job": "jobs",
}


def made(purpose: str = "server") -> Any:
    return render(STANDARD, STANDARD.spec, CATALOG.enclave, user="ann", purpose=purpose, name="x", image=IMAGE)


def changed(manifest: Any, path: str, value: Any) -> Any:
    """Return a manifest with another value somewhere; None takes it out."""
    found = copy.deepcopy(manifest)
    *way, last = path.split("/")
    at = found
    for part in way:
        at = at.setdefault(part, {})
    if value is None:
        del at[last]
    else:
        at[last] = value
    return found


def labelled(manifest: Any, **labels: str | None) -> Any:
    """Return a manifest with other labels; None takes one out."""
    after = {key: value for key, value in (manifest["metadata"]["labels"] | labels).items() if value is not None}
    return changed(manifest, "metadata/labels", after)


NAMESPACE, NETWORK, HOME = made().namespace, made().network, made().home
DEFAULT_DENY, QUOTA, LIMITS = made().around
WHERE = NAMESPACE["metadata"]["name"]


def refused(manifest: Any, old: Any = None, **request: Any) -> list[str]:
    """Return what is said to a request of the Hub's account."""
    about = manifest or old
    if about["kind"] == "Namespace":
        request.setdefault("namespace", about["metadata"]["name"])
    return admitted("hub-ext-accounts", KINDS[about["kind"]], manifest, old=old, **request)


@pytest.mark.parametrize("one", [*made().all(), *made("run").all()], ids=lambda one: one["kind"])
def test_what_we_make_is_admitted(one: Any) -> None:
    assert refused(one) == []
    assert refused(one, old=one, operation="UPDATE") == []
    for policy in ("hub-ext-closed", "hub-ext-bounded"):
        assert admitted(policy, KINDS[one["kind"]], one) == []


@pytest.mark.parametrize("where", ["kube-system", "default", "hub-ext", "hubext-ann"])
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE", "DELETE"])
def test_our_accounts_do_nothing_outside_the_namespaces_of_people(where: str, operation: str) -> None:
    for one in (*made().all()[1:], made("run").job):
        there = changed(one, "metadata/namespace", where)
        assert any("act in namespaces" in message for message in refused(there, old=there, operation=operation))
        other = {"username": "admin"}
        assert admitted("hub-ext-accounts", "pods", there, userInfo=other) == []


def test_they_act_on_what_bears_their_mark() -> None:
    for one in made().all():
        foreign = labelled(one, **{"app.kubernetes.io/managed-by": "somebody"})
        assert refused(foreign)
        assert refused(one, old=foreign, operation="UPDATE")
        assert refused(None, old=foreign, operation="DELETE")
        assert refused(changed(one, "metadata/labels", None))


def test_they_connect_to_nothing_and_use_no_path_of_a_part() -> None:
    pod = made().pod
    assert refused(pod, operation="CONNECT", subResource="exec")
    for part in ("status", "ephemeralcontainers", "binding"):
        assert refused(pod, old=pod, operation="UPDATE", subResource=part)


def test_they_never_change_what_makes_a_namespace_a_persons() -> None:
    bare = labelled(NAMESPACE, **{"hub-ext/namespace": None})
    assert refused(bare)
    assert refused(bare, old=NAMESPACE, operation="UPDATE")
    assert refused(NAMESPACE, old=bare, operation="UPDATE")
    assert refused(None, old=bare, operation="DELETE")
    assert refused(changed(NAMESPACE, "metadata/name", "kube-system"))


@pytest.mark.parametrize("level", ["privileged", "baseline"])
def test_they_keep_the_pod_security_level(level: str) -> None:
    loose = labelled(NAMESPACE, **{"pod-security.kubernetes.io/enforce": level})
    assert refused(loose)
    assert refused(loose, old=NAMESPACE, operation="UPDATE")


def test_they_never_give_a_namespace_to_somebody_else() -> None:
    for other in ("eve", None):
        assert refused(labelled(NAMESPACE, **{"hub-ext/user": other}), old=NAMESPACE, operation="UPDATE")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec/egress", [{}]),
        ("spec/ingress", [{}]),
        ("spec/policyTypes", ["Ingress"]),
        ("spec/podSelector", {"matchLabels": {"a": "b"}}),
        ("spec/podSelector", {"matchExpressions": [{"key": "a", "operator": "Exists"}]}),
    ],
)
def test_they_never_loosen_the_default_deny(path: str, value: Any) -> None:
    loose = changed(DEFAULT_DENY, path, value)
    assert refused(loose)
    assert refused(loose, old=DEFAULT_DENY, operation="UPDATE")
    assert refused(None, old=DEFAULT_DENY, operation="DELETE")
    assert refused(None, old=NETWORK, operation="DELETE") == []


def test_they_never_take_away_what_a_quota_bounds() -> None:
    for name in ("pods", "limits.cpu", "limits.memory"):
        hard = {key: value for key, value in QUOTA["spec"]["hard"].items() if key != name}
        assert refused(changed(QUOTA, "spec/hard", hard), old=QUOTA, operation="UPDATE")
    assert refused(changed(QUOTA, "spec/scopes", ["BestEffort"]))
    assert refused(None, old=QUOTA, operation="DELETE")


def test_they_ask_for_new_empty_volumes_alone() -> None:
    taken = changed(HOME, "spec/volumeName", "pv-of-somebody")
    assert refused(taken)
    assert refused(taken, old=taken, operation="UPDATE") == []  # by then the cluster has bound it
    assert refused(changed(HOME, "spec/dataSource", {"kind": "PersistentVolumeClaim", "name": "x"}))
    assert refused(changed(HOME, "spec/dataSourceRef", {"kind": "PersistentVolumeClaim", "name": "x"}))
    assert refused(changed(HOME, "spec/storageClassName", "expensive"))


def test_they_make_no_secret_that_the_cluster_fills() -> None:
    about = {"name": "x", "namespace": WHERE, "labels": dict(objects.MANAGED_BY)}
    secret = {"kind": "Secret", "metadata": about, "type": "kubernetes.io/service-account-token"}
    assert admitted("hub-ext-accounts", "secrets", secret)
    assert admitted("hub-ext-accounts", "secrets", secret | {"type": "Opaque"}) == []


def test_the_policies_need_no_parameter_to_keep_our_accounts_in() -> None:
    """What is missing or deleted elsewhere must never open this one."""
    from hub_ext.kubernetes.confinement import confinement

    found = {one["metadata"]["name"]: one["spec"] for one in confinement(CATALOG.enclave, ["a"])[:1]}
    assert "paramKind" not in found["hub-ext-accounts"]
    assert found["hub-ext-accounts"]["failurePolicy"] == "Fail"
