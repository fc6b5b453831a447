"""Keeps what is counted true: one process, by lease, gives back what a crash left, removes half-made imports, and sees
to the end of entitlements."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import ValidationError
from sqlalchemy import Select, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hub_ext.access.budgets import wanted_of
from hub_ext.access.charges import charge_again, release
from hub_ext.access.expiry import Expiry, Hub
from hub_ext.access.transfer import Transfer
from hub_ext.catalog.decide import Purpose
from hub_ext.catalog.models import Spec
from hub_ext.db.session import Database
from hub_ext.db.tables import BudgetCharge, DecisionRow, Run, ServerStart
from hub_ext.db.types import now
from hub_ext.errors import HubExtError
from hub_ext.leases import OwnLease
from hub_ext.looking import Looking

LEASE = "keeper"

_LEASE = 90.0  # seconds
_PAUSE = 30.0
_YOUNG = timedelta(minutes=2)  # one that young may be about to be written down
_OPEN_SERVERS = ("starting", "ready")
_OPEN_RUNS = ("queued", "starting", "running")

log = logging.getLogger(__name__)


class Keeper(Looking):
    """Looks again and again while it holds the lease.

    Args:
        database: The database.
        transfer: Knows imports.
        expiry: Knows which entitlements end.
        hub: Stops servers.
    """

    job = "a look at what is counted"

    def __init__(self, database: Database, transfer: Transfer, expiry: Expiry, hub: Hub) -> None:
        super().__init__(OwnLease(database, LEASE, _LEASE), _PAUSE)
        self._database = database
        self._transfer = transfer
        self._expiry = expiry
        self._hub = hub
        self._looked = False

    def look(self) -> None:
        """Make what is counted true, if the lease is ours."""
        self._looked = False
        if self.lease.hold():
            found = mend(self._database, now())
            swept, reminded = self._transfer.sweep(), self._expiry.remind()
            if found or swept or reminded:
                log.info("made true: %s charges, %s imports; %s entitlements end soon", found, swept, reminded)
            self._looked = True

    async def looked(self) -> None:
        """End what runs by no right any more, if the lease is ours."""
        if not self._looked:
            return
        try:
            await self._expiry.end_what_has_no_right(self._hub)
        except (HubExtError, SQLAlchemyError) as error:
            log.warning("a look at what runs by no right failed (%s); it is tried again", type(error).__name__)


def mend(database: Database, at: datetime) -> int:
    """Give back what has ended and is counted still, and count what goes on and is not counted.

    Args:
        database: The database.
        at: The time of the clock.

    Returns:
        How many there were.
    """
    with database.read() as session:
        over = [*session.execute(_ended_servers()), *session.execute(_ended_runs())]
        lost = [*_uncounted(session, "server", at), *_uncounted(session, "run", at)]
    for use_id, ended in over:
        with database.write() as session:
            release(session, use_id, ended or at)
    for use_id, user, purpose, spec, since in lost:
        with database.write() as session:
            charge_again(session, use_id, user, wanted_of(spec, purpose), since)
    return len(over) + len(lost)


def _ended_servers() -> Select[str, datetime | None]:
    """Return the query of servers that are counted and have ended, or never were."""
    joined = select(BudgetCharge.use, ServerStart.ended_at).outerjoin(ServerStart, ServerStart.id == BudgetCharge.use)
    gone = or_(ServerStart.id.is_(None), ServerStart.outcome.not_in(_OPEN_SERVERS))
    return joined.where(BudgetCharge.purpose == "server", gone).distinct()


def _ended_runs() -> Select[str, datetime | None]:
    joined = select(BudgetCharge.use, Run.ended_at).outerjoin(Run, Run.id == BudgetCharge.use)
    gone = or_(Run.id.is_(None), Run.state.not_in(_OPEN_RUNS))
    return joined.where(BudgetCharge.purpose == "run", gone).distinct()


def _uncounted(
    session: Session, purpose: Purpose, at: datetime
) -> Iterable[tuple[str, str, Purpose, Spec, datetime | None]]:
    """Yield what goes on and is not counted: it began before there were budgets."""
    if purpose == "server":
        columns = (ServerStart.id, ServerStart.user, DecisionRow.spec, ServerStart.ready_at)
        query = select(*columns).join(DecisionRow, DecisionRow.id == ServerStart.decision_id)
        query = query.where(ServerStart.outcome.in_(_OPEN_SERVERS), ServerStart.asked_at < at - _YOUNG)
        key = ServerStart.id
    else:
        query = select(Run.id, Run.caller, DecisionRow.spec, Run.started_at)
        query = query.join(DecisionRow, DecisionRow.id == Run.decision_id)
        query = query.where(Run.state.in_(_OPEN_RUNS), Run.created_at < at - _YOUNG)
        key = Run.id
    counted = select(BudgetCharge.use).where(BudgetCharge.use == key)
    for use_id, user, content, since in session.execute(query.where(~counted.exists())).all():
        try:
            spec = Spec.model_validate(content)
        except ValidationError:
            log.warning("what %s takes cannot be read by this release; it is not counted", use_id)
            continue
        yield use_id, user, purpose, spec, since
