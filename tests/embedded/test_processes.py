"""Processes that are recorded, found again, and ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hub_ext.embedded.processes import Recorded, descendants, end, free_port, port_is_free, start_time


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_recorded_process_is_found_again(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    recorded = Recorded.of(sleeper.pid)
    assert recorded is not None
    recorded.save(tmp_path / "one.json")
    again = Recorded.load(tmp_path / "one.json")
    assert again == recorded
    assert again.alive
    assert again.process() == psutil.Process(sleeper.pid)


def test_another_process_with_the_same_id_is_not_it(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"pid": sleeper.pid, "started": "another boot:17"}))
    recorded = Recorded.load(tmp_path / "one.json")
    assert recorded is not None
    assert not recorded.alive
    assert recorded.process() is None
    assert sleeper.poll() is None


def test_a_process_that_has_ended_is_not_alive_even_as_a_zombie(sleeper: subprocess.Popen[bytes]) -> None:
    recorded = Recorded.of(sleeper.pid)
    assert recorded is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, its status not yet read
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE
    assert not recorded.alive
    assert start_time(sleeper.pid) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x", "started": 1}', '{"pid": 1}', "null"])
def test_a_damaged_record_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.json").write_text(text)
    assert Recorded.load(tmp_path / "one.json") is None


@pytest.mark.parametrize("pid", [0, -1, 2**30])
def test_an_id_that_no_process_has_gives_no_record(pid: int) -> None:
    assert Recorded.of(pid) is None


def test_the_end_is_asked_for_and_then_forced() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        end([psutil.Process(process.pid)], 0.3)
        assert time.monotonic() - began < 15
        assert process.wait(5) == -signal.SIGKILL


def test_a_process_that_goes_when_asked_is_not_waited_for(sleeper: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    end([psutil.Process(sleeper.pid)], 30)
    assert time.monotonic() - began < 15
    assert sleeper.wait(5) == -signal.SIGTERM


def test_descendants_are_all_generations() -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        found = descendants(psutil.Process(process.pid))
        assert {one.pid for one in found} == {process.pid, child}
        end(found, 0)


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        assert free_port(port) != port
    assert free_port(port) == port


def test_a_free_port_is_none_that_an_outgoing_connection_could_have() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 < free_port() < lowest for _ in range(50))
