"""The cluster, as our own account meets it: what may be done is tried without being done (dry run)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from hub_ext.catalog.policy import Enclave
from hub_ext.doctor.finding import Finding, ok
from hub_ext.errors import HubExtError
from hub_ext.kubernetes import objects
from hub_ext.kubernetes.client import ApiError, Cluster
from hub_ext.kubernetes.kinds import KINDS
from hub_ext.settings import HubExt

_OLDEST = (1, 30)
_WITHIN = 10.0  # seconds for each call
_RIGHTS = "`hub-ext policy accounts | kubectl apply -f -`, or rbac.create in the chart."
_POLICY = "`hub-ext policy export | kubectl apply -f -`, or admissionPolicy.enabled in the chart."


def look(settings: HubExt, enclave: Enclave) -> Iterator[Finding]:
    """Look at the cluster.

    Args:
        settings: All settings.
        enclave: The network.
    """

    async def all_of_it() -> list[Finding]:
        try:
            cluster = await Cluster.connect(str(settings.kubeconfig))
        except HubExtError as error:
            return [Finding("cluster", "fail", error.detail, error.hint)]
        try:
            return [one async for one in _cluster(cluster, enclave)]
        except (ApiError, HubExtError) as error:
            detail = error.message if isinstance(error, ApiError) else error.detail
            return [Finding("cluster", "fail", detail[:300], "Is its address right, and the way to it open?")]
        finally:
            await cluster.close()

    yield from asyncio.run(all_of_it())


async def _cluster(cluster: Cluster, enclave: Enclave) -> AsyncIterator[Finding]:
    version = await cluster.request("GET", "/version", within=_WITHIN)
    number = tuple(int("".join(filter(str.isdigit, str(version[key])))) for key in ("major", "minor"))
    said = str(version["gitVersion"])
    if number < _OLDEST:
        yield Finding("cluster", "fail", f"Kubernetes {said} is too old", "Admission policies in CEL need 1.30.")
    else:
        yield ok("cluster", f"Kubernetes {said}")
    yield await _reads(cluster)
    made = objects.namespace("hub-ext-doctor", "doctor", enclave.metadata.name, enclave.spec.system_namespace)
    yield await _makes(cluster, made)
    yield await _confined(cluster, made)


async def _reads(cluster: Cluster) -> Finding:
    try:
        await cluster.request("GET", KINDS["Pod"].path(), query={"limit": 1}, within=_WITHIN)
    except ApiError as error:
        return Finding("rights", "fail", f"this account may not list pods ({error.status})", _RIGHTS)
    return ok("rights", "this account may list pods")


async def _try(cluster: Cluster, manifest: dict[str, Any]) -> ApiError | None:
    path = KINDS[manifest["kind"]].path()
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
    advice = _RIGHTS if "cannot create" in error.message else "An admission policy of the cluster stands in the way."
    return Finding("namespaces", "fail", f"none can be made for a person: {error.message[:300]}", advice)


async def _confined(cluster: Cluster, namespace: dict[str, Any]) -> Finding:
    """Try what the policy must refuse: a namespace that is no person's."""
    about = {key: value for key, value in namespace["metadata"].items() if key != "labels"}
    error = await _try(cluster, {**namespace, "metadata": {**about, "labels": dict(objects.MANAGED_BY)}})
    if error is None:
        text = "nothing keeps this account inside the namespaces of people"
        return Finding("admission policy", "warn", text, _POLICY)
    if "ValidatingAdmissionPolicy" not in error.message:
        return Finding("admission policy", "warn", f"could not be tried: {error.message[:200]}", _RIGHTS)
    return ok("admission policy", "keeps this account inside the namespaces of people")
