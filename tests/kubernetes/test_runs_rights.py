"""Runs with the rights of the service's own account."""

from __future__ import annotations

import json
import subprocess

from tests.functional.conftest import COMMAND
from tests.kubernetes.platforms import ClusterPlatform
from tests.kubernetes.test_runs import Analyst


def test_a_run_needs_no_more_rights_than_the_account_of_the_service_has(platform: ClusterPlatform) -> None:
    ann = Analyst(platform, "ann")
    found = ann.ended(ann.run("print(6 * 7)", profile="scratch"))
    assert (found["state"], found["reason"]) == ("succeeded", "")
    ann.is_clean(40)


def _doctor(platform: ClusterPlatform, **more: str) -> dict[str, str]:
    command = [COMMAND[0], "doctor", "--json"]
    environ = platform.environment | {"HUB_EXT_URL": platform.url} | more
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return {one["detail"]: one["state"] for one in json.loads(done.stdout) if one["what"] == "rights"}


def test_the_doctor_tells_what_our_account_may_do_and_one_that_is_none_of_ours(platform: ClusterPlatform) -> None:
    ours = _doctor(platform)
    assert ours["hub-ext-hub may do what it needs, and no more"] == "ok"
    admins = _doctor(platform, HUB_EXT_KUBECONFIG=str(platform.cluster.kubeconfig))
    assert [detail for detail, state in admins.items() if state == "warn" and "is none of ours" in detail]
