"""The cluster, as our own account meets it: what may be done is tried without being done (dry run)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from hub_ext.catalog.policy import Enclave
from hub_ext.doctor import pods, storage
from hub_ext.doctor.finding import Finding, ok
from hub_ext.errors import HubExtError
from hub_ext.kubernetes import objects, places
from hub_ext.kubernetes.apply import check_shared
from hub_ext.kubernetes.client import ApiError, Cluster
from hub_ext.kubernetes.kinds import KINDS
from hub_ext.kubernetes.network import default_deny
from hub_ext.kubernetes.rbac import RIGHTS, Right, rights
from hub_ext.settings import HubExt

_OLDEST = (1, 30)
_WITHIN = 10.0  # seconds for each call
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_MAY = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_TOO_MUCH = (
    Right("secrets", ("get", "list"), "Would read everybody's."),
    Right("clusterrolebindings", ("create",), "Would give itself more.", "rbac.authorization.k8s.io"),
)
_RIGHTS = "`hub-ext policy accounts | kubectl apply -f -`, or rbac.create in the chart."
_ONE_FOR_ALL = "Where that is not to be: one namespace for everybody, shared_namespace of the enclave."
_POLICY = "`hub-ext policy export | kubectl apply -f -`, or admissionPolicy.enabled in the chart."


def look(settings: HubExt, enclave: Enclave, *, homes: bool) -> Iterator[Finding]:
    """Look at the cluster.

    Args:
        settings: All settings.
        enclave: The network.
        homes: Whether a profile has a home.
    """

    async def all_of_it() -> list[Finding]:
        try:
            cluster = await Cluster.connect(str(settings.kubeconfig))
        except HubExtError as error:
            return [Finding("cluster", "fail", error.detail, error.hint)]
        try:
            return [one async for one in _cluster(cluster, enclave, homes)]
        except (ApiError, HubExtError) as error:
            detail = error.message if isinstance(error, ApiError) else error.detail
            return [Finding("cluster", "fail", detail[:300], "Is its address right, and the way to it open?")]
        finally:
            await cluster.close()

    yield from asyncio.run(all_of_it())


async def _cluster(cluster: Cluster, enclave: Enclave, homes: bool) -> AsyncIterator[Finding]:
    version = await cluster.request("GET", "/version", within=_WITHIN)
    number = tuple(int("".join(filter(str.isdigit, str(version[key])))) for key in ("major", "minor"))
    said = str(version["gitVersion"])
    if number < _OLDEST:
        yield Finding("cluster", "fail", f"Kubernetes {said} is too old", "Admission policies in CEL need 1.30.")
    else:
        yield ok("cluster", f"Kubernetes {said}")
    shared = enclave.spec.shared_namespace
    yield await _reads(cluster, shared)
    yield await _rights(cluster, shared)
    if shared:
        yield await _shared(cluster, shared, enclave.spec.system_namespace)
    made = objects.namespace("hub-ext-doctor", "doctor", enclave.metadata.name, enclave.spec.system_namespace)
    if not shared:
        yield await _makes(cluster, made)
    yield await _confined(cluster, made, shared)
    yield await storage.look(cluster, enclave, homes=homes)
    for one in await pods.look(cluster, enclave.spec.system_namespace):
        yield one


async def _reads(cluster: Cluster, shared: str | None) -> Finding:
    try:
        await cluster.request("GET", KINDS["Pod"].path(shared or ""), query={"limit": 1}, within=_WITHIN)
    except ApiError as error:
        advice = _RIGHTS if shared else f"{_RIGHTS} {_ONE_FOR_ALL}"
        return Finding("rights", "fail", f"this account may not list pods ({error.status})", advice)
    return ok("rights", "this account may list pods")


async def _rights(cluster: Cluster, shared: str | None) -> Finding:
    """Ask for each right of our list whether this account has it, and for two that none of ours may have."""
    about = await cluster.request("POST", _WHO, body=_review("authentication", "SelfSubjectReview"), within=_WITHIN)
    name = str(about["status"]["userInfo"].get("username", ""))
    account = name.rpartition(":")[2]
    if account not in RIGHTS:
        return Finding("rights", "warn", f"this account, {name}, is none of ours", _RIGHTS)
    wanted = [(right, verb) for right in rights(account, shared) for verb in right.verbs]
    may = [(right, verb, await _may(cluster, right, verb, shared or "")) for right, verb in wanted]
    missing = [f"{verb} {right.resource}" for right, verb, yes in may if not yes]
    if missing:
        return Finding("rights", "fail", f"{account} may not {', '.join(dict.fromkeys(missing))}", _RIGHTS)
    more = [f"{verb} {one.resource}" for one in _TOO_MUCH for verb in one.verbs if await _may(cluster, one, verb)]
    if more:
        return Finding("rights", "warn", f"{account} may {', '.join(more)}, which it does not need", _RIGHTS)
    return ok("rights", f"{account} may do what it needs, and no more")


async def _may(cluster: Cluster, right: Right, verb: str, namespace: str = "") -> bool:
    name = right.names[0] if right.names else ""
    asked = {"verb": verb, "group": right.group, "resource": right.resource, "name": name, "namespace": namespace}
    body = _review("authorization", "SelfSubjectAccessReview") | {"spec": {"resourceAttributes": asked}}
    answer = await cluster.request("POST", _MAY, body=body, within=_WITHIN)
    return bool((answer.get("status") or {}).get("allowed"))


def _review(group: str, kind: str) -> dict[str, Any]:
    return {"apiVersion": f"{group}.k8s.io/v1", "kind": kind}


async def _try(cluster: Cluster, manifest: dict[str, Any]) -> ApiError | None:
    path = KINDS[manifest["kind"]].path(manifest["metadata"].get("namespace", ""))
    query = {"dryRun": "All", "fieldManager": "hub-ext"}
    try:
        await cluster.request("POST", path, query=query, body=manifest, within=_WITHIN)
    except ApiError as error:
        return error
    return None


async def _makes(cluster: Cluster, namespace: dict[str, Any]) -> Finding:
    error = await _try(cluster, namespace)
    if error is None:
        return ok("namespaces", "one for a person would be made")
    advice = "An admission policy of the cluster stands in the way."
    if "cannot create" in error.message:
        advice = f"{_RIGHTS} {_ONE_FOR_ALL}"
    return Finding("namespaces", "fail", f"none can be made for a person: {error.message[:300]}", advice)


async def _shared(cluster: Cluster, name: str, system: str) -> Finding:
    try:
        await check_shared(cluster, places.shared_namespace(name, system), within=_WITHIN)
    except HubExtError as error:
        return Finding("namespaces", "fail", error.detail, error.hint)
    except ApiError as error:
        return Finding("namespaces", "fail", f"{name} cannot be looked at: {error.message[:300]}", _RIGHTS)
    bounds = "no quota of the cluster bounds one person there, budgets do, at each decision"
    return ok("namespaces", f"everybody's servers and runs are in {name}; {bounds}")


async def _confined(cluster: Cluster, namespace: dict[str, Any], shared: str | None) -> Finding:
    """Try what the policy must refuse: a namespace that is no person's; in that of all, a policy without our mark."""
    if shared:
        named = {"name": "hub-ext-doctor", "namespace": shared}
        strange = {**default_deny(shared), "metadata": named}
        return _judged(await _try(cluster, strange))
    about = {key: value for key, value in namespace["metadata"].items() if key != "labels"}
    return _judged(await _try(cluster, {**namespace, "metadata": {**about, "labels": dict(objects.MANAGED_BY)}}))


def _judged(error: ApiError | None) -> Finding:
    if error is None:
        text = "nothing keeps this account inside the namespaces of people"
        return Finding("admission policy", "warn", text, _POLICY)
    if "ValidatingAdmissionPolicy" not in error.message:
        return Finding("admission policy", "warn", f"could not be tried: {error.message[:200]}", _RIGHTS)
    return ok("admission policy", "keeps this account inside the namespaces of people")
