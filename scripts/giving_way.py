"""Run a command that gives way: the processors are for others first, and what they leave is for it.

    python scripts/giving_way.py COMMAND…

A nice value alone does not do that on Linux, where sessions share the processors as if each were one process. So the
command gets a control group of little weight, for which one needs to be root; everybody else gets the nice value alone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_SHARES = 128  # of 1,024 that a group or a session has otherwise (cgroup v1)
_WEIGHT = 12  # of 100 (cgroup v2)
_PATIENCE = 30.0  # seconds


def main(command: list[str]) -> int:
    """Run the command; return its exit code, or 128 and the signal that ended it.

    Args:
        command: A program and its arguments.
    """
    with little_weight():
        code = subprocess.run(command, check=False).returncode
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def little_weight() -> Iterator[None]:
    """Have this process, and what it starts, give way."""
    os.nice(19)
    try:
        group, before = enter()
    except OSError:  # no control groups here, or not for us
        yield
        return
    try:
        yield
    finally:
        (before / "cgroup.procs").write_text(str(os.getpid()))
        remove(group)


def enter() -> tuple[Path, Path]:
    """Go into a new control group of little weight; return it, and the one that this process came from.

    Raises:
        OSError: There can be none.
    """
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    places = {name: path for _, names, path in lines for name in names.split(",")}
    if "cpu" in places:
        root, setting, value = _ROOT / "cpu", "cpu.shares", _SHARES
    else:
        root, setting, value = _ROOT, "cpu.weight", _WEIGHT
        (root / "cgroup.subtree_control").write_text("+cpu")
    before = root / places.get("cpu", places.get("", "/")).lstrip("/")
    group = root / f"giving-way-{os.getpid()}"
    group.mkdir()
    try:
        (group / setting).write_text(str(value))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        group.rmdir()
        raise
    return group, before


def remove(group: Path) -> None:
    """Remove a control group. One that somebody is still in stays."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # busy until its last process is buried
            group.rmdir()
            return
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
