"""The caller's servers: when they end, and one more hour. Starting and stopping them is the Hub's own API."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from hub_ext.access.lifetimes import Lasting
from hub_ext.web.api import asked
from hub_ext.web.api.models import Given, Page
from hub_ext.web.api.operation import Answer, ApiHandler, Body, operation


class Server(Given):
    """A notebook server that starts or runs."""

    id: str = Field(description="Of its start.")
    name: str = Field(description="Empty for the one without a name.")
    profile: str
    version: int
    state: str = Field(description="starting or ready")
    asked_at: datetime
    ready_at: datetime | None
    ends_at: datetime = Field(description="Whether it is used or not. One that nobody uses ends earlier.")
    ending: str = Field(description="Why it ends sooner than usual: it runs by no right any more. Empty: it does not.")
    announced: bool = Field(description="Whether its end is near enough to be told of.")
    kept: int = Field(description="Hours that it was kept for, past its usual end.")
    can_be_kept: int = Field(description="How many more hours it can be kept for.")


class ServerList(Page[Server]):
    """Servers of the caller."""


def given(one: Lasting) -> Server:
    """Return a server as the API gives it."""
    start = one.start
    return Server(
        id=start.id,
        name=start.server,
        profile=start.profile,
        version=start.profile_version,
        state=start.outcome,
        asked_at=start.asked_at,
        ready_at=start.ready_at,
        ends_at=one.ends_at,
        ending=start.must_end_why,
        announced=one.announced,
        kept=start.kept,
        can_be_kept=one.left,
    )


class Servers(ApiHandler):
    """`servers`."""

    @operation("List the caller's servers, and when they end", {200: Answer("Servers", ServerList)})
    async def get(self) -> None:
        """List them."""
        found = await self.call(self.context.lifetimes.servers_of, self.person.name)
        self.answer(ServerList(items=[given(one) for one in found], next=None))


class KeepServer(ApiHandler):
    """`servers/{start_id}/keep`."""

    @operation(
        "Keep a server for another hour",
        {200: Answer("The server as it is now", Server)},
        body=Body(asked.Nothing, optional=True),
        problems=(409,),
        description="For whose server it is, in its last hour, as often as its profile allows, with a browser session "
        "or a token of one's own. It is decided as a start is.",
    )
    async def post(self, start_id: str, body: asked.Nothing) -> None:
        """Keep it."""
        del body
        person = await self.refreshed()
        self.answer(given(await self.call(self.context.lifetimes.keep, person, start_id)))
