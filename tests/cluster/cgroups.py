"""The control group that a cluster's pods are in. Control groups outlive processes, so they are removed by hand."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.errors import ClusterError

ROOT = Path("/sys/fs/cgroup")
_PATIENCE = 30.0  # seconds


def hierarchies() -> list[Path]:
    """Return the root of each hierarchy: one for cgroup v2, one for each controller of v1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return sorted(
        one for one in ROOT.iterdir() if one.is_dir() and not one.is_symlink() and (one / "cgroup.procs").exists()
    )


def make(name: str) -> None:
    """Make a group in every hierarchy.

    Args:
        name: Its name, below the root.
    """
    for root in hierarchies():
        group = root / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # v1 begins with none, so that nothing could run
            if (group / setting).exists() and root.name == "cpuset":
                (group / setting).write_text((root / setting).read_text())
        if (root / "cgroup.controllers").exists() and root == ROOT:
            _delegate(root)


def _delegate(root: Path) -> None:
    """Let a group of v2 have every controller that there is."""
    for controller in (root / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (root / "cgroup.subtree_control").write_text(f"+{controller}")


def found(prefix: str) -> list[Path]:
    """Return the groups directly below a root whose name begins so."""
    return [group for root in hierarchies() for group in root.glob(f"{prefix}*") if group.is_dir()]


def empty(group: Path) -> bool:
    """Return whether no process is in a group or below it."""
    with contextlib.suppress(FileNotFoundError):
        return not any((one / "cgroup.procs").read_text().strip() for one in _below(group))
    return True


def remove(name: str) -> None:
    """Remove a group and all below it, in every hierarchy; its processes have been ended.

    Raises:
        ClusterError: Somebody is still in it.
    """
    deadline = time.monotonic() + _PATIENCE
    for root in hierarchies():
        while (root / name).exists():
            for group in _below(root / name):
                with contextlib.suppress(OSError):  # busy until its last process is buried
                    group.rmdir()
            if time.monotonic() > deadline:
                raise ClusterError(f"Control group {root / name} is still in use.")
            time.sleep(0.02)


def _below(group: Path) -> Iterator[Path]:
    """Yield the groups below one, the deepest first, and then itself."""
    for folder, _, _ in os.walk(group, topdown=False):
        yield Path(folder)
