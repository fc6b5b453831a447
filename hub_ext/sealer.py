"""Gives committed rows their sequence, and wakes who waits for them."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.audit import seal
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Change
from hub_ext.db.types import now
from hub_ext.errors import HubExtError
from hub_ext.leases import OwnLease

LEASE = "sealer"

_LEASE = 5.0  # seconds
_PAUSE = 0.2  # seconds between two looks, when nobody wakes it
_KEPT = timedelta(days=1)  # a page that was away for longer loads itself anew
_SWEEP_EVERY = 3000  # looks

log = logging.getLogger(__name__)


class Sealer:
    """Seals the audit and the changes while it holds the lease; tells newly sealed changes in any case.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lease = OwnLease(database, LEASE, _LEASE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._awake = asyncio.Event()
        self._told = asyncio.Condition()
        self._looks = 0
        self.newest = 0

    async def run(self) -> None:
        """Seal until `stop`. An error of the database is logged, and tried again."""
        self._loop = asyncio.get_running_loop()
        while not self._stopping:
            self._awake.clear()
            try:
                newest = await asyncio.to_thread(self._look)
            except (HubExtError, SQLAlchemyError):
                log.exception("sealing failed; it is tried again")
                newest = self.newest
            if newest != self.newest:
                async with self._told:
                    self.newest = newest
                    self._told.notify_all()
            try:
                await asyncio.wait_for(self._awake.wait(), _PAUSE)
            except TimeoutError:
                continue
        try:
            await asyncio.to_thread(self._lease.release)
        except (HubExtError, SQLAlchemyError):
            log.warning("the sealer's lease could not be given back; it ends by itself")

    def _look(self) -> int:
        """Seal what is not, and return the newest sequence of a change."""
        unsealed = or_(
            exists(select(AuditRow.id).where(AuditRow.sequence.is_(None))),
            exists(select(Change.id).where(Change.sequence.is_(None))),
        )
        with self._database.read() as session:
            waiting = session.scalar(select(unsealed))
        if waiting and self._lease.hold():
            with self._database.write() as session:
                while seal(session):
                    session.flush()
        self._looks += 1
        if self._looks % _SWEEP_EVERY == 0:
            with self._database.write() as session:
                newest = session.scalar(select(func.max(Change.sequence))) or 0  # stays, so that numbers go on from it
                session.execute(delete(Change).where(Change.at < now() - _KEPT, Change.sequence < newest))
        with self._database.read() as session:
            return session.scalar(select(func.max(Change.sequence))) or 0

    def wake(self) -> None:
        """Look again at once; may be called in any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._awake.set)

    async def stop(self) -> None:
        """End after the present look."""
        self._stopping = True
        self._awake.set()

    async def after(self, sequence: int, seconds: float) -> int:
        """Wait until there is a change after a sequence, or some seconds have passed.

        Returns:
            The newest sequence.
        """
        try:
            async with asyncio.timeout(seconds), self._told:
                await self._told.wait_for(lambda: self.newest > sequence)
        except TimeoutError:
            return self.newest
        return self.newest
