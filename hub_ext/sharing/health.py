"""Health of a workflow: how many of its runs that ended succeeded, over 30 days."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from hub_ext.db.tables import Run

DAYS = 30
ENOUGH = 3

# A run that was cancelled says nothing about its workflow.
_SUCCEEDED = "succeeded"
_COUNTED = (_SUCCEEDED, "failed", "lost")


@dataclass(frozen=True)
class Health:
    """Runs of a workflow that ended within 30 days and were not cancelled.

    Attributes:
        succeeded: How many succeeded.
        ended: How many there were.
    """

    succeeded: int = 0
    ended: int = 0

    @property
    def known(self) -> bool:
        """Whether there were enough runs to say anything."""
        return self.ended >= ENOUGH

    @property
    def percent(self) -> int | None:
        """Share that succeeded, in whole percent; 0 and 100 only where they are exact; None when it is not known."""
        if not self.known:
            return None
        if self.succeeded in (0, self.ended):
            return 100 * self.succeeded // self.ended
        return min(99, max(1, round(100 * self.succeeded / self.ended)))

    def words(self) -> str:
        """Return it as people read it: ``96 % (24 of 25 in 30 days)``."""
        if not self.known:
            return "no runs yet"
        return f"{self.percent} % ({self.succeeded} of {self.ended} in {DAYS} days)"


def health(session: Session, workflow_ids: Collection[str], at: datetime) -> dict[str, Health]:
    """Return the health of workflows.

    Args:
        session: A transaction.
        workflow_ids: Their ids; a page of them.
        at: End of the 30 days.

    Returns:
        One for each id that was asked for.
    """
    found = dict.fromkeys(workflow_ids, Health())
    if not found:
        return found
    # The states are told apart in the count, not in the condition: so the index by workflow and time is the one to use.
    query = (
        select(Run.workflow_id, _count(Run.state == _SUCCEEDED), _count(Run.state.in_(_COUNTED)))
        .where(Run.workflow_id.in_(list(found)), Run.ended_at > at - timedelta(days=DAYS), Run.ended_at <= at)
        .group_by(Run.workflow_id)
    )
    for workflow_id, succeeded, ended in session.execute(query):
        found[workflow_id] = Health(int(succeeded), int(ended))
    return found


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
