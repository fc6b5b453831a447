"""The alert rules and the dashboard that ship: checked by promtool, and about figures that there are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from hub_ext.db.session import Database
from hub_ext.governance.store import CatalogStore
from hub_ext.repository.syncing import Repository
from hub_ext.settings import HubExt
from hub_ext.web.figures import Traffic
from hub_ext.web.metrics import exposition

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "monitoring"
OURS = re.compile(r"\bhub_ext_[a-z_]+")
HUBS = re.compile(r"\bjupyterhub_[a-z_]+")
# Where profiles come from a repository; tests/repository sees these.
OF_A_REPOSITORY = {"hub_ext_profiles_sync_ok", "hub_ext_profiles_sync_age_seconds"}


def expressions() -> str:
    """Return every expression of rules and dashboard."""
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return "\n".join([one["expr"] for one in rules] + [one["expr"] for panel in panels for one in panel["targets"]])


@pytest.fixture(scope="module")
def promtool() -> str:
    found = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "promtool.py")], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


@pytest.mark.parametrize("command", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_promtool_finds_nothing_wrong(promtool: str, command: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_that_is_shown_is_one(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text((FOLDER / "alerts.yaml").read_text())
    token = tmp_path / "token"
    token.touch()
    text = (FOLDER / "prometheus.yaml").read_text().replace("/etc/prometheus/hub-ext-token", str(token))
    (tmp_path / "prometheus.yaml").write_text(text)
    command = [promtool, "check", "config", "prometheus.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
    (_, bad) = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    assert bad["promql_expr_test"][0]["exp_samples"][0]["value"] == len(rules)
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "description"}


def test_every_figure_that_is_asked_for_is_one_of_ours(settings: HubExt, database: Database) -> None:
    catalog = CatalogStore(settings, database)
    context: Any = SimpleNamespace(
        catalog=catalog, database=database, repository=Repository(database, catalog, settings)
    )
    traffic = Traffic()
    handler = SimpleNamespace(
        request=SimpleNamespace(method="GET", request_time=lambda: 0.1), get_status=lambda: 200, streams=False
    )
    traffic.answered(handler)  # type: ignore[arg-type]  # what it looks at
    text = (exposition(context) + generate_latest(traffic.registry)).decode()
    there = set(OURS.findall(text))
    assert set(OURS.findall(expressions())) - there == OF_A_REPOSITORY


def test_every_figure_that_is_asked_of_the_hub_is_one_of_jupyterhubs() -> None:
    ask = (
        "from jupyterhub import metrics; from prometheus_client import REGISTRY; print(*REGISTRY._names_to_collectors)"
    )
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert set(HUBS.findall(expressions())) - set(said.split()) == set()
