"""Executors as processes of this machine: waiting, found again, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from hub_ext.catalog.loading import load
from hub_ext.executor.folder import MARKER
from hub_ext.executor.spec import LaunchSpec
from hub_ext.runtimes import identity
from hub_ext.runtimes.base import Alive, Ended, Launch, Placement
from hub_ext.runtimes.identity import identify, marked, send, started
from hub_ext.runtimes.local import LocalRuntime
from hub_ext.settings import shipped

KERNEL = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")


PROFILE = load(shipped("profiles")).versions("standard")[-1]
PLACEMENT = Placement("ann", PROFILE.name, PROFILE.version, PROFILE.spec, "")

# A launch id marks processes of the whole machine: tests that run side by side must not share one.
ID = f"l-{os.getpid()}"


def launch(launch_id: str, *cells: str) -> Launch:
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    environment = {"PATH": os.environ["PATH"]}
    spec = LaunchSpec("r-1", "Rain", KERNEL, environment)
    return Launch(launch_id, spec, nbformat.writes(node).encode(), PLACEMENT)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[LocalRuntime]:
    made = LocalRuntime(tmp_path / "launches", tmp_path / "cache")
    yield made
    for launch_id in made.launches():
        made.end(launch_id, None)


def until(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def ended(runtime: LocalRuntime, launch_id: str) -> Ended:
    return until(lambda: found if isinstance(found := runtime.observe(launch_id), Ended) else None)


def test_a_launch_waits_for_the_word_to_go_and_then_runs(runtime: LocalRuntime, monkeypatch: Any) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret-token")
    waiting = runtime.start(launch(ID, "import os; print(sorted(os.environ))"))
    until(runtime.folder(ID).is_locked)
    assert runtime.observe(ID) == Alive(begun=False)
    pid = waiting.process["pid"]
    assert os.getsid(pid) == pid
    handles = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    assert len([one for one in handles if one.startswith("pipe:")]) == 1
    assert b"secret-token" not in Path(f"/proc/{pid}/environ").read_bytes()
    waiting.go({})
    found = ended(runtime, ID)
    assert found.begun
    assert (found.outcome or {})["state"] == "succeeded"
    assert "JUPYTERHUB" not in runtime.folder(ID).output.read_text()
    other = LocalRuntime(runtime.folder(ID).root.parent)
    assert other.launches() == [ID]
    assert other.observe(ID) == Ended(True, found.outcome, other.observe(ID).words)  # type: ignore[union-attr]
    runtime.remove(ID)
    assert runtime.launches() == []
    assert runtime.observe(ID) == Ended(False, None, "the executor was ended from outside", traced=False)


def test_a_launch_that_is_dropped_has_run_nothing(runtime: LocalRuntime) -> None:
    runtime.start(launch(ID, "1")).drop()
    found = ended(runtime, ID)
    assert (found.begun, found.outcome) == (False, None)
    assert list(runtime.folder(ID).work.iterdir()) == []


def test_an_executor_is_ended_with_every_process_that_bears_its_mark(runtime: LocalRuntime) -> None:
    source = "import subprocess, time\nsubprocess.Popen(['sleep', '300'], start_new_session=True)\ntime.sleep(300)"
    waiting = runtime.start(launch(ID, source))
    waiting.go({})
    until(lambda: len(marked(MARKER, ID)) == 3)
    runtime.end(ID, waiting.process)
    assert marked(MARKER, ID) == []
    found = ended(runtime, ID)
    assert (found.begun, found.outcome, found.words) == (True, None, "the executor was ended by signal 9")
    runtime.end(ID, waiting.process)


def test_an_executor_that_cannot_start_says_why(runtime: LocalRuntime) -> None:
    waiting = runtime.start(launch(ID, "1"))
    runtime.folder(ID).spec.write_text("not json")
    waiting.go({})
    assert ended(runtime, ID).words.startswith("the executor ended with exit code 1 (json.decoder.JSONDecodeError")


def test_going_to_a_dead_executor_is_no_error(runtime: LocalRuntime) -> None:
    waiting = runtime.start(launch(ID, "1"))
    os.kill(waiting.process["pid"], signal.SIGKILL)
    ended(runtime, ID)
    waiting.go({"A": "b"})
    waiting.drop()


def test_a_process_that_has_only_the_same_id_gets_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        process = identify(child.pid)
        assert not send({**process, "started": "another:1"}, signal.SIGKILL)
        assert not send({"pid": child.pid}, signal.SIGKILL)
        assert not send(None, signal.SIGKILL)
        assert not send({"pid": 1, "started": started(1)}, signal.SIGKILL)
        assert child.poll() is None
        assert send(process, signal.SIGKILL)
        until(lambda: started(child.pid) is None)  # a zombie is no process any more
        assert not send(process, signal.SIGKILL)


def test_a_process_is_known_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "Path", lambda _: Path("/nowhere"))
    assert started(os.getpid()) == started(os.getpid())
    assert started(os.getpid()) is not None


def test_fonts_are_looked_for_once(runtime: LocalRuntime) -> None:
    assert runtime.fonts is not None
    runtime.prepare()
    runtime.prepare()
    until(lambda: list(runtime.fonts.glob("fontlist-*.json")) if runtime.fonts else None, 60)
    again = LocalRuntime(runtime.folder("x").root.parent, runtime.fonts.parent)
    again.prepare()
    assert again._preparing is None
