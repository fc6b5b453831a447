"""What happens to runs when the platform is stopped on purpose."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psutil

from hub_ext.embedded.processes import descendants, signal_all
from hub_ext.settings import HubExt


def cancel_runs(settings: HubExt, impatient: Callable[[], bool]) -> None:
    """Cancel the runs that go on, and wait for their end; what is queued stays queued. Runs in pods go on.

    Args:
        settings: All settings.
        impatient: Asked again and again; once it says yes, what still runs is killed.

    Raises:
        HubExtError: If the database or the store does not answer.
    """
    launches = settings.state / "launches"
    if settings.runtime != "local" or not launches.is_dir() or not any(launches.iterdir()):
        return
    # Needed here alone: they take seconds to load, and the process that waits in the foreground is to stay small.
    from hub_ext.db.session import Database
    from hub_ext.runs.reconcile import Reconciler
    from hub_ext.runs.vault import Vault
    from hub_ext.runtimes.local import LocalRuntime
    from hub_ext.store import Store

    database = Database(settings.database)
    runtime = LocalRuntime(launches, settings.state / "cache")
    reconciler = Reconciler(database, Store.of(settings), Vault(settings.state), runtime, settings)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(reconciler.cancel_all)
        while not job.done():
            wait([job], timeout=0.1)
            if impatient():
                _kill(launches)
    database.dispose()
    job.result()


def _kill(launches: Path) -> None:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(part.startswith(f"{launches}/") for part in process.cmdline()):
                signal_all(descendants(process), kill=True)
