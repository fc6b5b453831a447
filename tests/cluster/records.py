"""Which clusters there are on this machine, so that what a killed one left is found whatever its folder was."""

from __future__ import annotations

import json
from pathlib import Path

from hub_ext.embedded.processes import Recorded
from tests.cluster import cgroups
from tests.cluster.layout import Layout, cache


def _folder() -> Path:
    return cache() / "clusters"


def write(layout: Layout) -> None:
    """Write down that a cluster is about to be made."""
    _folder().mkdir(parents=True, exist_ok=True)
    (_folder() / f"{layout.id}.json").write_text(json.dumps({"folder": str(layout.folder)}))


def forget(layout: Layout) -> None:
    """Write down that a cluster is gone."""
    (_folder() / f"{layout.id}.json").unlink(missing_ok=True)


def sweep() -> list[str]:
    """Remove what killed clusters left on this machine outside of their folders: control groups, and nothing else.

    Processes, mounts, network devices and packet filter rules went with the node's first process.

    Returns:
        The folders of those clusters.
    """
    swept = []
    for path in sorted(_folder().glob("*.json")):
        layout = Layout(Path(json.loads(path.read_text())["folder"]))
        first = Recorded.load(layout.record("node"))
        if first is None or not first.alive:
            cgroups.remove(layout.cgroup)
            path.unlink()
            swept.append(str(layout.folder))
    return swept
