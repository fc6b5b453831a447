"""What all processes agree on: how often the catalog was changed, and the latest time that any of them saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext.db.tables import CatalogState

_ONE = 1
_KEPT_EVERY = timedelta(seconds=30)  # a start need not write a time that is hardly later than the last
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = CatalogState.__table__.c
_AGREED = select(_COLUMNS.generation, _COLUMNS.clock).where(_COLUMNS.id == _ONE)  # asked at each decision


@dataclass(frozen=True)
class Agreed:
    """What the row says.

    Attributes:
        generation: Grows with each change of versions, approvals and exceptions.
        clock: The latest time that was kept: no later one is over, whatever the clock of this machine says.
    """

    generation: int
    clock: datetime


NOTHING_AGREED = Agreed(0, _BEGINNING)


def agreed(session: Session) -> Agreed:
    """Return what all processes agree on."""
    row = session.connection().execute(_AGREED).one_or_none()
    return Agreed(*row) if row is not None else NOTHING_AGREED


def _row(session: Session) -> CatalogState:
    row = session.get(CatalogState, _ONE, with_for_update=True, populate_existing=True)
    if row is None:
        row = CatalogState(id=_ONE, generation=0, clock=_BEGINNING)
        session.add(row)
        session.flush()
    return row


def wait_for_others(session: Session) -> None:
    """Begin an act on versions, approvals or exceptions: acts wait for each other here."""
    _row(session)


def changed(session: Session) -> None:
    """Say that versions, approvals or exceptions change with this transaction; the last thing that an act does.

    Before it, the transaction reads what was committed, under the generation of that.
    """
    _row(session).generation += 1


def keep_time(session: Session, at: datetime, before: Agreed, *, at_once: bool) -> None:
    """Keep a time, so that what has ended by then stays ended if the clock jumps back.

    Args:
        session: A write transaction.
        at: The time.
        before: What was agreed at its beginning.
        at_once: Something has ended since the time that was kept last; else half a minute may go by.
    """
    if at < before.clock + _KEPT_EVERY and not (at_once and at > before.clock):
        return
    row = _row(session)
    row.clock = max(row.clock, at)
