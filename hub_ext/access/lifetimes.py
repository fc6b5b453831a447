"""How long servers last: their end announced, and put off for an hour where the profile allows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.budgets import wanted_of
from hub_ext.access.entitlements import TOPIC
from hub_ext.catalog.budget import A_MONTH, held_against
from hub_ext.catalog.decide import Decision, decide
from hub_ext.catalog.models import Lifetime, Spec
from hub_ext.db.session import Database
from hub_ext.db.tables import DecisionRow, ServerStart
from hub_ext.decisions import DecisionPoint, parse_request
from hub_ext.errors import Conflict, Forbidden, NotFound
from hub_ext.people import Person

ANNOUNCED = timedelta(hours=1)  # before its end, a server's end is announced, and can be put off
_HOUR = timedelta(hours=1)
_OPEN = ("starting", "ready")


@dataclass(frozen=True)
class Lasting:
    """A server of a person, and when it ends.

    Attributes:
        start: The start that it stands for.
        lifetime: What the decision gave it.
        now: The time of the clock.
    """

    start: ServerStart
    lifetime: Lifetime
    now: datetime

    @property
    def usual_end(self) -> datetime:
        """When its longest life ends, with the hours that it was kept for."""
        began = self.start.ready_at or self.start.asked_at
        return began + timedelta(minutes=self.lifetime.maximum) + self.start.kept * _HOUR

    @property
    def ends_at(self) -> datetime:
        """When it is ended, whether it is used or not."""
        return min(self.usual_end, self.start.must_end_at or self.usual_end)

    @property
    def left(self) -> int:
        """How many more times it can be kept for an hour."""
        return max(0, self.lifetime.extensions - self.start.kept)

    @property
    def announced(self) -> bool:
        """Whether its end is near enough to be announced: an hour before, or half of its life where that is shorter."""
        ahead = min(ANNOUNCED, timedelta(minutes=self.lifetime.maximum) / 2)
        return self.start.must_end_at is not None or self.ends_at - self.now <= ahead

    @property
    def may_be_kept(self) -> bool:
        """Whether its person may keep it for another hour now."""
        return self.announced and self.left > 0 and self.start.outcome == "ready" and self.start.must_end_at is None


class Lifetimes:
    """Says when servers end, and puts an end off.

    Args:
        decisions: Decides whether somebody may have more.
    """

    def __init__(self, decisions: DecisionPoint) -> None:
        self.decisions = decisions
        self.database: Database = decisions.database

    def servers_of(self, user: str) -> list[Lasting]:
        """Return the servers of a person that start or run, the first that was asked for first.

        Args:
            user: Her name.
        """
        with self.database.read() as session:
            query = _open_starts().where(ServerStart.user == user).order_by(ServerStart.asked_at)
            return [self._lasting(start, content) for start, content in session.execute(query)]

    def _lasting(self, start: ServerStart, content: object) -> Lasting:
        try:
            lifetime = Spec.model_validate(content).lifetime
        except ValidationError:  # of a release that knew other profiles
            lifetime = Lifetime()
        return Lasting(start, lifetime, self.decisions.catalog.clock())

    def keep(self, person: Person, start_id: str) -> Lasting:
        """Keep one's own server for another hour. It is decided as a start is, with the options that it has.

        Args:
            person: Whose server it is; her session or token must be one that she uses herself.
            start_id: The start that it stands for.

        Raises:
            NotFound: If there is no such server of hers.
            Forbidden: If it is a notebook server's own token: what runs there would never end.
            Conflict: If it does not end soon, was kept as often as it may be, or runs by no right any more.
            Denied: If she may not have it for longer; that is recorded.
        """
        if not person.may_administer:
            raise Forbidden(
                "This token may not keep a server: a notebook server's own, or one made without that right.",
                hint="Do it in the browser, or with a token of your own.",
            )
        with self.database.write() as session:
            found = self._locked(session, person, start_id)
            _must_be_kept(found)
            decision = self._decide(session, person, found)
            about = {"start": start_id, "hours": found.start.kept + 1, "of": found.lifetime.extensions}
            if decision.allowed:
                found.start.kept += 1
            about["reasons"] = [one.as_dict() for one in decision.reasons]
            outcome = "allowed" if decision.allowed else "denied"
            audit.record(session, person.name, "server.keep", _subject(found.start), outcome=outcome, detail=about)
            audit.announce(session, f"{TOPIC}:{person.name}", {"server": start_id})
        if not decision.allowed:
            raise decision.error()
        return found

    def _locked(self, session: Session, person: Person, start_id: str) -> Lasting:
        row = session.scalar(
            select(ServerStart)
            .where(ServerStart.id == start_id[:32], ServerStart.user == person.name, ServerStart.outcome.in_(_OPEN))
            .with_for_update()
        )
        if row is None:
            raise NotFound("There is no such server of yours.")
        decided = session.get(DecisionRow, row.decision_id) if row.decision_id else None
        return self._lasting(row, decided.spec if decided is not None else None)

    def _decide(self, session: Session, person: Person, found: Lasting) -> Decision:
        """Decide anew on what runs, and look at the hours that are left this month."""
        decided = session.get_one(DecisionRow, found.start.decision_id)
        request = parse_request(person.name, "server", decided.request)
        facts = self.decisions.facts_now(session, person.groups, request.profile, user=person.name)
        decision = decide(request, facts)
        if not decision.allowed or decision.spec is None:
            return decision
        at = self.decisions.catalog.clock()
        standings = self.decisions.budgets.standings(session, person.name, person.groups, at)
        reasons, _ = held_against(standings, wanted_of(decision.spec, "server"), A_MONTH)
        return replace(decision, reasons=tuple(reasons), spec=None, rendering=None) if reasons else decision


def _open_starts() -> Select[ServerStart, Any]:
    return (
        select(ServerStart, DecisionRow.spec)
        .outerjoin(DecisionRow, DecisionRow.id == ServerStart.decision_id)
        .where(ServerStart.outcome.in_(_OPEN))
    )


def _subject(start: ServerStart) -> tuple[str, str]:
    return ("server", f"{start.user}/{start.server}" if start.server else start.user)


def _must_be_kept(found: Lasting) -> None:
    if found.start.must_end_at is not None:
        raise Conflict(f"It cannot be kept. {found.start.must_end_why}")
    if found.start.outcome != "ready":
        raise Conflict("It is still starting.")
    if not found.lifetime.extensions:
        raise Conflict("Its profile does not let a server be kept for longer.", hint="Start another when it has ended.")
    if not found.left:
        raise Conflict("It was kept as often as its profile allows.", hint="Start another when it has ended.")
    if not found.announced:
        raise Conflict(f"It ends only at {found.ends_at:%Y-%m-%d %H:%M} UTC.", hint="Keep it in its last hour.")
