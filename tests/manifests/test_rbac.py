"""Rights of our accounts: few, each with a reason, and none that gives more than it says."""

from __future__ import annotations

import pytest

from hub_ext.kubernetes.admission import HAS_TEMPLATE
from hub_ext.kubernetes.rbac import HUB, RIGHTS, SERVICE, Right, as_dicts, manifests, rights

EVERY = [(account, right) for account, rights in RIGHTS.items() for right in rights]
WRITES = {"create", "update", "patch", "delete"}
# Kinds of the stock API server that make pods, or hold a way to make them.
MAKE_PODS = {"deployments", "replicasets", "statefulsets", "daemonsets", "cronjobs", "jobs", "replicationcontrollers"}


@pytest.mark.parametrize(("account", "right"), EVERY, ids=[f"{name}-{right.resource}" for name, right in EVERY])
def test_a_right_is_named_in_full_and_has_a_reason(account: str, right: Right) -> None:
    assert len(right.why) > 20
    assert right.verbs
    assert set(right.verbs) <= WRITES | {"get", "list", "watch"}  # no wildcard, bind, escalate, impersonate, …
    assert "*" not in (right.resource, right.group)
    assert "/" not in right.resource  # no status, exec, log, token, binding


def test_nobody_reads_a_secret() -> None:
    verbs = {verb for _, right in EVERY if right.resource == "secrets" for verb in right.verbs}
    assert verbs == {"create", "delete"}  # patch answers with what is there


def test_what_bounds_a_namespace_and_what_is_a_persons_cannot_be_deleted() -> None:
    deleted = {right.resource for _, right in EVERY if "delete" in right.verbs}
    assert deleted == {"pods", "jobs", "secrets", "networkpolicies", "persistentvolumeclaims"}
    claims = [(name, right) for name, right in EVERY if right.resource == "persistentvolumeclaims"]
    homes = [(name, right.names) for name, right in claims if "delete" in right.verbs]
    assert homes == [(HUB, ("home",))]  # of somebody who left, by its name, and by the Hub alone
    changed = [right for _, right in EVERY if right.resource in ("resourcequotas", "limitranges")]
    assert all(right.names == ("hub-ext",) for right in changed if "patch" in right.verbs)


def test_every_kind_that_makes_pods_is_held_against_the_policy() -> None:
    makes = {right.resource for _, right in EVERY if WRITES & set(right.verbs)} & MAKE_PODS
    assert makes == set(HAS_TEMPLATE)


def test_no_kind_of_configuration_or_rights_is_among_them() -> None:
    groups = {right.group for _, right in EVERY}
    assert groups == {"", "batch", "networking.k8s.io", "storage.k8s.io"}
    assert not {right.resource for _, right in EVERY} & {"configmaps", "serviceaccounts", "nodes", "services"}


def test_what_is_in_no_namespace_is_only_read() -> None:
    classes = [right.verbs for _, right in EVERY if right.resource == "storageclasses"]
    assert classes == [("list",), ("list",)]
    for account in RIGHTS:  # where everybody shares one namespace, a Role could not give it
        assert "storageclasses" not in {one.resource for one in rights(account, "everybody")}


def test_each_account_is_bound_to_its_own_role() -> None:
    made = manifests("platform")
    assert [one["kind"] for one in made] == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"] * 2
    for name in (HUB, SERVICE):
        role, binding = (one for one in made if one["metadata"]["name"] == f"{name}:platform")
        assert (role["kind"], role["rules"]) == ("ClusterRole", [right.rule() for right in RIGHTS[name]])
        assert (binding["kind"], binding["roleRef"]["name"]) == ("ClusterRoleBinding", f"{name}:platform")
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "platform"}]
    assert len(as_dicts()) == len(EVERY)
