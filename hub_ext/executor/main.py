"""From the lock to the outcome."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .control import Control, Ending
from .events import FULL, EventFile
from .execution import Execution
from .folder import Folder
from .kernel import Kernel
from .lean import without_slow_imports
from .masking import Masker
from .processes import adopt_orphans, end_all
from .spec import LaunchSpec

_GO_LIMIT = 4 * 2**20
_LAST_ACTS = 5.0  # seconds that a kernel has for what it does at its end
_MOST_RECORDS = 200

log = logging.getLogger("hub_ext.executor")


def wait_for_go(descriptor: int) -> dict[str, str] | None:
    """Wait for the word to go on.

    Args:
        descriptor: The pipe; it brings one line of JSON, ``{"go": true, "secrets": {…}}``.

    Returns:
        The secrets by environment variable; None when the pipe was closed first: nothing must run then.
    """
    with os.fdopen(descriptor, "rb") as pipe:
        line = pipe.readline(_GO_LIMIT)
    try:
        word = json.loads(line)
    except ValueError:
        return None
    if not isinstance(word, dict) or word.get("go") is not True:
        return None
    return {str(name): str(value) for name, value in (word.get("secrets") or {}).items()}


class _Records(logging.Formatter):
    """Log records without secrets."""

    def __init__(self, masker: Masker) -> None:
        super().__init__("%(asctime)s %(name)s %(levelname)s %(message)s")
        self._masker = masker
        self._left = _MOST_RECORDS

    def format(self, record: logging.LogRecord) -> str:
        return self._masker.text(super().format(record))

    def filter(self, _record: logging.LogRecord) -> bool:
        """Let so many records pass and no more: a notebook can cause any number."""
        self._left -= 1
        return self._left >= 0


def _log_to_stderr(masker: Masker) -> None:
    handler = logging.StreamHandler()
    formatter = _Records(masker)
    handler.setFormatter(formatter)
    handler.addFilter(formatter.filter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _Later:
    """A value that a thread prepares."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._value: Any = None
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._make()
        except Exception as error:  # noqa: BLE001  # raised where the value is asked for
            self._problem = error

    def get(self) -> Any:
        """Return the value, once it is there; raises what its making raised."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        return self._value


def run(root: Path, go: int) -> int:
    """Run the notebook of a launch.

    Args:
        root: The launch folder.
        go: File descriptor of the pipe that brings the word to go on.

    Returns:
        The exit code; 0 whatever became of the notebook, since the outcome tells that.
    """
    folder = Folder(root)
    folder.take_lock()
    folder.process.write_text(json.dumps({"pid": os.getpid()}), encoding="ascii")
    folder.reserve_outcome()
    secrets = wait_for_go(go)
    if secrets is None:
        return 0
    spec = LaunchSpec.read(folder.spec)
    masker = Masker(secrets.values())
    _log_to_stderr(masker)
    events = EventFile(folder.events, spec.output_limit)
    events.add("begun")
    try:
        outcome = _Run(folder, spec, secrets, masker, events).outcome()
    except Exception as error:
        log.exception("the executor failed")
        outcome = _as_outcome(Ending("failed", _what_failed(error)))
        end_all()
    events.add("finished", state=outcome["state"], reason=outcome["reason"])
    folder.write_outcome(outcome)
    return 0


class KernelNotStarted(Exception):
    """The kernel's command cannot be executed; its text is for people."""


def _what_failed(error: Exception) -> str:
    if isinstance(error, KernelNotStarted):
        return str(error)
    if isinstance(error, OSError) and error.errno in FULL:
        return "there was no space left on the disk"
    return f"the executor failed ({type(error).__name__}); its log says more"


def _as_outcome(ending: Ending, **more: Any) -> dict[str, Any]:
    return {"state": ending.state, "reason": ending.reason, "error": ending.error, **more}


class _Run:
    """The steps between "go" and the outcome."""

    def __init__(
        self, folder: Folder, spec: LaunchSpec, secrets: dict[str, str], masker: Masker, events: EventFile
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._masker = masker
        self._events = events
        adopt_orphans()
        control = Control(spec)
        control.listen()
        try:
            kernel = Kernel(folder, spec, secrets)
        except OSError as error:
            if error.errno in FULL:
                raise
            msg = f"the kernel could not be started: {error.strerror}"
            raise KernelNotStarted(msg) from error
        control.watch(kernel)
        self._execution = Execution(folder, spec, kernel, control, events, masker)
        self._exporter: _Later | None = None

    def outcome(self) -> dict[str, Any]:
        """Run all cells, write what is kept, and return how it ended."""
        try:
            if self._events.disk_full:
                raise OSError(min(FULL), "no space left")
            self._execute()
            written = self._write()
        finally:
            self._end_kernel()
        ending = self._execution.final()
        if written.get("full") and ending.state == "succeeded":
            ending = Ending("failed", "there was no space left on the disk to keep its results")
        execution = self._execution
        truncated = execution.outputs.truncated
        return _as_outcome(ending, cells_done=execution.done, cells_total=execution.total, truncated=truncated)

    def _execute(self) -> None:
        without_slow_imports()
        import papermill
        from papermill.engines import papermill_engines
        from papermill.exceptions import PapermillExecutionError

        from .engine import NAME, Engine
        from .notebook import prepare
        from .report import make_exporter

        self._exporter = _Later(make_exporter)
        prepared = self._folder.root / "prepared.ipynb"
        prepare(self._folder.notebook, prepared, self._spec.injected)
        papermill_engines.register(NAME, Engine)
        try:
            papermill.execute_notebook(
                str(prepared),
                None,
                engine_name=NAME,
                kernel_name="python3",
                progress_bar=False,
                autosave_cell_every=0,
                execution=self._execution,
            )
        except PapermillExecutionError:
            log.debug("papermill saw an error; the execution has it")

    def _end_kernel(self) -> None:
        self._execution.control.left_cells()
        self._execution.kernel.wait(_LAST_ACTS if self._execution.control.ending is None else 0.0)
        if not end_all():
            log.error("a process of the run cannot be ended")

    def _write(self) -> dict[str, bool]:
        """Write the notebook, the picture and the report; return which of them found no space."""
        notebook = self._execution.notebook
        if notebook is None:
            return {}
        from .notebook import finish
        from .report import picture_of

        full = False
        kept: list[tuple[Path, Callable[[], bytes | None]]] = [
            (self._folder.output, lambda: finish(notebook, self._masker.deep).encode("utf-8", "replace")),
            (self._folder.picture, lambda: picture_of(notebook)),
            (self._folder.report, lambda: self._report(notebook).encode("utf-8", "replace")),
        ]
        for path, make in kept:
            content = make()
            try:
                if content is not None:
                    path.write_bytes(content)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                path.unlink(missing_ok=True)
                full = True
        return {"full": full or self._events.disk_full}

    def _report(self, notebook: Any) -> str:
        from .report import fallback, to_html

        try:
            exporter = self._exporter.get() if self._exporter else None
            return to_html(exporter, notebook, title=self._spec.title, assets=self._spec.assets)
        except Exception as error:  # a report that cannot be made must not hide how the run went
            log.exception("the report could not be made")
            return fallback(self._spec.title, f"The report could not be made: {type(error).__name__}.")
