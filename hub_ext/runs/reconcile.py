"""The reconciler: one process, by lease, makes the states of all runs true and keeps them so."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.db.types import now
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import HubExtError, StorageFull
from hub_ext.leases import OwnLease
from hub_ext.looking import Alarm
from hub_ext.maintenance import Maintenance
from hub_ext.runs.rounds import LEASE, Rounds
from hub_ext.runs.states import ACTIVE
from hub_ext.runs.vault import Vault
from hub_ext.runs.waiting import Gate
from hub_ext.runs.watched import LeaseLost
from hub_ext.runtimes.base import Runtime
from hub_ext.settings import HubExt
from hub_ext.store import Store

_LEASE = 5.0  # seconds; a process of another machine waits so long at most
_BUSY = 0.05  # seconds between two looks while anything is active
_IDLE = 1.0
_SWEEP_EVERY = 60.0
_UNHEALTHY = 10.0  # seconds without a look that worked
_CANCEL_ALL = 20.0

log = logging.getLogger(__name__)


class Reconciler:
    """Starts what is queued, watches what runs, puts away what has ended.

    Args:
        database: Where runs are.
        store: Where notebooks come from and results go.
        vault: Secret values.
        runtime: Executes launches.
        settings: The settings.
        assets: Address prefix of the scripts that reports use.
        decisions: Decides again about runs that waited; None: none is to begin.
        maintenance: Whether any may begin now; None: always.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        vault: Vault,
        runtime: Runtime,
        settings: HubExt,
        *,
        assets: str | None = None,
        decisions: DecisionPoint | None = None,
        maintenance: Maintenance | None = None,
    ) -> None:
        self._database = database
        self._runtime = runtime
        self._maintenance = maintenance
        self._lease = OwnLease(database, LEASE, _LEASE)
        self._rounds = Rounds(
            database,
            store,
            vault,
            runtime,
            settings,
            holder=self._lease.holder,
            assets=assets or f"/services/{settings.service_name}/static",
            done=self.wake,
            gate=Gate(decisions) if decisions else None,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reconciler")  # pages must not keep it waiting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm = Alarm()
        self._ended = asyncio.Event()
        self._stopping = False
        self._swept = 0.0
        self._worked = 0.0
        self._full = False

    @property
    def lacks_space(self) -> bool:
        """Whether the last look failed for want of space."""
        return self._full

    @property
    def healthy(self) -> bool:
        """Whether the last look is not long ago and worked."""
        return time.monotonic() - self._worked < _UNHEALTHY

    async def run(self) -> None:
        """Look again and again until `stop`. An error of a part is logged, and the look repeated."""
        self._loop = asyncio.get_running_loop()
        try:
            while not self._stopping:
                self._alarm.reset()
                pause = await self._once()
                await self._alarm.wait(pause)
        finally:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._leave)
            self._thread.shutdown(wait=False)
            self._ended.set()

    async def _once(self) -> float:
        try:
            busy = await asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        except LeaseLost:
            log.warning("another reconciler has taken over")
            self._lease.lost()
        except Exception as error:
            self._full = isinstance(error, StorageFull)
            log.exception("a look at the runs failed; it is repeated")
        else:
            self._worked, self._full = time.monotonic(), False
            return _BUSY if busy else _IDLE
        return _IDLE

    def _look(self) -> bool:
        if not self._lease.hold():
            return False
        if time.monotonic() - self._swept > _SWEEP_EVERY or not self._swept:
            self._swept = time.monotonic()
            self._runtime.prepare()
            self._rounds.sweep()
        return self._rounds.look(start=self._maintenance is None or self._maintenance.look() is None)

    def _leave(self) -> None:
        self._rounds.close()
        self._runtime.close()
        try:
            self._lease.release()
        except (HubExtError, SQLAlchemyError):
            log.warning("the lease could not be given back; it ends by itself")

    def wake(self) -> None:
        """Look again at once; may be called in any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._alarm.ring)

    async def stop(self) -> None:
        """End after the present look; runs go on, and the next reconciler adopts them."""
        self._stopping = True
        self._alarm.ring()
        if self._loop is not None:
            await self._ended.wait()

    def cancel_all(self, reason: str = "the platform was stopped") -> None:
        """End what starts or runs, and wait for it; what is queued stays queued. Blocks.

        For the end of the platform, when no service is there any more.

        Args:
            reason: Told as why they ended.
        """
        self._rounds.stop_reason = reason
        deadline = time.monotonic() + _CANCEL_ALL
        while not self._lease.hold():
            if time.monotonic() > deadline:
                log.warning("another reconciler is at work; it ends nothing")
                return
            time.sleep(0.1)
        with self._database.write() as session:
            ask = update(Run).where(Run.state.in_(ACTIVE), Run.cancel_requested_at.is_(None))
            session.execute(ask.values(cancel_requested_at=now()))
        try:
            while time.monotonic() < deadline and self._lease.hold() and self._look_and_count():
                time.sleep(_BUSY)
        finally:
            self._leave()

    def _look_and_count(self) -> bool:
        self._rounds.look(start=False)
        with self._database.read() as session:
            return session.scalar(select(Run.id).where(Run.state.in_(ACTIVE)).limit(1)) is not None
