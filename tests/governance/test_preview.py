"""A start that is looked at and not made: its objects, a reason behind each line, the rules it would not meet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from hub_ext.catalog.loading import load
from hub_ext.errors import InvalidInput
from hub_ext.governance.preview import Wanted, preview
from hub_ext.governance.proposing import read_profile
from hub_ext.governance.views import as_file
from hub_ext.settings import shipped

CATALOG = load(shipped("profiles"))
STANDARD = CATALOG.versions("standard")[0]
AT = datetime(2026, 10, 3, 9, tzinfo=UTC)
HERE = {"default": "localhost/environment/default@sha256:" + "a" * 64}


def test_what_is_shown_is_what_a_start_makes_with_a_reason_for_every_line() -> None:
    found = preview(STANDARD, Wanted({"memory": "8Gi"}, "ann"), CATALOG, HERE, AT)
    assert list(yaml.safe_load_all(found.yaml())) == found.objects
    pod = next(number for number, one in enumerate(found.objects) if one["kind"] == "Pod")
    assert found.reasons[pod]["spec.containers[notebook].resources.limits.memory"] == "option memory=8Gi"
    assert found.reasons[pod]["metadata.namespace"] == "start user"
    assert found.start.image == HERE["default"]
    assert found.broken == []


def test_a_run_is_a_job_without_a_home() -> None:
    found = preview(STANDARD, Wanted({}, "ann", "run", "ignored"), CATALOG, None, AT)
    kinds = [one["kind"] for one in found.objects]
    assert kinds[-1] == "Job"
    assert "PersistentVolumeClaim" not in kinds
    assert "ignored" not in found.yaml()


def test_rules_that_it_would_not_meet_are_named() -> None:
    text = as_file(STANDARD).replace("request: 0.5", "request: 80").replace("limit: 2.0", "limit: 90")
    found = preview(read_profile(text), Wanted({}), CATALOG, HERE, AT)
    assert "cpu-limit" in [one["rule"] for one in found.as_dict()["broken"]]


@pytest.mark.parametrize(
    ("options", "field"),
    [({"memory": "5Gi"}, "options.memory"), ({"x": 1}, "options.x"), ({"idle": []}, "options.idle")],
)
def test_options_that_cannot_be_are_named(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        preview(STANDARD, Wanted(options), CATALOG, HERE, AT)
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("path", sorted(shipped("profiles").glob("[!_]*/*.yaml")), ids=lambda path: path.parent.name)
def test_a_version_as_a_file_is_the_same_version(path: Path) -> None:
    profile = read_profile(path.read_text())
    assert read_profile(as_file(profile)).digest == profile.digest
