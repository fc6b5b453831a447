"""Exceptions: a rule that a profile need not meet, for some people, until a time. Each has an owner and a reason."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext.catalog.decide import RuleException
from hub_ext.db.tables import PolicyException


def load_exceptions(session: Session, after: datetime, profile: str | None = None) -> list[RuleException]:
    """Return the exceptions that were not revoked and end after a time.

    Args:
        session: Any transaction.
        after: Those that had ended by then are left out.
        profile: Of which profile; None for all.
    """
    query = select(PolicyException).where(PolicyException.until > after, PolicyException.revoked_at.is_(None))
    if profile is not None:
        query = query.where(PolicyException.profile == profile)
    return [_as_fact(row) for row in session.scalars(query.order_by(PolicyException.id))]


def _as_fact(row: PolicyException) -> RuleException:
    return RuleException(
        row.id, row.profile, row.rule, row.until, frozenset(row.users), frozenset(row.groups), row.owner
    )
