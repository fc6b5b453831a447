"""What waits for a person, and what ends for her: shown on her home page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hub_ext.access.lifetimes import Lasting
from hub_ext.access.looking import Ending, ending, last_requests
from hub_ext.access.requests import Wanted
from hub_ext.db.tables import AccessRequest
from hub_ext.people import Person
from hub_ext.web.context import Context

_SHOWN = 3
_NEWS = timedelta(days=3)  # how long an answer is news


@dataclass(frozen=True)
class Attention:
    """What a person should see first.

    Attributes:
        requests: Requests of others that she may answer, the oldest first; some of them.
        count: How many there are.
        endings: What she will lose soon.
        answered: Her own requests that were answered in the last days.
        servers: Her servers that start or run.
    """

    requests: list[AccessRequest]
    count: int
    endings: list[Ending]
    answered: list[AccessRequest]
    servers: list[Lasting]

    @property
    def ending_servers(self) -> list[Lasting]:
        """Servers whose end is announced."""
        return [one for one in self.servers if one.announced]


def attention(context: Context, person: Person) -> Attention:
    """Return what a person should see first.

    Args:
        context: The parts of the service.
        person: Who.
    """
    with context.database.read() as session:
        facts = context.decisions.facts_now(session, person.groups, user=person.name)
        asked = last_requests(session, person.name, facts.now)
    answers = [row for row in asked.values() if row.answered_at and row.answered_at > facts.now - _NEWS]
    count = context.access_requests.count_answerable(person)
    wanted = Wanted(state="waiting", answerable=True, limit=_SHOWN)
    return Attention(
        requests=context.access_requests.listing(person, wanted)[0] if count else [],
        count=count,
        endings=ending(facts, timedelta(days=float(context.settings.entitlement_reminder))),
        answered=sorted(answers, key=lambda row: row.answered_at or row.asked_at, reverse=True)[:_SHOWN],
        servers=context.lifetimes.servers_of(person.name),
    )
