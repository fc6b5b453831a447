"""The supervisor, as it is run: a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hub_ext.embedded import supervisor
from hub_ext.embedded.supervisor import pause_after

COMMAND = [sys.executable, "-S", str(supervisor.__file__)]


def until(what: Callable[[], object], seconds: float = 15) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    pytest.fail("it did not happen in time")


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def supervised() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([*COMMAND, "sleep", "60"])
    yield process
    process.kill()
    process.wait()


def worker_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    found = until(lambda: [one for one in children(process.pid) if one.name() == "sleep"])
    assert isinstance(found, list)
    return found[0]


def test_a_worker_that_dies_is_started_again_at_once(supervised: subprocess.Popen[bytes]) -> None:
    first = worker_of(supervised)
    first.kill()
    began = time.monotonic()
    second = until(lambda: [one for one in children(supervised.pid) if one.pid != first.pid and one.name() == "sleep"])
    assert second
    assert time.monotonic() - began < 3
    assert supervised.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_worker_when_it_is_told_to(
    supervised: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    worker = worker_of(supervised)
    supervised.send_signal(number)
    assert supervised.wait(10) == 0
    assert not worker.is_running()


def test_it_ends_when_its_parent_is_killed() -> None:
    code = f"import subprocess; print(subprocess.Popen({[*COMMAND, 'sleep', '60']!r}).pid, flush=True); input()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    pid = int(parent.stdout.readline())
    worker = until(lambda: [one for one in children(pid) if one.name() == "sleep"])
    assert isinstance(worker, list)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    gone = {psutil.STATUS_ZOMBIE, None}
    until(lambda: status(pid) in gone and status(worker[0].pid) in gone)


def status(pid: int) -> str | None:
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return None


def test_a_killed_supervisor_takes_its_worker_along(supervised: subprocess.Popen[bytes]) -> None:
    worker = worker_of(supervised)
    supervised.kill()
    supervised.wait()
    until(lambda: status(worker.pid) in {psutil.STATUS_ZOMBIE, None})


def test_it_writes_itself_down_and_the_workers_output_into_the_log(tmp_path: Path) -> None:
    from hub_ext.embedded.processes import Recorded

    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    environ = os.environ | {"HUB_EXT_STATE_DIR": str(tmp_path)}
    process = subprocess.Popen([*COMMAND, "sh", "-c", "echo hello; sleep 60"], env=environ)
    try:
        until(
            lambda: (
                (tmp_path / "logs" / "service.log").exists() and "hello" in (tmp_path / "logs/service.log").read_text()
            )
        )
        assert Recorded.load(tmp_path / "run" / "service.json") == Recorded.of(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def test_it_costs_little_memory(supervised: subprocess.Popen[bytes]) -> None:
    worker_of(supervised)
    assert psutil.Process(supervised.pid).memory_info().rss < 20 * 2**20


@pytest.mark.parametrize(
    ("lived", "failures", "pause"), [(10, 0, 0), (10, 7, 0), (0.1, 0, 0), (0.1, 1, 0.25), (0.1, 2, 0.5), (0.1, 30, 10)]
)
def test_the_pause_grows_only_while_the_worker_dies_at_once(lived: float, failures: int, pause: float) -> None:
    assert pause_after(lived, failures) == pause
