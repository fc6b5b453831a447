"""kill -9 of any part at any moment: every run reaches its true state, none runs twice, none is lost."""

from __future__ import annotations

import json
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

ROOT = Path(__file__).resolve().parents[2]
TRUE_WITHIN = 10.0  # seconds after the next service is up
Row = Callable[[str], Run]

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


class Process:
    """A service process, as `subprocess.Popen` would have it.

    Attributes:
        pid: Its id.
        returncode: How it ended; None while that is not known.
    """

    def __init__(self, driver: Driver, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._driver = driver

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._driver.ask(ended=self.pid)
        return self.returncode

    def wait(self, seconds: float = 30) -> int:
        wait(lambda: self.poll() is not None, seconds)
        assert self.returncode is not None
        return self.returncode

    def send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def terminate(self) -> None:
        self.send(signal.SIGTERM)


class Driver:
    """Makes service processes; see `driver.py`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.runs.driver"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def ask(self, **what: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def start(self, state: Path, checkpoint: str, environment: dict[str, str]) -> Process:
        return Process(self, self.ask(state=str(state), checkpoint=checkpoint, environment=environment))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """Makes service processes."""
    made = Driver()
    yield made
    made.close()


Drive = Callable[..., Process]


@pytest.fixture
def drive(settings: HubExt, runtime: LocalRuntime, driver: Driver) -> Iterator[Drive]:
    """Start a service process."""
    started: list[Process] = []

    def drive(checkpoint: str = "") -> Process:
        process = driver.start(settings.state, checkpoint, {"HUB_EXT_DATABASE_URL": str(settings.database_url)})
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


def kill(process: Process) -> None:
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
