"""Gives committed rows their sequence, and wakes who waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import delete, exists, func, or_, select

from hub_ext.audit import seal
from hub_ext.db.repeated import Repeated
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Change
from hub_ext.db.types import now
from hub_ext.leases import OwnLease
from hub_ext.looking import Looking

LEASE = "sealer"

_LEASE = 5.0  # seconds
_PAUSE = 0.2  # seconds between two looks, when nobody wakes it
_KEPT = timedelta(days=1)  # a page that was away for longer loads itself anew
_AT_LEAST_EVERY = 5.0  # seconds between two looks, though nothing seems to be new
_SWEEP_EVERY = 600.0  # seconds
_MOST = 5000  # changes between two looks, and topics in memory
_NEWEST = select(func.max(Change.sequence)).scalar_subquery()
_UNSEALED = or_(
    exists(select(AuditRow.id).where(AuditRow.sequence.is_(None))),
    exists(select(Change.id).where(Change.sequence.is_(None))),
)


class Sealer(Looking):
    """Seals the audit and the changes while it holds the lease; tells newly sealed changes in any case.

    Attributes:
        newest: Up to which sequence of changes it has told.

    Args:
        database: The database.
    """

    job = "sealing"

    def __init__(self, database: Database) -> None:
        super().__init__(OwnLease(database, LEASE, _LEASE), _PAUSE)
        self._database = database
        self._told = asyncio.Condition()
        self._question = Repeated(database, select(_UNSEALED, _NEWEST))
        self._knows_all = False  # what was committed when it was last asked whether a look is due
        self._looked_at = float("-inf")
        self._swept_at = time.monotonic()
        self._found = 0
        self._topics: dict[str, int] = {}  # of what the last look found
        self._latest: dict[str, int] = {}  # topic → sequence of its last change after `_since`
        self._since = 0
        self.newest = 0

    def is_due(self) -> bool:
        """Return whether anything may have been committed since the last look, or that was long ago."""
        if self._question.may_differ():
            self._knows_all = False
        return not self._knows_all or time.monotonic() - self._looked_at > _AT_LEAST_EVERY

    def look(self) -> None:
        """Seal what is not, and find what was sealed since the last look, by whomever."""
        self._looked_at = time.monotonic()
        waiting, newest = self._question.ask()
        if waiting and self.lease.hold():
            with self._database.write() as session:
                while seal(session):
                    session.flush()
                newest = session.scalar(select(_NEWEST))
        if self._looked_at - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = self._looked_at
            with self._database.write() as session:  # the newest stays, so that numbers go on from it
                session.execute(delete(Change).where(Change.at < now() - _KEPT, Change.sequence < (newest or 0)))
        if (newest or 0) != self._found:
            self._find(newest or 0)
        self._knows_all = not waiting  # else another may hold the lease, and may die

    def _find(self, newest: int) -> None:
        """Find which topics the changes have that are new; of very many, as at the first look, it is not asked."""
        query = select(Change.topic, Change.sequence).where(Change.sequence > self._found, Change.sequence <= newest)
        topics: dict[str, int] = {}
        if 0 < self._found < newest <= self._found + _MOST:
            with self._database.read() as session:
                rows = session.execute(query.order_by(Change.sequence))
                topics = {topic: sequence or 0 for topic, sequence in rows}
        self._found, self._topics = newest, topics

    async def run(self) -> None:
        """Look until `stop`."""
        try:
            await super().run()
        finally:
            await asyncio.to_thread(self._question.close)

    async def looked(self) -> None:
        """Wake who waits, if there is something new."""
        if self._found == self.newest:
            return
        async with self._told:
            if not self._topics or len(self._latest) > _MOST:  # too many, or none yet: each looks for itself
                self._latest, self._since = {}, self._found
            self._latest |= self._topics
            self.newest, self._topics = self._found, {}
            self._told.notify_all()

    async def after(self, sequence: int, topics: Collection[str]) -> None:
        """Wait until there may be a change of some topics after a sequence.

        Args:
            sequence: Up to which the caller has looked; `newest`, taken before she did.
            topics: Which.
        """
        async with self._told:
            await self._told.wait_for(lambda: self._is_after(sequence, topics))

    def _is_after(self, sequence: int, topics: Collection[str]) -> bool:
        return sequence < self._since or any(self._latest.get(topic, 0) > sequence for topic in topics)
