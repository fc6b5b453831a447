"""The record of acts and the runs: whether the one is what was written, and the others are looked after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import Lease, Run
from hub_ext.db.types import now
from hub_ext.doctor.finding import Finding, ok
from hub_ext.runs.rounds import LEASE
from hub_ext.runs.states import ACTIVE
from hub_ext.settings import HubExt

_QUEUED_FOR = timedelta(minutes=15)


def look(settings: HubExt, database: Database) -> Iterator[Finding]:
    """Look at the chain of the record, at who looks after runs, and at runs that wait without a reason.

    Args:
        settings: All settings.
        database: With the tables of this release.
    """
    with database.read() as session:
        yield _chain(session)
        lease = session.get(Lease, LEASE)
        active = session.scalar(select(func.count()).select_from(Run).where(Run.state.in_(ACTIVE))) or 0
        query = select(func.count(), func.min(Run.created_at)).where(Run.state == "queued")
        queued, oldest = session.execute(query).one()
    if lease is None or lease.expires_at <= now():
        advice = "The sharing service does: is it running? See its log."
        yield Finding("runs", "warn", "nobody looks after them: none starts, and none ends", advice)
    elif queued and active < settings.at_once and now() - oldest > _QUEUED_FOR:
        advice = "Its page says what it waits for; the log of the sharing service, why it cannot start."
        yield Finding("runs", "warn", "one has waited for 15 minutes although there is room", advice)
    else:
        yield ok("runs", f"{active} are active, {queued} wait")


def _chain(session: Session) -> Finding:
    verdict = audit.verify(session)
    if verdict.intact:
        return ok("chain of the record", f"{verdict.checked} acts, intact")
    advice = "Compare it with a backup: that act, or the one before, was changed behind our back."
    return Finding("chain of the record", "fail", f"it is broken at act {verdict.broken_at}", advice)
