"""Figures for Prometheus: denied to all but admins and auditors, true, and without a word about persons."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.functional.conftest import Platform

pytestmark = [pytest.mark.functional]

PATH = "/services/workflows/metrics"


def figures(platform: Platform, name: str) -> dict[str, float]:
    answer = platform.api(name).get(PATH)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(sample.labels.values()) if sample.name != "hub_ext_info" else ""
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_a_stranger_and_a_colleague_get_nothing(platform: Platform) -> None:
    assert httpx.get(f"{platform.url}{PATH}", trust_env=False).status_code == 401
    for name in ("mira", "clara"):
        answer = platform.api(name).get(PATH)
        assert answer.status_code == 403
        assert "hub_ext_" not in answer.text
    narrow = platform.api("aude", ["access:services!service=workflows"])
    assert narrow.get(PATH).status_code == 403


def test_an_admin_and_an_auditor_get_what_is_so(platform: Platform) -> None:
    for name in ("admin", "aude"):
        found = figures(platform, name)
        assert found["hub_ext_info"] == 1
        assert found["hub_ext_catalog_last_load_failed"] == 0
        assert found["hub_ext_catalog_problems"] == 0
        assert found["hub_ext_policy_rules"] >= 25
