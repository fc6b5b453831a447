"""Runs with the rights of the service's own account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.kubernetes.platforms import ClusterPlatform
from tests.kubernetes.test_runs import PROFILES, Analyst, free_port

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster


@pytest.fixture(scope="module")
def platform(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlatform]:
    """A platform whose service has an account of its own."""
    url = f"http://{cluster.host}:{free_port(cluster.host)}"
    made = ClusterPlatform(tmp_path_factory.mktemp("faults"), cluster, HUB_EXT_PODS_EXECUTORS_URL=url)
    try:
        made.start()
        made.approve(PROFILES[0])
        yield made
    finally:
        made.close()


def test_a_run_needs_no_more_rights_than_the_account_of_the_service_has(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "ann")
    found = ann.ended(ann.run("print(6 * 7)"))
    assert (found["state"], found["reason"]) == ("succeeded", "")
    ann.is_clean(40)
