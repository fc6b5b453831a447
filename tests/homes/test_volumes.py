"""Homes as volumes: that very claim, of that person and of this platform, and nothing while a server has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub_ext.errors import Unavailable
from hub_ext.homes.places import Hindered
from hub_ext.homes.volumes import Volumes
from hub_ext.kubernetes.client import Cluster
from hub_ext.kubernetes.objects import home_claim, marks_of_person
from hub_ext.settings import HubExt
from hub_ext.spawner.pods import Pods
from tests.manifests.api_server import ApiServer, status
from tests.manifests.conftest import api, cluster

__all__ = ["api", "cluster"]  # fixtures that are used here, too

CLAIM = "/api/v1/namespaces/hub-ext-lea/persistentvolumeclaims/home"


@pytest.fixture
async def pods(cluster: Cluster) -> Pods:
    """The Hub's view of pods, as the first list left it: there is none."""
    made = Pods(cluster, "hub-ext")
    made.watch.synced.set()
    return made


@pytest.fixture
async def volumes(pods: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    async def shared(settings: HubExt, system: str, namespace: str) -> Pods:
        assert (system, namespace) == ("hub-ext", "")
        return pods

    monkeypatch.setattr(Pods, "shared", shared)
    return Volumes(HubExt(state_dir=str(tmp_path)), lambda: "hub-ext")


def claim(api: ApiServer, user: str = "lea", system: str = "hub-ext", **about: Any) -> None:
    made = home_claim("home", "hub-ext-lea", marks_of_person(user, system), "10Gi", None)
    made["metadata"] |= {"uid": "u-1", **about}
    api.objects[CLAIM] = made | {"status": {"capacity": {"storage": "10Gi"}}}


def nothing() -> None:
    """Let it go."""


async def test_a_volume_is_found_with_its_size_and_deleted_as_that_very_one(volumes: Volumes, api: ApiServer) -> None:
    assert await volumes.find("lea") is None
    claim(api)
    found = await volumes.find("lea")
    assert found is not None
    assert (found.place, found.size, found.hindrance) == ("the volume hub-ext-lea/home", 10 * 2**30, "")
    assert not await volumes.taken("lea", found.identity)
    await volumes.take("lea", found, nothing)
    assert CLAIM not in api.objects
    assert await volumes.taken("lea", found.identity)
    claim(api, uid="u-2")  # she is back, with a new one
    assert await volumes.taken("lea", found.identity)


@pytest.mark.parametrize(("user", "system"), [("bob", "hub-ext"), ("lea", "another")])
async def test_what_is_another_person_s_or_another_platform_s_stays(
    volumes: Volumes, api: ApiServer, user: str, system: str
) -> None:
    claim(api, user, system)
    found = await volumes.find("lea")
    assert found is not None
    assert found.hindrance.startswith("It was not made for this person by this platform")
    with pytest.raises(Hindered):
        await volumes.take("lea", found, nothing)
    assert CLAIM in api.objects


async def test_one_that_is_being_deleted_is_none(volumes: Volumes, api: ApiServer) -> None:
    claim(api, deletionTimestamp="2026-01-01T00:00:00Z")
    assert await volumes.find("lea") is None
    assert await volumes.taken("lea", "u-1")


async def test_it_stays_while_a_pod_has_it_or_is_about_to(volumes: Volumes, pods: Pods, api: ApiServer) -> None:
    claim(api)
    found = await volumes.find("lea")
    assert found is not None
    with pods.reserve_home(("hub-ext-lea", "server"), {}), pytest.raises(Hindered, match="has it still"):
        await volumes.take("lea", found, nothing)
    assert CLAIM in api.objects
    await volumes.take("lea", found, nothing)
    assert pods.home_users(("hub-ext-lea", "server"), "home") == {}


async def test_no_server_gets_it_while_it_is_being_deleted(volumes: Volumes, pods: Pods, api: ApiServer) -> None:
    claim(api)
    found = await volumes.find("lea")
    assert found is not None
    seen: list[dict[str, bool]] = []

    async def looked(request: Any) -> Any:
        seen.append(pods.home_users(("hub-ext-lea", "server"), "home"))
        return await api.ordinary(request)

    api.answers = [looked]
    await volumes.take("lea", found, nothing)
    assert seen == [{"removal": False}]


async def test_a_cluster_that_refuses_or_does_not_answer_is_told(volumes: Volumes, pods: Pods, api: ApiServer) -> None:
    claim(api)
    found = await volumes.find("lea")
    assert found is not None

    async def refuse(request: Any) -> Any:
        return status(403, "Forbidden", "the account may not")

    api.answers = [refuse]
    with pytest.raises(Hindered, match="the account may not"):
        await volumes.take("lea", found, nothing)
    api.answers = [refuse]
    with pytest.raises(Unavailable):
        await volumes.find("lea")
    assert CLAIM in api.objects
