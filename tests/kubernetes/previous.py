"""The commit before this one, as its chart and images: what an upgrade comes from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.layout import PROJECT

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

SHIPPED = ("helm", "hub_ext", "images", "executor", "locks")
_IMAGES = """
import json, sys
from tests.kubernetes.conftest import used_cluster
made = used_cluster().local.add_chart(lambda text: print(text, file=sys.stderr))
print(json.dumps({name: made[f"hub-ext/{name}"] for name in ("hub", "proxy", "postgresql")}))
"""


def commit() -> str:
    """Return the last commit before this one that changed what ships; `HUB_EXT_PREVIOUS` names another.

    A test that needs it is skipped where git knows none: in a copy without history.
    """
    if named := os.environ.get("HUB_EXT_PREVIOUS"):
        return named
    asked = ["git", "-C", str(PROJECT), "log", "-2", "--format=%H", "--", *SHIPPED]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    found = done.stdout.split()
    if len(found) < 2:
        pytest.skip("There is no commit before this one to come from: git has no history here.")
    return found[1]


def unpack(name: str, folder: Path) -> Path:
    """Return a folder with the files of a commit.

    Args:
        name: The commit.
        folder: Where; it is made.
    """
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", str(PROJECT), "archive", name], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def images(source: Path, cluster: UsedCluster) -> dict[str, str]:
    """Build the chart's images as a commit has them, and have the cluster pull them; return their names.

    Args:
        source: The files of the commit.
        cluster: The cluster.
    """
    if cluster.local is None:
        pytest.skip("The images of the commit before are built for a cluster of this machine alone.")
    environment = os.environ | {"PYTHONPATH": str(source), "HUB_EXT_CLUSTER": str(cluster.local.layout.folder)}
    done = subprocess.run(
        [sys.executable, "-c", _IMAGES], cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found
