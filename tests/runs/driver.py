"""Service processes with nothing but a reconciler and a sealer, so that they can be killed.

``python -m tests.runs.driver`` imports all that such a process needs, which takes a second of processor, and forks one
for each line of its input: JSON, ``{"state": folder, "checkpoint": name, "environment": {…}}``. It kills itself with
SIGKILL at the checkpoint, which is the name of a function of ours; ``before:`` or ``after:`` says whether it has done
its work by then. A line ``{"ended": id}`` asks for its exit code. Each line is answered by one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub_ext.db.session import Database
from hub_ext.executor.folder import Folder
from hub_ext.runs import rounds
from hub_ext.runs.reconcile import Reconciler
from hub_ext.runs.vault import Vault
from hub_ext.runtimes.local import LocalRuntime, LocalStarted
from hub_ext.sealer import Sealer
from hub_ext.settings import HubExt
from hub_ext.store import Store

PLACES: dict[str, tuple[Any, str]] = {
    "launch_of": (rounds, "launch_of"),
    "make": (Folder, "make"),
    "start": (LocalRuntime, "start"),
    "go": (LocalStarted, "go"),
    "collect": (rounds, "collect"),
    "put_file": (Store, "put_file"),
    "end": (rounds.Rounds, "_end"),
    "delete": (Vault, "delete"),
    "remove": (LocalRuntime, "remove"),
    "progress": (rounds.Rounds, "_read_progress"),
}


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def set_checkpoint(when: str, place: str) -> None:
    owner, name = PLACES[place]
    original: Callable[..., Any] = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        result = original(*args, **kwargs)
        die()
        return result

    setattr(owner, name, replaced)


async def main(state: Path) -> None:
    settings = HubExt.from_environment({**os.environ, "HUB_EXT_STATE_DIR": str(state)})
    database = Database(settings.database)
    runtime = LocalRuntime(settings.state / "launches")
    reconciler = Reconciler(database, Store(settings.results), Vault(settings.state), runtime, settings)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(reconciler.stop()))
    sealer = Sealer(database)
    sealing = asyncio.create_task(sealer.run())
    (state / f"up-{os.getpid()}").touch()  # what the first 200 of `health` is elsewhere
    await reconciler.run()
    await sealer.stop()
    await sealing


def become_one(state: str, checkpoint: str, environment: dict[str, str]) -> None:
    """Be a service process from now on, until it ends."""
    code = 1
    try:
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)  # our output is for answers
        os.environ.update(environment)
        if checkpoint:
            set_checkpoint(*checkpoint.split(":"))
        asyncio.run(main(Path(state)))
        code = 0
    except BaseException:  # noqa: BLE001  # however it ends, it must not go on as the process that makes them
        traceback.print_exc()
    finally:
        os._exit(code)


def exit_code(pid: int) -> int | None:
    """Return how one of them ended; None while it has not."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        if "ended" in asked:
            answer = exit_code(asked["ended"])
        else:
            answer = os.fork()
            if answer == 0:
                become_one(**asked)
        print(json.dumps(answer), flush=True)
