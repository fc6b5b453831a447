"""Runs as processes of this machine. Each outlives the service; a lock says whether it is alive."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from hub_ext.executor.folder import MARKER, Folder
from hub_ext.runtimes.base import Alive, Ended, Launch
from hub_ext.runtimes.identity import age, identify, marked, runs, send

_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_END = 5.0  # seconds until killed processes must be gone


def inherited() -> dict[str, str]:
    """Return what a run inherits from our environment: where programs lie and the language, nothing else."""
    return {"LANG": "C.UTF-8"} | {name: os.environ[name] for name in _KEPT if name in os.environ}


class _Outliving(subprocess.Popen[bytes]):
    """A child process that goes on when this one ends, so that leaving it behind is no mistake to warn of."""

    def __del__(self) -> None:  # what the base does here is warn
        return


class LocalStarted:
    """An executor that waits for the word to go.

    Args:
        pid: Its process.
        pipe: File descriptor that brings it the word.
    """

    def __init__(self, pid: int, pipe: int) -> None:
        self.process = identify(pid)
        self._pipe: int | None = pipe

    def go(self, secrets: dict[str, str]) -> None:
        """Let it run."""
        if self._pipe is None:
            return
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._pipe, "wb") as pipe:
            pipe.write(json.dumps({"go": True, "secrets": secrets}).encode() + b"\n")
        self._pipe = None

    def drop(self) -> None:
        """Let it end without having run anything."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class LocalRuntime:
    """Executors as child processes.

    Args:
        launches: Folder of the launch folders.
        cache: Folder for what runs share: lists of fonts.
    """

    def __init__(self, launches: Path, cache: Path | None = None) -> None:
        self._launches = launches
        self._cache = cache
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._preparing: subprocess.Popen[bytes] | None = None

    def folder(self, launch_id: str) -> Folder:
        """Return the folder of a launch."""
        return Folder(self._launches / launch_id)

    def launches(self) -> list[str]:
        """Return the ids of all launches that have a folder."""
        return [path.name for path in self._launches.iterdir()] if self._launches.is_dir() else []

    def start(self, launch: Launch) -> LocalStarted:
        """Start an executor in a session of its own, with nothing of ours but the pipe.

        Raises:
            OSError: If its folder or process cannot be made.
        """
        folder = self.folder(launch.id)
        folder.make()
        launch.spec.write(folder.spec)
        folder.notebook.write_bytes(launch.notebook)
        reader, writer = os.pipe()
        command = [sys.executable, "-P", "-m", "hub_ext.executor", str(folder.root), "--go", str(reader)]
        try:
            with folder.log.open("ab") as log:
                child = _Outliving(
                    command,
                    cwd=folder.root,
                    env=inherited() | {"HOME": str(folder.root), MARKER: launch.id},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(reader,),
                    start_new_session=True,
                )
        except OSError:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        self._children[launch.id] = child
        return LocalStarted(child.pid, writer)

    def observe(self, launch_id: str, process: dict[str, Any] | None = None) -> Alive | Ended:
        """Return what is true about a launch now.

        Our own child tells it. Another service's is alive while its process is there, or the lock is held: until it has
        had the time to take the lock it may hold the word to go in its pipe, whoever started it.
        """
        folder = self.folder(launch_id)
        child = self._children.get(launch_id)
        code = child.poll() if child else None
        if code is None if child else (runs(process) or folder.is_locked()):
            return Alive(folder.has_begun(), age(process))
        traced = child is not None or folder.root.is_dir()
        return Ended(folder.has_begun(), folder.read_outcome(), folder.how_it_ended(code), traced)

    def cancel(self, launch_id: str, process: dict[str, Any] | None) -> None:
        """Ask an executor to end its run and report."""
        send(self._process(launch_id, process), signal.SIGTERM)

    def _process(self, launch_id: str, process: dict[str, Any] | None) -> dict[str, Any] | None:
        child = self._children.get(launch_id)
        return process if child is None or process else identify(child.pid)

    def end(self, launch_id: str, process: dict[str, Any] | None) -> None:
        """End an executor and every process that bears its launch id, also what forks meanwhile."""
        send(self._process(launch_id, process), signal.SIGKILL)
        deadline = time.monotonic() + _END
        while found := marked(MARKER, launch_id):
            for one in found:
                with contextlib.suppress(psutil.Error):
                    one.kill()
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)  # psutil's own wait would take the exit code of a child away from us
        child = self._children.get(launch_id)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_END)

    def remove(self, launch_id: str) -> None:
        """Delete the folder of a launch that has ended."""
        self._children.pop(launch_id, None)
        shutil.rmtree(self.folder(launch_id).root, ignore_errors=True)

    @property
    def fonts(self) -> Path | None:
        """Where font lists are kept for runs."""
        return self._cache / "fonts" if self._cache else None

    @property
    def most_of_one(self) -> int | None:
        """As many as there is room for: whoever has none goes first."""
        return None

    def prepare(self) -> None:
        """Let matplotlib find its fonts once for all runs, in the background; it takes a second or two each time."""
        if self._preparing is not None:
            self._preparing.poll()
            return
        if self.fonts is None or list(self.fonts.glob("fontlist-*.json")):
            return
        self.fonts.mkdir(parents=True, exist_ok=True)
        self._preparing = _Outliving(
            [sys.executable, "-P", "-m", "hub_ext.runtimes.fonts", str(self.fonts)],
            env=inherited() | {"HOME": str(self.fonts)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Do nothing: children go on by themselves."""
