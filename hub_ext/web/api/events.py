"""Event streams: one a browser for everything that its tabs show, and one for the output of a run."""

from __future__ import annotations

from hub_ext.access.owners import may_read_all, owned_by
from hub_ext.errors import Forbidden, InvalidInput
from hub_ext.governance.rights import reads_catalog
from hub_ext.people import Person
from hub_ext.web import stream
from hub_ext.web.api import asked
from hub_ext.web.api.operation import Answer, ApiHandler, operation
from hub_ext.web.context import Context
from hub_ext.web.errors import Malformed

LAST = "Last-Event-ID"
_LAST = {LAST: "Id of the last event seen: the stream goes on after it."}
_STREAM = {200: Answer("Events, until the browser goes", media=("text/event-stream",))}
_MOST = 20

# What one may hear of without naming one of one's own.
TOPICS_OF_ALL = ("runs", "workflows", "access", "platform")
TOPICS_OF_OWNERS = ("requests",)  # for who answers them, and who reads all
TOPICS_OF_CATALOG = ("profiles", "exceptions")  # for who looks after the catalog


def allowed_topics(context: Context, person: Person, asked: str) -> list[str]:
    """Return topics, as they are announced, that a person may hear of.

    Args:
        context: The parts of the service.
        person: Who asks.
        asked: Names with commas between.

    Raises:
        InvalidInput: If there is a topic that nobody could hear of, or too many.
        Forbidden: If there is one of the catalog, and she does not look after it.
        NotFound: If there is a run that she may not see.
    """
    names = list(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    if not 1 <= len(names) <= _MOST:
        raise InvalidInput.of("topics", f"must be 1 to {_MOST} names with commas between")
    return [_topic(context, person, name) for name in names]


def _topic(context: Context, person: Person, name: str) -> str:
    if name in ("workflows", "platform"):
        return name
    if name in TOPICS_OF_CATALOG:
        if not reads_catalog(person):
            raise Forbidden("Changes of the catalog are told to curators, reviewers, auditors and admins.")
        return name
    if name in ("runs", f"runs:{person.name}"):
        return f"runs:{person.name}"
    if name in ("access", f"access:{person.name}"):
        return f"access:{person.name}"
    if name == "requests":
        if not hears_requests(context, person):
            raise Forbidden("Requests for access are told to owners of profiles, curators, auditors and admins.")
        return "access"
    kind, _, run_id = name.partition(":")
    if kind != "run" or not run_id:
        raise InvalidInput.of(
            "topics", "may be runs, workflows, access, platform, requests, profiles, exceptions and run:<id>"
        )
    check_run(context, person, run_id)
    return name


def hears_requests(context: Context, person: Person) -> bool:
    """Return whether a person hears of requests for access that are not her own.

    Args:
        context: The parts of the service.
        person: Who.
    """
    return may_read_all(person) or bool(owned_by(context.catalog.current(), person))


def check_run(context: Context, person: Person, run_id: str) -> None:
    """Refuse who may not see a run.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Its id.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with context.database.read() as session:
        context.runs.get(session, person, run_id)


class _Following(ApiHandler):
    """Base of the streams."""

    streams = True

    def cursor(self, query: asked.FollowQuery) -> str | None:
        """Return where the stream goes on; the header, which browsers send by themselves, counts first.

        Raises:
            Malformed: If the header is too long.
        """
        last = self.request.headers.get(LAST)
        if last is not None and len(last) > 500:
            raise Malformed.of(LAST, "must be the id of an event")
        return last or query.cursor


class Events(_Following):
    """`events`."""

    @operation("Hear of changes", _STREAM, query=asked.EventsQuery, headers=_LAST, problems=(404,))
    async def get(self, query: asked.EventsQuery) -> None:
        """Hear of changes."""
        topics = await self.call(allowed_topics, self.context, self.person, query.topics)

        async def still_allowed() -> None:
            person = await self.still_signed_in()
            await self.call(allowed_topics, self.context, person, query.topics)

        await stream.send(self, self.context.live.changes(topics, self.cursor(query)), still_allowed)


class RunEvents(_Following):
    """`runs/{run_id}/events`."""

    @operation("Follow a run", _STREAM, query=asked.FollowQuery, headers=_LAST)
    async def get(self, run_id: str, query: asked.FollowQuery) -> None:
        """Follow a run."""
        await self.call(check_run, self.context, self.person, run_id)

        async def still_allowed() -> None:
            person = await self.still_signed_in()
            await self.call(check_run, self.context, person, run_id)

        await stream.send(self, self.context.live.follow(run_id, self.cursor(query)), still_allowed)
