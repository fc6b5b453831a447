"""A command that gives way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "giving_way.py"


def gives_way(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *command], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
def test_it_ends_as_the_command_does(script: str, code: int) -> None:
    assert gives_way("sh", "-c", script).returncode == code


def test_what_the_command_starts_has_little_weight_in_sessions_of_its_own_too() -> None:
    done = gives_way("sh", "-c", "nice; setsid --wait nice; setsid --wait cat /proc/self/cgroup")
    assert done.stdout.splitlines()[:2] == ["19", "19"]
    if os.geteuid() == 0 and Path("/sys/fs/cgroup/cpu/cpu.shares").exists():
        assert ":cpu:/giving-way-" in done.stdout.replace("cpu,cpuacct", "cpu")


def test_nothing_of_it_stays() -> None:
    before = set(Path("/sys/fs/cgroup").glob("**/giving-way-*"))
    assert gives_way("true").returncode == 0
    assert set(Path("/sys/fs/cgroup").glob("**/giving-way-*")) <= before


def test_where_no_group_can_be_made_the_command_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import giving_way

    def refuses() -> None:
        raise PermissionError

    monkeypatch.setattr(giving_way, "enter", refuses)
    monkeypatch.setattr(os, "nice", lambda _: None)
    assert giving_way.main(["true"]) == 0
