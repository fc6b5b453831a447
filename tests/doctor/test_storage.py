"""What the doctor says of the storage class that homes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hub_ext.catalog.policy import Enclave
from hub_ext.doctor import storage
from hub_ext.doctor.finding import Finding
from hub_ext.kubernetes.client import ApiError, Cluster
from tests.manifests.api_server import ApiServer, status

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
NO_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "false"}


def enclave(storage_class: str | None) -> Enclave:
    """Return one that names a class, or none."""
    spec = {"domain": "internal", "registries": ["registry.example"], "largest": {"cpu": 1, "memory": "1Gi"}}
    about = {"name": "cluster", "title": "A cluster", "owner": "us"}
    content = {"apiVersion": "hub-ext/v1", "kind": "Enclave", "metadata": about}
    return Enclave.model_validate(content | {"spec": spec | {"storage_class": storage_class}})


async def seen(
    folder: Path,
    named: str | None,
    classes: Mapping[str, dict[str, str] | None],
    *,
    homes: bool = True,
    no: int = 0,
) -> Finding:
    """Look at a cluster with these classes (name → annotations); `no`: the API server says that instead."""
    server = ApiServer()

    async def refuse(_: web.Request) -> web.StreamResponse:
        return status(no, "Forbidden", "no")

    server.answers = [refuse] if no else []
    items: list[dict[str, Any]] = [
        {"metadata": {"name": name} | ({} if marks is None else {"annotations": marks})}
        for name, marks in classes.items()
    ]
    server.objects = {"/apis/storage.k8s.io/v1/storageclasses": {"items": items}}
    await server.start()
    cluster = await Cluster.connect(server.kubeconfig(folder))
    try:
        return await storage.look(cluster, enclave(named), homes=homes)
    finally:
        await cluster.close()
        await server.stop()


async def test_the_one_that_the_enclave_names(tmp_path: Path) -> None:
    found = await seen(tmp_path, "fast", {"fast": None, "slow": DEFAULT})
    assert (found.what, found.state, found.detail) == ("storage class", "ok", "homes are volumes of fast")


async def test_the_default_where_it_names_none(tmp_path: Path) -> None:
    found = await seen(tmp_path, None, {"fast": NO_DEFAULT, "slow": DEFAULT})
    assert (found.state, found.detail) == ("ok", "homes are volumes of slow, the default")


async def test_one_that_the_cluster_has_not_is_named_with_those_that_it_has(tmp_path: Path) -> None:
    found = await seen(tmp_path, "fats", {"slow": DEFAULT, "fast": None})
    assert (found.state, "the cluster has no fats" in found.detail) == ("fail", True)
    assert "The cluster has fast, slow" in found.advice
    assert "enclave.spec.storage_class" in found.advice


@pytest.mark.parametrize("classes", [{}, {"fast": None, "slow": NO_DEFAULT}])
async def test_none_that_is_the_default(tmp_path: Path, classes: dict[str, dict[str, str] | None]) -> None:
    found = await seen(tmp_path, None, classes)
    assert (found.state, "none is the default" in found.detail) == ("fail", True)
    assert ("The cluster has fast, slow" if classes else "The cluster has none at all") in found.advice
    assert "make one the default" in found.advice


async def test_nothing_fails_yet_where_no_profile_has_a_home(tmp_path: Path) -> None:
    assert (await seen(tmp_path, None, {}, homes=False)).state == "warn"
    assert (await seen(tmp_path, "fast", {"fast": None}, homes=False)).state == "ok"


async def test_an_account_that_may_not_look_says_so_and_another_no_is_no_finding(tmp_path: Path) -> None:
    named, unnamed = [await seen(tmp_path, name, {}, no=403) for name in ("fast", None)]
    assert (named.state, named.detail) == ("warn", "this account may not look whether there is fast")
    assert (unnamed.state, unnamed.detail) == ("warn", "this account may not look whether one is the default")
    assert "kubectl get storageclasses" in named.advice
    with pytest.raises(ApiError):
        await seen(tmp_path, "fast", {}, no=400)
