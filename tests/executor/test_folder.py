"""The launch folder: who is alive, what was told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub_ext.executor.events import EventFile
from hub_ext.executor.folder import RESERVED, Folder
from hub_ext.executor.main import wait_for_go


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "l-1")
    folder.make()
    return folder


def test_a_lock_is_held_as_long_as_its_process_lives(folder: Folder) -> None:
    assert not folder.is_locked()
    code = "import pathlib, subprocess, sys\nfrom hub_ext.executor.folder import Folder\n"
    take = "Folder(pathlib.Path(sys.argv[1])).take_lock()\n"
    wait = "child = subprocess.Popen(['sleep', '60'])\nprint(child.pid, flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code + take + wait, str(folder.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        assert folder.is_locked()
        assert folder.is_locked()
        holder.kill()
        holder.wait()
        assert not folder.is_locked()  # the child does not hold it
        os.kill(child, 9)


def test_an_outcome_is_written_whole_into_space_that_was_kept(folder: Folder) -> None:
    folder.reserve_outcome()
    assert folder.reserve.stat().st_size == RESERVED
    assert folder.read_outcome() is None
    folder.write_outcome({"state": "succeeded"})
    assert folder.read_outcome() == {"state": "succeeded"}
    assert not folder.reserve.exists()
    folder.outcome.write_text("{")
    assert folder.read_outcome() is None


def test_events_are_read_from_any_line_on_and_broken_lines_are_skipped(folder: Folder) -> None:
    assert list(folder.read_events(0)) == []
    assert not folder.has_begun()
    events = EventFile(folder.events, 10_000)
    events.add("begun")
    events.add("run_started", cells=2)
    assert folder.has_begun()
    with folder.events.open("ab") as stream:
        stream.write(b'{"t": 1, "ty\n[1]\n{"type": 3}\n')
    events.add("finished")
    with folder.events.open("ab") as stream:
        stream.write(b'{"type": "half')
    found = list(folder.read_events(0))
    assert [event["type"] for _, event in found] == ["begun", "run_started", "finished"]
    assert [event["type"] for _, event in folder.read_events(found[0][0])] == ["run_started", "finished"]
    assert list(folder.read_events(found[-1][0])) == []
    events.close()


def test_output_events_stop_at_the_limit_and_others_go_on(folder: Folder) -> None:
    events = EventFile(folder.events, 1000)
    for _ in range(30):
        events.output(0, "stream", name="stdout", text="x" * 100)
    events.add("finished")
    kinds = [event["type"] for _, event in folder.read_events(0)]
    assert kinds == ["output"] * 5 + ["truncated", "finished"]
    events.close()


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b'{"go": true, "secrets": {"A": "b"}}\n', {"A": "b"}),
        (b'{"go": true}\n', {}),
        (b"", None),
        (b'{"go": fal', None),
        (b'{"go": "yes"}\n', None),
        (b"[]\n", None),
    ],
)
def test_nothing_runs_without_the_word_to_go(sent: bytes, heard: dict[str, str] | None) -> None:
    reader, writer = os.pipe()
    os.write(writer, sent)
    os.close(writer)
    assert wait_for_go(reader) == heard


def test_nothing_heavy_is_imported_before_the_lock_is_held() -> None:
    code = (
        "import sys, json, hub_ext.executor.main\nprint(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", code])))
    assert loaded.isdisjoint({"papermill", "nbclient", "nbconvert", "nbformat", "jupyter_client", "zmq", "psutil"})
    assert "sqlalchemy" not in loaded
