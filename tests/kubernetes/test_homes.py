"""The home of somebody who left, as a volume: kept, given back, and removed by the Hub's own account alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kubernetes.conftest import UsedCluster
from tests.kubernetes.platforms import API, PROFILES, ClusterPlatform, Person, wait_for

pytestmark = pytest.mark.functional

CLAIM = "persistentvolumeclaims"


@pytest.fixture(scope="module")
def leaving(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlatform]:
    """A platform that keeps homes of people who left no longer than it takes to confirm it."""
    made = ClusterPlatform(tmp_path_factory.mktemp("leaving"), cluster, proxied=False, HUB_EXT_HOME_KEPT_DAYS="0")
    try:
        made.start()
        made.approve(PROFILES[0])
        yield made
    finally:
        made.close()


def home_of(platform: ClusterPlatform, person: Person) -> dict[str, Any]:
    """Return what an admin is told of somebody's home; nothing where it is not listed."""
    items = platform.api("admin").get(f"{API}/homes").json()["items"]
    return next((one for one in items if one["name"] == person.name), {})


def leave(platform: ClusterPlatform, name: str) -> Person:
    """Have somebody write into her home, and block her."""
    person = platform.person(name)
    person.start("small")
    person.kubectl("exec", "server", "-n", person.namespace, "--", "touch", "/home/analyst/thesis")
    block = platform.api("admin").put(f"{API}/people/{person.name}/block", json={"reason": "Left."})
    assert block.status_code == 200, block.text
    wait_for(lambda: home_of(platform, person).get("state") == "kept")
    return person


def test_a_volume_is_kept_and_goes_when_an_admin_confirms_it_and_nothing_else_does(leaving: ClusterPlatform) -> None:
    person, admin = leave(leaving, "vera"), leaving.api("admin")
    found = home_of(leaving, person)
    assert found["place"] == f"the volume {person.namespace}/home"
    assert found["size"] == 2**30
    assert person.has(CLAIM) == ["PersistentVolumeClaim/home"]
    body = {"names": [person.name]}
    assert leaving.api("clara").post(f"{API}/homes/removal", json=body).status_code == 403
    assert admin.post(f"{API}/homes/removal", json=body).status_code == 202
    assert admin.post(f"{API}/homes/removal", json=body).status_code in (404, 409)
    wait_for(lambda: home_of(leaving, person).get("state") == "removed")
    wait_for(lambda: person.has(CLAIM) == [])
    assert person.has("resourcequotas") == ["ResourceQuota/hub-ext"]  # the namespace stays closed and bounded


def test_whoever_is_let_in_again_has_the_same_volume(leaving: ClusterPlatform) -> None:
    person, admin = leave(leaving, "vida"), leaving.api("admin")
    assert admin.delete(f"{API}/people/{person.name}/block").status_code == 204
    wait_for(lambda: not home_of(leaving, person))
    assert admin.post(f"{API}/homes/removal", json={"names": [person.name]}).status_code == 404
    assert person.has(CLAIM) == ["PersistentVolumeClaim/home"]


def test_a_volume_that_is_not_hers_by_its_labels_is_left_alone(leaving: ClusterPlatform) -> None:
    person, admin = leave(leaving, "vroni"), leaving.api("admin")
    person.kubectl("label", CLAIM, "home", "-n", person.namespace, "hub-ext/user=somebody-else", "--overwrite")
    assert admin.post(f"{API}/homes/removal", json={"names": [person.name]}).status_code == 202
    wait_for(lambda: "not made for this person" in home_of(leaving, person)["hindrance"])
    assert person.has(CLAIM) == ["PersistentVolumeClaim/home"]
