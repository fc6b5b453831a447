"""An executor in a pod: asks the service what is to be run, runs it as everywhere else, and sends what comes of it.

The run itself is a process below this one, in a launch folder, as on one machine. This one only asks and tells: it
needs little memory, so it is still there to tell what ended the other; and it alone has the run's token.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from .folder import MARKER, Folder
from .link import Full, Link, NoAnswer, Over, Refused
from .processes import hide, memory_kills
from .reporting import Reporter, dump
from .spec import LaunchSpec

URL, TOKEN = "HUB_EXT_EXECUTORS_URL", "HUB_EXT_RUN_TOKEN"  # the name of a variable

_ROOT = Path("/tmp/hub-ext")  # noqa: S108  # of the pod alone
_LOOK = 0.05  # seconds between two looks at what the run does
_GRACE = 600.0  # seconds past the deadline of the run until its results are given up
_OURS = ("HUB_EXT_", "KUBERNETES_")
_ENDED = 143  # as a process that SIGTERM ended


class _Child:
    """The executor as on one machine, in a process of its own; it boots while the service is asked.

    Args:
        folder: The launch folder.
        environment: Its environment.
    """

    def __init__(self, folder: Folder, environment: Mapping[str, str]) -> None:
        self._folder = folder
        reader, self._pipe = os.pipe()
        command = [sys.executable, "-P", "-m", str(__package__), str(folder.root), "--go", str(reader)]
        with folder.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # the command is ours
                command,
                cwd=folder.root,
                env={**environment, "HOME": str(folder.root), MARKER: folder.launch_id},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(reader,),
            )
        os.close(reader)
        self.gone = False

    def go(self, secrets: Mapping[str, str]) -> None:
        """Let it run."""
        self.gone = True
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._pipe, "wb") as pipe:
            pipe.write(dump({"go": True, "secrets": dict(secrets)}) + b"\n")

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end, and return whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return True
        return False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


def run(environ: Mapping[str, str], root: Path = _ROOT) -> int:
    """Run the launch that the environment names.

    Args:
        environ: Holds the address of the service, the launch id and the run's token.
        root: Where the launch folder is made.

    Returns:
        The exit code: 0 when the service knows how it ended.
    """
    hide()
    missing = [name for name in (URL, MARKER, TOKEN) if not environ.get(name)]
    if missing:
        return _give_up(f"{missing[0]} is not set")
    folder = Folder(root / environ[MARKER])
    folder.make()
    kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
    link = Link(environ[URL], folder.launch_id, environ[TOKEN])
    child = _Child(folder, kept)
    try:
        return _Remote(link, folder, child, kept).run()
    except (Over, NoAnswer) as error:
        return _give_up(str(error) or type(error).__name__)
    finally:
        child.send(signal.SIGKILL)
        link.close()


def _give_up(why: str) -> int:
    print(f"hub-ext-executor: {why}", file=sys.stderr)  # noqa: T201  # the pod's log
    return 1


class _Remote:
    """The steps from "what is to be run" to "this came of it"."""

    def __init__(self, link: Link, folder: Folder, child: _Child, environment: Mapping[str, str]) -> None:
        self._link = link
        self._folder = folder
        self._child = child
        self._environment = environment
        self._kills = memory_kills()
        self._asked_to_end = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        """End the run: its pod is to go. One that has not begun ends with this process."""
        if not self._child.gone:
            os._exit(_ENDED)
        self._asked_to_end = True
        self._child.send(signal.SIGTERM)

    def run(self) -> int:
        """Run it; return the exit code.

        Raises:
            Over: If the launch counts no more.
            NoAnswer: If the service stays away.
        """
        told = self._begin()
        spec = self._prepare(told)
        until = time.monotonic() + spec.deadline + _GRACE
        reporter = Reporter(self._link, self._folder.events, int(told.get("offset") or 0))
        self._child.go(told.get("secrets") or {})
        self._stay(reporter)
        reporter.finish(until)
        outcome = self._outcome(spec)
        if spec.repeatable and self._interrupted(outcome) and not reporter.ask(until):
            return _ENDED  # nothing is told, so it is run again
        lost = self._send_files(until)
        if lost:
            reason = "; ".join(
                filter(None, (str(outcome.get("reason") or ""), f"could not be kept: {', '.join(lost)}"))
            )
            outcome["reason"] = reason
        self._link.ask("PUT", "outcome", dump(outcome), until=until)
        return 0

    def _begin(self) -> dict[str, Any]:
        try:
            return self._link.ask("POST", "begin", dump({"attempt": uuid4().hex}))
        except (Refused, Full) as error:
            raise Over(str(error)) from error

    def _prepare(self, told: Mapping[str, Any]) -> LaunchSpec:
        """Write down what is to be run, for this container."""
        content = dict(told["spec"])
        kernel = list(content["kernel"])
        content["kernel"] = [sys.executable if kernel[0] == "python" else kernel[0], *kernel[1:]]
        content["environment"] = {**self._environment, **content.get("environment", {})}
        spec = LaunchSpec.of(content)
        spec.write(self._folder.spec)
        self._folder.notebook.write_text(told["notebook"], encoding="utf-8")
        return spec

    def _stay(self, reporter: Reporter) -> None:
        """Tell what happens until the run has ended.

        Raises:
            Over: If the launch counts no more.
        """
        asked = False
        while not self._child.ended_within(_LOOK):
            reporter.tick()
            if reporter.cancelled and not asked:
                asked = True
                self._child.send(signal.SIGTERM)

    def _outcome(self, spec: LaunchSpec) -> dict[str, Any]:
        """Return how it ended, also where it could not tell that itself."""
        outcome = self._folder.read_outcome()
        if outcome is not None:
            return outcome
        reason = f"{self._folder.how_it_ended(self._child.process.returncode)} before the run had ended"
        if spec.memory_held and memory_kills() > self._kills:
            reason = f"it needed more memory than its {spec.memory_words}"
        return {"state": "failed", "reason": reason, "error": None}

    def _interrupted(self, outcome: Mapping[str, Any]) -> bool:
        """Return whether it was ended from outside, and would not be again."""
        return self._asked_to_end and outcome.get("state") != "succeeded"

    def _send_files(self, until: float) -> list[str]:
        """Send all that is kept; return what could not be."""
        folder, lost = self._folder, []
        named = (
            ("log", folder.log),
            ("report", folder.report),
            ("notebook", folder.output),
            ("picture", folder.picture),
        )
        for name, path in named:
            size = _size(path)
            if size and not self._send(f"files/{name}", path, size, until):
                lost.append(f"the {name}")
        files = {path.relative_to(folder.work).as_posix(): (path, size) for path, size in folder.files()}
        if not files:
            return lost
        listed = dump({"files": [[name, size] for name, (_, size) in files.items()]})
        try:
            wanted = self._link.ask("POST", "manifest", listed, until=until).get("wanted") or []
        except (Refused, Full):
            return [*lost, "its files"]
        kept = [name for name in wanted if name in files]
        return [*lost, *(one for one in kept if not self._send(f"artifacts/{quote(one)}", *files[one], until))]

    def _send(self, where: str, path: Path, size: int, until: float) -> bool:
        try:
            self._link.ask("PUT", where, file=(path, size), until=until)
        except (Refused, Full):
            return False
        return True


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def main() -> int:
    """Run the launch that this process's environment names; the token is not left in it."""
    environ = dict(os.environ)
    os.environ.pop(TOKEN, None)
    return run(environ)
