"""Executors as in a pod, against the door of a service that may be away, cut what comes, or want an end."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.executor.folder import MARKER, Folder
from hub_ext.executor.remote import TOKEN, URL
from hub_ext.runs.mirror import Mirror
from hub_ext.runs.service import RunService
from hub_ext.settings import HubExt
from tests.runs.door import Door, Launched
from tests.web.conftest import amy, context, door, launched, order, publish, row, service, vault

__all__ = ["amy", "context", "door", "launched", "order", "publish", "row", "service", "vault"]

Launch = Callable[..., Launched]

CODE = "import sys; from pathlib import Path; from hub_ext.executor.remote import run; import os\n"
CODE += "code = run(dict(os.environ), Path(sys.argv[1])); sys.stderr.flush(); os._exit(code)"


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="


class Remote:
    """An executor that asks a door, and what the service has of it."""

    def __init__(self, launch: Launched, url: str, folder: Folder, root: Path) -> None:
        self.launch = launch
        self.folder = folder
        self.root = root
        environment = {"PATH": os.environ["PATH"], "GDAL_DATA": "/usr/share/gdal", "HUB_EXT_PROFILE": "standard"}
        environment |= {URL: url, MARKER: launch.id, TOKEN: launch.token}
        self.log = root / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", CODE, str(root)], env=environment, stderr=log)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for _, event in self.folder.read_events(0, limit=2**30) if event["type"] == kind]

    def streamed(self) -> str:
        return "".join(one["text"] for one in self.events("output") if one["kind"] == "stream")

    def until(self, look: Callable[[], Any], seconds: float = 30.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return found

    def wait(self, seconds: float = 60.0) -> int:
        return self.process.wait(seconds)

    def outcome(self) -> dict[str, Any]:
        assert self.wait() == 0, self.log.read_text()
        found = self.folder.read_outcome()
        assert found is not None
        return found

    def own(self) -> Folder:
        """The launch folder in the pod."""
        return Folder(self.root / self.launch.id)


@pytest.fixture
def remote(settings: HubExt, door: Door, tmp_path: Path) -> Iterator[Callable[..., Remote]]:
    """Start an executor for a launch."""
    started: list[Remote] = []

    def remote(launch: Launched, url: str = "") -> Remote:
        root = tmp_path / f"pod-{len(started)}"
        root.mkdir()
        started.append(Remote(launch, url or door.url, Mirror(settings.launches).folder(launch.id), root))
        return started[-1]

    yield remote
    for one in started:
        found = (
            [one.process, *psutil.Process(one.process.pid).children(recursive=True)]
            if one.process.poll() is None
            else []
        )
        for process in found:
            process.kill()
        one.process.wait()


def test_everything_that_a_run_leaves_comes_to_the_service(remote: Callable[..., Remote], launched: Launch) -> None:
    cells = (
        "import os\nprint(sorted(os.environ), n)",
        "from pathlib import Path\nPath('deep').mkdir(); Path('deep/ü 1.csv').write_text('a,b'); Path('empty').touch()",
        f"from IPython.display import Image, display\nimport base64\ndisplay(Image(base64.b64decode({PIXEL!r})))",
    )
    one = remote(launched(*cells, parameters="n: int = 2", values={"n": 21}))
    outcome = one.outcome()
    assert (outcome["state"], outcome["reason"], outcome["cells_done"]) == ("succeeded", "", 4)
    assert one.folder.events.read_bytes() == one.own().events.read_bytes()
    for name in ("report", "output", "picture"):
        assert getattr(one.folder, name).read_bytes() == getattr(one.own(), name).read_bytes()
    assert [path.relative_to(one.folder.work).as_posix() for path, _ in one.folder.files()] == ["empty", "deep/ü 1.csv"]
    assert "GDAL_DATA" in one.streamed()
    assert "HUB_EXT_RUN" not in one.streamed()
    assert " 21" in one.streamed()


def test_a_secret_reaches_the_notebook_and_the_token_does_not(remote: Callable[..., Remote], launched: Launch) -> None:
    cell = "import os\nprint(len(key.get_secret_value()), key.get_secret_value())\nprint(list(os.environ.values()))"
    secret = "from pydantic import SecretStr\nkey: SecretStr"
    one = remote(launched(cell, parameters=secret, values={"key": "hunter2-hunter2"}))
    assert one.outcome()["state"] == "succeeded"
    assert "15 ••••••" in one.streamed()
    said = b"".join(path.read_bytes() for path in one.folder.root.rglob("*") if path.is_file())
    assert b"hunter2-hunter2" not in said
    assert one.launch.token.encode() not in said


def test_output_comes_while_the_run_goes_on(remote: Callable[..., Remote], launched: Launch) -> None:
    one = remote(launched("import time\nfor n in range(600): print(n, flush=True); time.sleep(0.1)"))
    one.until(lambda: "3\n" in one.streamed())
    own = one.own().events
    behind = own.stat().st_size
    one.until(lambda: one.folder.events.stat().st_size >= behind, 1.0)


def test_a_service_that_is_away_for_a_while_loses_nothing_and_gets_nothing_twice(
    remote: Callable[..., Remote], launched: Launch, door: Door
) -> None:
    door.shut()
    one = remote(launched("import time\nfor n in range(60): print(n, flush=True); time.sleep(0.05)", "print('last')"))
    time.sleep(1)
    door.open()
    one.until(lambda: "5\n" in one.streamed())
    door.shut()
    one.until(one.own().read_outcome)
    door.open()
    assert one.outcome()["state"] == "succeeded"
    assert one.folder.events.read_bytes() == one.own().events.read_bytes()
    assert one.streamed() == "".join(f"{n}\n" for n in range(60)) + "last\n"
    assert one.folder.report.read_bytes() == one.own().report.read_bytes()


class Cutting:
    """A way to the door that is cut in the middle of what is sent, again and again."""

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._to = port
        self._cuts = cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            budget = self._cuts.pop(0) if self._cuts else 2**40
            self._threads.append(threading.Thread(target=self._pass_on, args=(here, budget)))
            self._threads[-1].start()

    def _pass_on(self, here: socket.socket, most: int) -> None:
        with (
            contextlib.suppress(OSError),
            here,
            socket.create_connection(("127.0.0.1", self._to)) as there,
            selectors.DefaultSelector() as both,
        ):
            both.register(here, selectors.EVENT_READ)
            both.register(there, selectors.EVENT_READ)
            while most > 0:
                for source in (key.fileobj for key, _ in both.select()):
                    assert isinstance(source, socket.socket)
                    piece = source.recv(min(65536, most))
                    if not piece:
                        return
                    most -= len(piece) if source is here else 0
                    (there if source is here else here).sendall(piece)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


def test_what_is_cut_in_the_middle_comes_again_whole(
    remote: Callable[..., Remote], launched: Launch, door: Door
) -> None:
    cut = Cutting(door.port, [300, 2000, 5000, 100_000, 1_000_000, 1_200_000])
    try:
        one = remote(launched("open('big.bin', 'wb').write(bytes(range(256)) * 8192)", "print('x' * 20000)"), cut.url)
        assert one.outcome()["state"] == "succeeded"
    finally:
        cut.close()
    assert (one.folder.work / "big.bin").read_bytes() == bytes(range(256)) * 8192
    assert one.folder.events.read_bytes() == one.own().events.read_bytes()
    assert not list(one.folder.root.glob("incoming-*"))


def test_a_run_is_cancelled_by_what_the_service_answers(
    remote: Callable[..., Remote], launched: Launch, service: RunService, amy: Any
) -> None:
    one = remote(launched("import time\nfor _ in range(6000): print('on', flush=True); time.sleep(0.1)"))
    one.until(lambda: "on" in one.streamed())
    service.cancel(amy, one.launch.run_id)
    one.until(one.folder.read_outcome, 5)
    assert one.outcome()["state"] == "cancelled"
    assert b"on" in one.folder.report.read_bytes()


def test_a_run_whose_pod_is_to_go_tells_what_it_did(remote: Callable[..., Remote], launched: Launch) -> None:
    one = remote(launched("print('on', flush=True)", "import time\ntime.sleep(600)"))
    one.until(lambda: len(one.events("cell_started")) == 2)
    one.process.send_signal(signal.SIGTERM)
    assert one.outcome()["state"] == "cancelled"
    assert b"on" in one.folder.report.read_bytes()


def test_a_run_that_may_be_repeated_says_nothing_when_its_pod_is_to_go(
    remote: Callable[..., Remote], launched: Launch, service: RunService, amy: Any
) -> None:
    about = {"about": {"repeatable": True}}
    launch = launched("import time\nprint('on', flush=True)\ntime.sleep(wait)", parameters="wait: int = 600", **about)
    first = remote(launch)
    first.until(lambda: "on" in first.streamed())
    first.process.send_signal(signal.SIGTERM)
    assert first.wait() == 143
    assert first.folder.read_outcome() is None
    second = remote(launch)
    second.until(lambda: second.streamed().count("on") == 2)
    service.cancel(amy, launch.run_id)
    second.process.send_signal(signal.SIGTERM)
    assert second.outcome()["state"] == "cancelled"


def test_a_stranger_is_told_nothing_and_runs_nothing(remote: Callable[..., Remote], launched: Launch) -> None:
    mine, other = launched("1"), launched("2", name="other")
    one = remote(Launched(mine.run_id, mine.id, other.token))
    assert one.wait() == 1
    assert "not the token of this launch" in one.log.read_text()
    assert not one.own().events.exists()


def test_an_executor_whose_run_was_given_up_ends_with_all_that_it_started(
    remote: Callable[..., Remote], launched: Launch, database: Database
) -> None:
    one = remote(launched("import time\nfor _ in range(6000): print('on', flush=True); time.sleep(0.1)"))
    one.until(lambda: "on" in one.streamed())
    below = psutil.Process(one.process.pid).children(recursive=True)
    with database.write() as session:
        session.get_one(Run, one.launch.run_id).state = "failed"
    assert one.wait(20) == 1
    psutil.wait_procs(below, timeout=10)
    assert not [process for process in below if process.is_running() and process.status() != "zombie"]


def test_an_executor_that_is_killed_is_told_of_by_the_one_above_it(
    remote: Callable[..., Remote], launched: Launch
) -> None:
    one = remote(launched("print('on', flush=True)\nimport time\ntime.sleep(600)"))
    one.until(lambda: "on" in one.streamed())
    psutil.Process(one.process.pid).children()[0].kill()
    outcome = one.outcome()
    assert (outcome["state"], outcome["reason"]) == (
        "failed",
        "the executor was ended by signal 9 before the run had ended",
    )
    assert "on" in one.streamed()


def test_without_an_address_or_a_token_it_says_what_is_missing(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "hub_ext.executor", "--remote"],
        env={"PATH": os.environ["PATH"], MARKER: "l-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (1, "hub-ext-executor: HUB_EXT_EXECUTORS_URL is not set\n")


def test_a_spec_of_a_newer_service_is_understood_as_far_as_it_is_known(tmp_path: Path) -> None:
    from hub_ext.executor.spec import LaunchSpec

    content = {"run_id": "r-1", "title": "Rain", "kernel": ["python"], "secrets": ["A"], "from_the_future": 1}
    (tmp_path / "spec.json").write_text(json.dumps(content))
    assert LaunchSpec.read(tmp_path / "spec.json") == LaunchSpec("r-1", "Rain", ("python",), secrets=("A",))
