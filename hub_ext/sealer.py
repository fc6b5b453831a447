"""Gives committed rows their sequence, and wakes who waits for them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import delete, exists, func, or_, select

from hub_ext.audit import seal
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Change
from hub_ext.db.types import now
from hub_ext.leases import OwnLease
from hub_ext.looking import Looking

LEASE = "sealer"

_LEASE = 5.0  # seconds
_PAUSE = 0.2  # seconds between two looks, when nobody wakes it
_KEPT = timedelta(days=1)  # a page that was away for longer loads itself anew
_SWEEP_EVERY = 3000  # looks


class Sealer(Looking):
    """Seals the audit and the changes while it holds the lease; tells newly sealed changes in any case.

    Args:
        database: The database.
    """

    job = "sealing"

    def __init__(self, database: Database) -> None:
        super().__init__(OwnLease(database, LEASE, _LEASE), _PAUSE)
        self._database = database
        self._told = asyncio.Condition()
        self._looks = 0
        self._found = 0
        self.newest = 0

    def look(self) -> None:
        """Seal what is not, and find the newest sequence of a change."""
        unsealed = or_(
            exists(select(AuditRow.id).where(AuditRow.sequence.is_(None))),
            exists(select(Change.id).where(Change.sequence.is_(None))),
        )
        with self._database.read() as session:
            waiting = session.scalar(select(unsealed))
        if waiting and self.lease.hold():
            with self._database.write() as session:
                while seal(session):
                    session.flush()
        self._looks += 1
        if self._looks % _SWEEP_EVERY == 0:
            with self._database.write() as session:
                newest = session.scalar(select(func.max(Change.sequence))) or 0  # stays, so that numbers go on from it
                session.execute(delete(Change).where(Change.at < now() - _KEPT, Change.sequence < newest))
        with self._database.read() as session:
            self._found = session.scalar(select(func.max(Change.sequence))) or 0

    async def looked(self) -> None:
        """Wake who waits, if there is something new."""
        if self._found != self.newest:
            async with self._told:
                self.newest = self._found
                self._told.notify_all()

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
