"""Whether a run that waited may begin on what is known of its person now."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext.catalog.decide import Request, decide
from hub_ext.db.tables import Account, Run
from hub_ext.db.types import now
from hub_ext.decisions import DecisionPoint
from hub_ext.runs.states import announce
from hub_ext.signin.accounts import standing_of

SIGN_IN = "it waits until you sign in again: the sign-in provider has not confirmed your groups for too long"


class Gate:
    """Looks at queued runs before they begin.

    Args:
        decisions: Decides again, on the groups of now.
    """

    def __init__(self, decisions: DecisionPoint) -> None:
        self._decisions = decisions

    def held_back(self, session: Session) -> set[str]:
        """Return whose runs wait until she signs in again; these runs say so.

        Args:
            session: A write transaction.
        """
        oldest = now() - timedelta(hours=float(self._decisions.settings.groups_age_hours))
        queued = select(Run.caller).where(Run.state == "queued")
        stale = set(session.scalars(select(Account.name).where(Account.groups_at < oldest, Account.name.in_(queued))))
        for run in session.scalars(
            select(Run).where(Run.state == "queued", Run.caller.in_(stale), Run.reason != SIGN_IN)
        ):
            run.reason = SIGN_IN
            announce(session, run)
        over = select(Run).where(Run.state == "queued", Run.reason == SIGN_IN, Run.caller.not_in(stale))
        for run in session.scalars(over):
            run.reason = ""
            announce(session, run)
        return stale

    def refusal(self, session: Session, run: Run) -> str:
        """Return why a run may not begin any more, in words; empty when it may.

        The groups are those that the provider said last; where none says them, what was decided at the order holds.

        Args:
            session: The transaction.
            run: The run.
        """
        groups = standing_of(session, run.caller).groups
        if groups is None or run.profile is None:
            return ""
        facts = self._decisions.facts_now(session, groups, run.profile, user=run.caller)
        decision = decide(Request(run.caller, "run", run.profile, run.profile_version, dict(run.options)), facts)
        return "" if decision.allowed else f"it may not begin any more: {decision.sentence()}"
