"""The storage class of homes: without it no server that has a home starts."""

from __future__ import annotations

from hub_ext.catalog.policy import Enclave
from hub_ext.doctor.finding import Finding, ok
from hub_ext.kubernetes.client import ApiError, Cluster

_WITHIN = 10.0  # seconds
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_ELSEWHERE = "As somebody who may: `kubectl get storageclasses`."


async def look(cluster: Cluster, enclave: Enclave, *, homes: bool) -> Finding:
    """Look for the storage class that homes are made of: the enclave's, or the cluster's default where it names none.

    Args:
        cluster: The cluster.
        enclave: The network.
        homes: Whether a profile has a home; else nothing fails for want of a class yet.

    Raises:
        ApiError: The API server says no, and not because of our rights.
        NoAnswer: It does not answer.
    """
    named = enclave.spec.storage_class
    try:
        classes = (await cluster.list("StorageClass", within=_WITHIN))["items"]
    except ApiError as error:
        if error.status != 403:
            raise
        wanted = f"whether there is {named}" if named else "whether one is the default"
        return Finding("storage class", "warn", f"this account may not look {wanted}", _ELSEWHERE)
    names = sorted(str(one["metadata"]["name"]) for one in classes)
    usual = sorted(
        one["metadata"]["name"] for one in classes if (one["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"
    )
    if named in names or (not named and usual):
        return ok("storage class", f"homes are volumes of {named or f'{usual[0]}, the default'}")
    there = f"The cluster has {', '.join(names)}" if names else "The cluster has none at all"
    advice = f"{there}: name one as storage_class of the enclave (enclave.spec.storage_class in the chart)"
    if named:
        said, more = f"the cluster has no {named}, which the enclave names: no home can be made", "or make that one."
    else:
        said, more = "the enclave names none, and none is the default: no home can be made", "or make one the default."
    return Finding("storage class", "fail" if homes else "warn", said, f"{advice}, {more}")
