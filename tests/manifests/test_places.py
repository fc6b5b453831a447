"""One namespace for everybody: who is where, what is made there, and how one is kept from the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.loading import load
from hub_ext.catalog.policy import Enclave
from hub_ext.kubernetes import rbac, words
from hub_ext.kubernetes.admission import export
from hub_ext.kubernetes.apply import Ending, NotOurs, ensure
from hub_ext.kubernetes.client import Cluster
from hub_ext.kubernetes.places import Place, shared_namespace
from hub_ext.kubernetes.render import Rendering, render
from hub_ext.settings import shipped
from tests.manifests.api_server import ApiServer
from tests.manifests.test_render import ENCLAVE, IMAGE, STANDARD

POLICY = load(shipped("profiles")).policy
NAMES = st.text(min_size=0, max_size=80)
SHARED = ENCLAVE.model_copy(update={"spec": ENCLAVE.spec.model_copy(update={"shared_namespace": "analysts"})})


def made(user: str = "ann", purpose: str = "server", name: str = "") -> Rendering:
    return render(STANDARD, STANDARD.spec, SHARED, user=user, purpose=purpose, name=name, image=IMAGE, launch="s-1")


@given(one=st.tuples(NAMES, NAMES), other=st.tuples(NAMES, NAMES))
def test_no_two_servers_and_no_two_homes_are_called_the_same(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = Place(one[0], "analysts"), Place(other[0], "analysts")
    assert (first.server(one[1]) == second.server(other[1])) is (one == other)
    assert (first.home == second.home) is (one[0] == other[0])


def test_a_server_makes_nothing_around_it_but_the_default_deny() -> None:
    everything = made().all()
    assert [(one["kind"], one["metadata"]["name"]) for one in everything] == [
        ("NetworkPolicy", "default-deny"),
        ("PersistentVolumeClaim", "home-ann"),
        ("NetworkPolicy", "s-1"),
        ("Pod", "server-ann"),
    ]
    assert {one["metadata"]["namespace"] for one in everything} == {"analysts"}
    assert everything[-1]["metadata"]["labels"]["hub-ext/user"] == "ann"
    claims = [one["persistentVolumeClaim"] for one in everything[-1]["spec"]["volumes"] if one["name"] == "home"]
    assert claims == [{"claimName": "home-ann"}]


def test_a_policy_opens_the_pod_of_its_launch_alone_and_to_the_platform_alone() -> None:
    ann, bob = made("ann").network["spec"], made("bob").pod["metadata"]["labels"]
    assert ann["podSelector"]["matchLabels"]["hub-ext/launch"] == "s-1"
    (ingress,) = ann["ingress"]
    (source,) = ingress["from"]
    assert source["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "hub-ext"}
    assert not source["podSelector"]["matchLabels"].items() <= bob.items()


def test_a_run_is_a_job_there_called_by_its_launch() -> None:
    job = made(purpose="run", name="l-1").job
    assert job is not None
    assert (job["metadata"]["namespace"], job["metadata"]["name"]) == ("analysts", "l-1")


def test_it_may_not_be_the_namespace_of_the_platform() -> None:
    content = SHARED.model_dump(mode="json", by_alias=True)
    content["spec"] |= {"shared_namespace": "hub-ext", "system_namespace": "hub-ext"}
    with pytest.raises(ValueError, match="shared_namespace: must be another"):
        Enclave.model_validate(content)


# Its namespace, which is not ours to make.

WHERE = "/api/v1/namespaces/analysts"


def there(api: ApiServer, **labels: str | None) -> None:
    """Have the namespace, with some labels otherwise; None takes one out."""
    found = shared_namespace("analysts", "hub-ext")
    marks = found["metadata"]["labels"] | {f"hub-ext/{key}": value for key, value in labels.items()}
    found["metadata"]["labels"] = {key: value for key, value in marks.items() if value is not None}
    api.objects[WHERE] = found


async def test_what_a_start_needs_is_made_in_it(cluster: Cluster, api: ApiServer) -> None:
    there(api)
    await ensure(cluster, made())
    kinds = sorted((one["kind"], one["metadata"]["name"]) for one in api.objects.values())
    assert kinds == [
        ("Namespace", "analysts"), ("NetworkPolicy", "default-deny"), ("NetworkPolicy", "s-1"),
        ("PersistentVolumeClaim", "home-ann"),
    ]  # fmt: skip


async def test_without_it_nothing_is_made(cluster: Cluster, api: ApiServer) -> None:
    with pytest.raises(NotOurs, match="The namespace analysts, which everybody shares here, is not in the cluster"):
        await ensure(cluster, made())
    assert api.objects == {}


@pytest.mark.parametrize("labels", [{"shared": None}, {"platform": "another"}])
async def test_without_a_label_of_it_nothing_is_made(
    cluster: Cluster, api: ApiServer, labels: dict[str, str | None]
) -> None:
    there(api, **labels)
    with pytest.raises(NotOurs, match=f"lacks hub-ext/{next(iter(labels))}="):
        await ensure(cluster, made())
    assert list(api.objects) == [WHERE]


async def test_one_that_is_being_removed_is_waited_for(cluster: Cluster, api: ApiServer) -> None:
    there(api)
    api.objects[WHERE]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(Ending):
        await ensure(cluster, made())


def test_who_may_make_no_namespaces_is_told_of_the_setting() -> None:
    message = (
        'namespaces "hub-ext-ann" is forbidden: User "system:serviceaccount:hub-ext:hub-ext-hub" cannot get resource '
        '"namespaces" in API group "" in the namespace "hub-ext-ann"'
    )
    said, _ = words.refused(403, message)
    assert "may make no namespaces" in said
    assert "shared_namespace" in said


# Rights and policies.


def test_rights_are_of_that_namespace_alone() -> None:
    found = rbac.manifests("hub-ext", "analysts")
    assert [one["kind"] for one in found] == ["Namespace", *("ServiceAccount", "Role", "RoleBinding") * 2]
    roles = [one for one in found if one["kind"] == "Role"]
    assert {one["metadata"]["namespace"] for one in found if one["kind"] in ("Role", "RoleBinding")} == {"analysts"}
    rules = [rule for role in roles for rule in role["rules"]]
    assert [rule for rule in rules if rule["resources"] == ["namespaces"]] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": ["analysts"]}
    ] * 2
    assert not {"resourcequotas", "limitranges"} & {one for rule in rules for one in rule["resources"]}


def policies(enclave: Enclave) -> dict[str, Any]:
    made_of_it = export(POLICY, enclave)
    return {one["metadata"]["name"]: one for one in made_of_it if one["kind"] == "ValidatingAdmissionPolicy"}


def test_the_policy_keeps_the_accounts_in_it_and_asks_for_no_quota() -> None:
    apart, together = policies(ENCLAVE), policies(SHARED)
    assert set(apart) - set(together) == {"hub-ext-bounded"}
    messages = [one["message"] for one in together["hub-ext-accounts"]["spec"]["validations"]]
    assert "The accounts of hub-ext make and change no namespace." in messages
    assert any("act in the namespace analysts" in one for one in messages)
    alone = [one["message"] for one in apart["hub-ext-accounts"]["spec"]["validations"]]
    assert "The accounts of hub-ext make no namespace for everybody." in alone
