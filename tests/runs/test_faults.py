"""kill -9 of any part at any moment: every run reaches its true state, none runs twice, none is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Run
from hub_ext.executor.folder import MARKER
from hub_ext.runs.service import Order, RunService
from hub_ext.runs.states import ENDED
from hub_ext.runtimes.identity import marked
from hub_ext.runtimes.local import LocalRuntime
from hub_ext.settings import HubExt
from tests.timing import Pauses

# Each takes seconds; on PostgreSQL, those in which two processes meet in the database.
pytestmark = pytest.mark.backends("sqlite")
BOTH = pytest.mark.backends("sqlite", "postgresql")

TRUE_WITHIN = 10.0  # seconds after the next service is up
Row = Callable[[str], Run]
Drive = Callable[..., subprocess.Popen[bytes]]

# Each execution leaves a line in a file outside of its own folder, so that a second one would be seen.
CELLS = (
    "import time\nwith open(marks, 'a') as stream: stream.write('ran\\n')\nprint('first')",
    "import os\nfor _ in range(600):\n    if os.path.exists(gate): break\n    time.sleep(0.05)\nprint('second')",
)


def wait(look: Callable[[], Any], seconds: float) -> Any:
    deadline, pause = time.monotonic() + seconds, Pauses()
    while time.monotonic() < deadline:
        if found := look():
            return found
        pause()
    raise AssertionError(f"not within {seconds} seconds")


class Case:
    """One run, its gate, and its marks."""

    def __init__(self, service: RunService, workflow_id: str, person: Any, folder: Path, row: Row) -> None:
        self.gate, self.marks = folder / "gate", folder / "marks"
        self._row = row
        order = Order({"gate": str(self.gate), "marks": str(self.marks)})
        self.id = service.create(person, workflow_id, order).run.id

    @property
    def row(self) -> Run:
        return self._row(self.id)

    def open(self) -> None:
        self.gate.touch()

    def executions(self) -> int:
        return len(self.marks.read_text().splitlines()) if self.marks.exists() else 0

    def until_begun(self) -> None:
        wait(lambda: self.executions() and self.row.state == "running", 30)

    def until_ended(self, seconds: float) -> Run:
        return wait(lambda: found if (found := self.row).state in ENDED else None, seconds)


@pytest.fixture
def drive(settings: HubExt, runtime: LocalRuntime) -> Iterator[Drive]:
    """Start a service process."""
    started: list[subprocess.Popen[bytes]] = []

    def drive(checkpoint: str = "") -> subprocess.Popen[bytes]:
        quickly = "import runpy, sys; from hub_ext.executor.lean import without_slow_imports; without_slow_imports()"
        script = f"{quickly}; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
        driver = str(Path(__file__).with_name("driver.py"))
        command = [sys.executable, "-c", script, driver, str(settings.state)]
        environment = {**os.environ, "HUB_EXT_DATABASE_URL": str(settings.database_url)}
        process = subprocess.Popen([*command, *([checkpoint] if checkpoint else [])], env=environment)
        started.append(process)
        wait(lambda: (settings.state / f"up-{process.pid}").exists() or process.poll() is not None, 60)
        return process

    yield drive
    for process in started:
        process.kill()
        process.wait()
    for launch_id in runtime.launches():
        runtime.end(launch_id, None)


@pytest.fixture
def case(service: RunService, publish: Callable[..., str], amy: Any, tmp_path: Path, row: Row) -> Callable[[], Case]:
    """Order a run that waits at a gate."""
    workflow_id = publish(*CELLS, parameters="marks: str = ''\ngate: str = ''")

    def case() -> Case:
        folder = tmp_path / f"case-{time.monotonic_ns()}"
        folder.mkdir()
        return Case(service, workflow_id, amy, folder, row)

    return case


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    "checkpoint",
    [
        "before:launch_of",
        "after:make",
        "after:start",
        "before:go",
        "after:go",
        "after:progress",
        "before:collect",
        "after:put_file",
        "before:end",
        "before:delete",
        "before:remove",
    ],
)
def test_a_service_that_is_killed_at_any_moment(
    checkpoint: str, drive: Drive, case: Callable[[], Case], runtime: LocalRuntime
) -> None:
    run = case()
    run.open()
    first = drive(checkpoint)
    first.wait(30)
    assert first.returncode == -signal.SIGKILL
    drive()
    row = run.until_ended(TRUE_WITHIN)
    assert (row.state, row.reason, run.executions()) == ("succeeded", "", 1)
    assert row.report
    wait(lambda: not runtime.launches(), 5)


@BOTH
def test_a_live_run_is_adopted(drive: Drive, case: Callable[[], Case]) -> None:
    run = case()
    first = drive()
    run.until_begun()
    kill(first)
    process = run.row.process
    drive()
    wait(lambda: run.row.cells_done == 2, TRUE_WITHIN)  # the parameters, and the first cell
    assert run.row.state == "running"
    run.open()
    row = run.until_ended(TRUE_WITHIN)
    assert (row.state, row.process, run.executions()) == ("succeeded", process, 1)


def test_a_run_that_ended_while_nobody_looked_is_put_away(drive: Drive, case: Callable[[], Case]) -> None:
    run = case()
    first = drive()
    run.until_begun()
    kill(first)
    pid = (run.row.process or {})["pid"]
    run.open()
    wait(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), 20)
    assert run.row.state == "running"
    drive()
    row = run.until_ended(TRUE_WITHIN)
    assert (row.state, row.cells_done, run.executions()) == ("succeeded", 3, 1)


@pytest.mark.parametrize("service_too", [False, True], ids=["alone", "with the service"])
@pytest.mark.parametrize("victim", ["executor", "kernel", "both"])
def test_an_executor_or_kernel_that_is_killed(
    victim: str, service_too: bool, drive: Drive, case: Callable[[], Case]
) -> None:
    run = case()
    first = drive()
    run.until_begun()
    launch_id, pid = str(run.row.launch_id), (run.row.process or {})["pid"]
    everybody = marked(MARKER, launch_id)
    if service_too:
        kill(first)
    for process in everybody:
        if victim == "both" or (victim == "executor") == (process.pid == pid):
            process.kill()
    if service_too:
        drive()
    row = run.until_ended(TRUE_WITHIN)
    words = {"executor": "executor was ended", "kernel": "kernel was ended by signal 9", "both": " was ended"}[victim]
    assert (row.state, run.executions()) == ("failed", 1)
    assert words in row.reason
    assert marked(MARKER, launch_id) == []


@pytest.mark.parametrize("service_too", [False, True], ids=["alone", "with the service"])
def test_a_launch_folder_that_is_deleted_while_the_run_goes_on(
    service_too: bool, drive: Drive, case: Callable[[], Case], runtime: LocalRuntime
) -> None:
    run = case()
    first = drive()
    run.until_begun()
    if service_too:
        kill(first)
    shutil.rmtree(runtime.folder(str(run.row.launch_id)).root)
    if service_too:
        drive()
    row = run.until_ended(TRUE_WITHIN)
    assert (row.state, run.executions()) == ("failed", 1)
    assert row.reason == "the folder of its launch was deleted while it ran, so it was ended"


@BOTH
def test_two_reconcilers_run_nothing_twice(drive: Drive, case: Callable[[], Case]) -> None:
    runs = [case() for _ in range(3)]
    for run in runs:
        run.open()
    first, second = drive(), drive()
    wait(lambda: runs[0].row.state != "queued", 20)
    kill(first)
    for run in runs:
        row = run.until_ended(40)
        assert (row.state, run.executions()) == ("succeeded", 1)
    assert second.poll() is None


def test_stopping_the_service_leaves_runs_going_and_frees_the_lease(drive: Drive, case: Callable[[], Case]) -> None:
    run = case()
    first = drive()
    run.until_begun()
    first.terminate()
    assert first.wait(10) == 0
    assert run.row.state == "running"
    drive()
    wait(lambda: run.row.cells_done == 2, 3)  # less than a lease lasts
    run.open()
    assert run.until_ended(TRUE_WITHIN).state == "succeeded"


def test_a_queued_run_survives_and_nothing_was_ever_lost(
    drive: Drive, case: Callable[[], Case], database: Database
) -> None:
    run = case()
    run.open()
    kill(drive())
    drive()
    assert run.until_ended(20).state == "succeeded"
    with database.read() as session:
        acts = list(session.scalars(select(AuditRow.action).where(AuditRow.object_id == run.id).order_by(AuditRow.id)))
    assert [act for act in acts if act != "run.launch"] == ["run.create", "run.start", "run.end"]
