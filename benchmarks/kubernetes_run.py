"""A run as a Job: request → succeeded, with report and notebook there; beside a plain Job with papermill.

Both on the same cluster and image, same two cells, one after the other. It needs a cluster, as the tests on one do:
`make cluster`, or KUBECONFIG with `HUB_EXT_TEST_IMAGE` and `HUB_EXT_TEST_HOST`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import nbformat

from benchmarks.harness import show, summary
from tests.kubernetes.conftest import UsedCluster, used_cluster
from tests.kubernetes.test_runs import API, ENDED, PROFILES, Analyst, RunsPlatform

_CELLS = ("print(n * 2)",)
_PARAMETERS = "n: int = 2"


def _notebook() -> str:
    node = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    )
    node.cells = [
        nbformat.v4.new_code_cell(_PARAMETERS, id="p", metadata={"tags": ["parameters"]}),
        *(nbformat.v4.new_code_cell(cell, id=f"c{number}") for number, cell in enumerate(_CELLS)),
    ]
    return str(nbformat.writes(node))


def _job(name: str, namespace: str, image: str, number: int) -> dict[str, Any]:
    command = ["papermill", "/notebook/two.ipynb", "/tmp/out.ipynb", "-p", "n", str(number)]
    container = {
        "name": "papermill",
        "image": image,
        "command": command,
        "env": [{"name": "HOME", "value": "/tmp"}],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "volumeMounts": [{"name": "notebook", "mountPath": "/notebook"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    volumes = [{"name": "notebook", "configMap": {"name": "notebook"}}, {"name": "tmp", "emptyDir": {}}]
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    about = {"name": name, "namespace": namespace}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}


def _ours(analyst: Analyst, workflow: str, number: int) -> float:
    began = time.perf_counter()
    run = analyst.order(workflow, n=number)
    while (found := analyst.get(run))["state"] not in ENDED:
        time.sleep(0.02)
    for what in ("report", "notebook"):
        analyst.client.get(f"{API}/runs/{run}/{what}").raise_for_status()
    took = time.perf_counter() - began
    if found["state"] != "succeeded":
        raise RuntimeError(found)
    return took


def _plain(cluster: UsedCluster, namespace: str, number: int) -> float:
    name = f"plain-{number}"
    began = time.perf_counter()
    cluster.kubectl.apply(_job(name, namespace, cluster.image, number))
    cluster.kubectl("wait", f"job/{name}", "-n", namespace, "--for=condition=complete", "--timeout=120s")
    return time.perf_counter() - began


def main(folder: Path, pairs: int = 7) -> None:
    """Print the figures."""
    cluster = used_cluster()
    folder.mkdir(parents=True, exist_ok=True)
    platform = RunsPlatform(folder, cluster)
    namespace = f"{platform.system}-plain"
    ours: list[float] = []
    theirs: list[float] = []
    try:
        platform.start()
        platform.approve(PROFILES[0])
        marks = {"hub-ext/platform": platform.system}
        cluster.kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": marks}},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "notebook", "namespace": namespace},
                "data": {"two.ipynb": _notebook()},
            },
        )
        analyst = Analyst(platform, "bench")
        workflow = analyst.publish(*_CELLS, parameters=_PARAMETERS)
        for number in range(pairs + 1):
            ours.append(_ours(analyst, workflow, number))
            theirs.append(_plain(cluster, namespace, number))
    finally:
        platform.close()
    ours, theirs = ours[1:], theirs[1:]  # the first pair makes the namespace, and fills the disk's cache
    ratios = [mine / peer for mine, peer in zip(ours, theirs, strict=True)]
    figures: dict[str, object] = {
        "ours (s)": summary(ours),
        "plain Job with papermill (s)": summary(theirs),
        "ours / plain": summary(ratios),
        "pairs": pairs,
        "image": json.dumps(cluster.image.partition("@")[0]),
    }
    show("run of a two-cell notebook as a Job", figures, "ours / plain <= 1.1")
