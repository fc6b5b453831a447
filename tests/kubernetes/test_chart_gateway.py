"""The chart's route, as the Gateway API's own definitions have it: they come with its Go module.

That a Gateway serves it is seen in test_chart.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml

from tests.cluster import chart
from tests.kubernetes.charts import NAME, Helm, program
from tests.kubernetes.gateways import know_the_kinds
from tests.kubernetes.platforms import wait_for
from tests.kubernetes.test_chart_values import VALUES, merged

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

PARENT = {"name": "shared", "namespace": "gateways", "sectionName": "https"}


@pytest.fixture(scope="module")
def namespace(cluster: UsedCluster) -> Iterator[str]:
    """A namespace in a cluster that knows the kind."""
    know_the_kinds(cluster)
    kubectl, name = cluster.kubectl, f"chart-gateway-{uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def rendered(cluster: UsedCluster, folder: Path, **gateway: Any) -> list[dict[str, Any]]:
    """Return the routes of the chart."""
    values = folder / "values.yaml"
    values.write_text(json.dumps(merged(VALUES, {"gateway": {"enabled": True, "host": "hub.example", **gateway}})))
    helm = Helm(program(cluster), cluster.kubeconfig, folder)
    found = helm("template", NAME, str(chart.FOLDER), "--values", str(values), "--show-only", "templates/ingress.yaml")
    return [one for one in yaml.safe_load_all(found) if one]


def tried(cluster: UsedCluster, namespace: str, route: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Ask the API server what it says of a route."""
    command = [str(cluster.kubectl.program), "--kubeconfig", str(cluster.kubeconfig), "apply", "-n", namespace]
    options = ["--dry-run=server", "--validate=strict", "-f", "-"]
    return subprocess.run(
        [*command, *options], input=json.dumps(route), capture_output=True, text=True, timeout=60, check=False
    )


def test_the_route_is_one(cluster: UsedCluster, namespace: str, tmp_path: Path) -> None:
    (route,) = rendered(cluster, tmp_path, parentRefs=[PARENT])
    assert route["kind"] == "HTTPRoute"
    answer = wait_for(lambda: (found := tried(cluster, namespace, route)).returncode == 0 and found)
    assert "(server dry run)" in answer.stdout


def test_what_is_wrong_with_it_would_be_told(cluster: UsedCluster, namespace: str, tmp_path: Path) -> None:
    (route,) = rendered(cluster, tmp_path, parentRefs=[PARENT | {"nmae": "shared"}])
    assert "nmae" in tried(cluster, namespace, route).stderr
    (route,) = rendered(cluster, tmp_path, parentRefs=[PARENT], host="not a host")
    assert "hostnames" in tried(cluster, namespace, route).stderr
