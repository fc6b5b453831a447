"""What a start needs is made, or found as it should be, and nothing of somebody else's is taken."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path

import pytest
from aiohttp import web

from hub_ext.kubernetes.apply import Ending, NotOurs, ensure, make_new, own
from hub_ext.kubernetes.client import ApiError, Cluster
from hub_ext.kubernetes.render import Rendering, render
from tests.manifests.api_server import ApiServer, status
from tests.manifests.test_render import ENCLAVE, IMAGE, STANDARD


def rendering(user: str = "ana") -> Rendering:
    return render(STANDARD, STANDARD.spec, ENCLAVE, user=user, purpose="server", name="", image=IMAGE)


HERS = {
    "app.kubernetes.io/managed-by": "hub-ext",
    "hub-ext/namespace": "person",
    "hub-ext/platform": "hub-ext",
    "hub-ext/user": "ana",
}
NAMESPACE = "/api/v1/namespaces/hub-ext-ana"
HOME = f"{NAMESPACE}/persistentvolumeclaims/home"


async def test_everything_but_the_pod_is_made(cluster: Cluster, api: ApiServer) -> None:
    await ensure(cluster, rendering())
    kinds = sorted((one["kind"], one["metadata"]["name"]) for one in api.objects.values())
    assert kinds == [
        ("LimitRange", "hub-ext"), ("Namespace", "hub-ext-ana"), ("NetworkPolicy", "default-deny"),
        ("NetworkPolicy", "start"), ("PersistentVolumeClaim", "home"), ("ResourceQuota", "hub-ext"),
    ]  # fmt: skip
    assert [one for one in api.asked if one.endswith(("namespaces", NAMESPACE))] == ["POST /api/v1/namespaces"]
    assert api.asked[0] == "POST /api/v1/namespaces"
    # Nothing can be in a namespace that was made now: each object is made, which costs less than to apply it.
    assert [one.partition(" ")[0] for one in api.asked] == ["POST"] * 6


async def test_what_another_start_made_first_in_a_new_namespace_is_brought_up_to_date(
    cluster: Cluster, api: ApiServer
) -> None:
    path = "/apis/networking.k8s.io/v1/namespaces/hub-ext-ana/networkpolicies/default-deny"
    api.objects[path] = {"metadata": {"name": "default-deny", "labels": {}}, "spec": {"podSelector": {}}}
    await ensure(cluster, rendering())
    assert f"PATCH {path}" in api.asked
    assert api.objects[path]["spec"]["policyTypes"] == ["Ingress", "Egress"]


async def test_what_is_there_is_brought_up_to_date_and_the_home_is_left_as_it_is(
    cluster: Cluster, api: ApiServer
) -> None:
    await ensure(cluster, rendering())
    home = api.objects[HOME]["metadata"]["uid"]
    api.objects[NAMESPACE]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    api.asked.clear()
    await ensure(cluster, rendering())
    assert api.objects[NAMESPACE]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert api.objects[HOME]["metadata"]["uid"] == home
    made = [one for one in api.asked if one.startswith("POST")]
    assert [one.rpartition("/")[2] for one in made] == ["networkpolicies"]  # of this start, so it was worth a try
    assert any(one.startswith("PATCH") and "/networkpolicies/" in one for one in api.asked)


DENY = "/apis/networking.k8s.io/v1/namespaces/hub-ext-ana/networkpolicies/default-deny"
QUOTA, LIMITS = f"{NAMESPACE}/resourcequotas/hub-ext", f"{NAMESPACE}/limitranges/hub-ext"


async def test_what_stands_as_it_should_be_is_looked_at_and_no_more(cluster: Cluster, api: ApiServer) -> None:
    await ensure(cluster, rendering())
    hard = api.objects[QUOTA]["spec"]["hard"]
    assert hard["limits.cpu"].endswith("000m")
    hard["limits.cpu"] = hard["limits.cpu"].removesuffix("000m")  # as a real one writes it
    api.asked.clear()
    await ensure(cluster, rendering())
    around = [one for one in api.asked if one.endswith((DENY, QUOTA, LIMITS))]
    assert sorted(around) == sorted(f"GET {path}" for path in (DENY, QUOTA, LIMITS))


@pytest.mark.parametrize("path", [DENY, QUOTA, LIMITS])
@pytest.mark.parametrize(
    "how", ["deleted", "being deleted", "spec", "more in its spec", "another number", "labels", "no spec"]
)
async def test_what_somebody_changed_or_took_away_is_mended_by_the_next_start(
    cluster: Cluster, api: ApiServer, path: str, how: str
) -> None:
    await ensure(cluster, rendering())
    there = api.objects[path]
    wanted = copy.deepcopy(there["spec"])
    if how == "deleted":
        del api.objects[path]
    elif how == "being deleted":
        there["metadata"]["deletionTimestamp"] = "2026-11-26T14:00:00Z"
    elif how == "labels":
        there["metadata"]["labels"] = {}
    elif how == "another number":
        text = json.dumps(there["spec"])
        there["spec"] = json.loads(text.replace('000m"', '001m"').replace('"Egress"', '"4000m"'))
    elif how == "no spec":
        del there["spec"]
    elif how == "spec":
        there["spec"] = {"podSelector": {"matchLabels": {"none": "such"}}, "policyTypes": ["Ingress", "Egress"]}
    else:
        there["spec"]["ingress"] = [{}]
    api.asked.clear()
    await ensure(cluster, rendering())
    assert f"PATCH {path}" in api.asked
    assert api.objects[path]["spec"] == wanted
    assert api.objects[path]["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "hub-ext"


async def test_a_namespace_that_is_as_it_should_be_costs_one_call(cluster: Cluster, api: ApiServer) -> None:
    await ensure(cluster, rendering())
    api.asked.clear()
    await ensure(cluster, rendering())
    assert [one for one in api.asked if one.endswith(("namespaces", NAMESPACE))] == [f"GET {NAMESPACE}"]


async def test_a_namespace_that_an_earlier_process_made_is_found(
    cluster: Cluster, api: ApiServer, tmp_path: Path
) -> None:
    await ensure(cluster, rendering())
    made = api.objects[NAMESPACE]["metadata"]["uid"]
    later = await Cluster.connect(api.kubeconfig(tmp_path))
    api.asked.clear()
    try:
        await ensure(later, rendering())
    finally:
        await later.close()
    assert api.objects[NAMESPACE]["metadata"]["uid"] == made
    assert api.asked[:2] == ["POST /api/v1/namespaces", f"GET {NAMESPACE}"]


async def test_a_namespace_that_is_gone_is_made_again(cluster: Cluster, api: ApiServer) -> None:
    await ensure(cluster, rendering())
    del api.objects[NAMESPACE]
    await ensure(cluster, rendering())
    assert NAMESPACE in api.objects


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"app.kubernetes.io/managed-by": "Helm"},
        {"app.kubernetes.io/managed-by": "hub-ext"},
        HERS | {"hub-ext/user": "bob"},
        HERS | {"hub-ext/namespace": "system"},
        HERS | {"hub-ext/platform": "another"},
    ],
)
async def test_a_namespace_that_is_not_hers_is_not_taken(cluster: Cluster, api: ApiServer, labels) -> None:
    api.objects[NAMESPACE] = {"metadata": {"name": "hub-ext-ana", "labels": labels, "uid": "x"}}
    with pytest.raises(NotOurs, match="namespace hub-ext-ana"):
        await ensure(cluster, rendering())
    assert api.asked == ["POST /api/v1/namespaces", f"GET {NAMESPACE}"]
    assert list(api.objects) == [NAMESPACE]
    assert api.objects[NAMESPACE]["metadata"]["labels"] == labels


async def test_a_home_that_is_not_hers_is_not_taken(cluster: Cluster, api: ApiServer) -> None:
    api.objects[HOME] = {"metadata": {"name": "home", "labels": {}, "uid": "x"}}
    with pytest.raises(NotOurs, match="persistentvolumeclaim home"):
        await ensure(cluster, rendering())


async def test_a_namespace_that_is_being_removed_is_waited_for_by_nobody(cluster: Cluster, api: ApiServer) -> None:
    await ensure(cluster, rendering())
    api.objects[NAMESPACE]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(Ending):
        await ensure(cluster, rendering())


async def test_many_at_once_for_one_person_are_one(cluster: Cluster, api: ApiServer) -> None:
    await asyncio.gather(*(ensure(cluster, rendering()) for _ in range(10)))
    assert len(api.objects) == 6


async def test_what_the_api_server_refuses_is_told(cluster: Cluster, api: ApiServer) -> None:
    async def refuse(request):
        return (
            status(403, "Forbidden", "denied by policy")
            if "limitranges" in request.path
            else await api.ordinary(request)
        )

    api.answers = [refuse] * 20
    with pytest.raises(ApiError, match="denied by policy"):
        await ensure(cluster, rendering())


async def test_what_only_a_start_has_is_made_once_and_owned_by_what_it_goes_with(
    cluster: Cluster, api: ApiServer
) -> None:
    network = await ensure(cluster, rendering())
    assert network["kind"] == "NetworkPolicy"
    assert network["metadata"]["name"] == "start"
    secret = {"kind": "Secret", "metadata": {"name": "start", "namespace": "hub-ext-ana"}}
    for _ in range(2):
        await make_new(cluster, secret)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server", "uid": "u-1"}}
    await own(cluster, rendering().network, pod)
    path = "/apis/networking.k8s.io/v1/namespaces/hub-ext-ana/networkpolicies/start"
    assert api.objects[path]["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "server", "uid": "u-1"}
    ]
    assert api.objects[path]["metadata"]["labels"] == network["metadata"]["labels"]


async def test_what_cannot_be_owned_now_is_nobodys_trouble(cluster: Cluster, api: ApiServer) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server", "uid": "u-1"}}

    async def refuse(_request: web.Request) -> web.StreamResponse:
        return status(403, "Forbidden", "denied by policy")

    api.answers = [refuse]
    await own(cluster, rendering().network, pod)  # refused
    await own(cluster, rendering().network, pod)  # there is none
