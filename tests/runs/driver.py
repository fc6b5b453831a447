"""A service process with nothing but a reconciler and a sealer, so that it can be killed.

``python driver.py STATE_FOLDER [CHECKPOINT]``: it kills itself with SIGKILL at the checkpoint, which is the name of a
function of ours; ``before:`` or ``after:`` says whether it has done its work by then.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
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


if __name__ == "__main__":
    if len(sys.argv) > 2:
        set_checkpoint(*sys.argv[2].split(":"))
    asyncio.run(main(Path(sys.argv[1])))
