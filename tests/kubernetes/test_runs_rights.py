"""Runs with the rights of the service's own account."""

from __future__ import annotations

from tests.kubernetes.platforms import ClusterPlatform
from tests.kubernetes.test_runs import Analyst


def test_a_run_needs_no_more_rights_than_the_account_of_the_service_has(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "ann")
    found = ann.ended(ann.run("print(6 * 7)", profile="scratch"))
    assert (found["state"], found["reason"]) == ("succeeded", "")
    ann.is_clean(40)
