"""Executors as processes of their own, with real kernels."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from hub_ext.executor.folder import MARKER, Folder
from hub_ext.executor.spec import LaunchSpec
from tests.timing import Pauses

KERNEL = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--HistoryManager.hist_file=:memory:")


@dataclass
class Launched:
    """An executor that was told to go."""

    folder: Folder
    process: subprocess.Popen[bytes]

    def wait(self, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for its end and return the outcome."""
        self.process.wait(seconds)
        outcome = self.folder.read_outcome()
        assert outcome is not None, self.folder.log.read_text()
        return outcome

    def cancel(self) -> None:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return its events, or those of a type."""
        found = [event for _, event in self.folder.read_events(0, limit=2**30)]
        return [event for event in found if kind in (None, event["type"])]

    def until(self, kind: str, seconds: float = 30.0) -> dict[str, Any]:
        """Wait for an event of a type."""
        deadline, pause = time.monotonic() + seconds, Pauses()
        while time.monotonic() < deadline:
            if found := self.events(kind):
                return found[-1]
            pause()
        raise AssertionError(f"no {kind} within {seconds} seconds: {self.folder.log.read_text()}")

    def streamed(self, name: str = "stdout") -> str:
        """Return what was streamed."""
        return "".join(one["text"] for one in self.events("output") if one["kind"] == "stream" and one["name"] == name)

    def notebook(self) -> Any:
        """Return the notebook that it wrote."""
        return nbformat.read(self.folder.output, as_version=4)

    def processes(self) -> list[psutil.Process]:
        """Return every process of the launch that is alive."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARKER) == self.folder.launch_id and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start an executor on some code cells."""
    started: list[Launched] = []

    def launch(
        *cells: Any,
        secrets: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
        before_exec: Callable[[], None] | None = None,
        under: Path = tmp_path,
        **spec: Any,
    ) -> Launched:
        # The folder's name marks its processes: tests that run side by side must not share one.
        folder = Folder(under / f"l{len(started)}-{os.getpid()}")
        folder.make()
        made = [nbformat.v4.new_code_cell(one) if isinstance(one, str) else one for one in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=metadata or {}), folder.notebook)
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        values = {"run_id": "r-1", "title": "Rain", "kernel": KERNEL, "environment": environment, "grace": 1.0}
        LaunchSpec(**(values | {"secrets": tuple(secrets or ())} | spec)).write(folder.spec)
        reader, writer = os.pipe()
        with folder.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hub_ext.executor", str(folder.root), "--go", str(reader)],
                pass_fds=(reader,),
                cwd=folder.root,
                env={"PATH": os.environ["PATH"], MARKER: folder.launch_id},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=before_exec,
            )
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps({"go": True, "secrets": secrets or {}}).encode() + b"\n")
        started.append(Launched(folder, process))
        return started[-1]

    yield launch
    for one in started:
        one.process.kill()
        one.process.wait()
        for process in one.processes():
            process.kill()
