"""Read-only mode: whether it is on, and for admins its beginning and end."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from hub_ext.governance.shapes import read_time
from hub_ext.maintenance import LONGEST_WHY, ReadOnly
from hub_ext.web.api.models import Given, Taken
from hub_ext.web.api.operation import Answer, ApiHandler, Body, operation

_ADMINS = "For admins, with a browser session or a token made for it."


class Maintenance(Taken):
    """A maintenance that begins."""

    until: str = Field(description="When it is to be over (RFC 3339, with its zone); it lasts until somebody ends it.")
    why: str = Field(min_length=1, max_length=LONGEST_WHY, description="Why; everybody reads it.")


class ReadOnlyState(Given):
    """Whether anything can be changed."""

    read_only: bool
    since: datetime | None = None
    until: datetime | None = Field(default=None, description="When it is to be over.")
    why: str = ""
    by: str = ""


def given(found: ReadOnly | None) -> ReadOnlyState:
    """Return the state as the API gives it."""
    if found is None:
        return ReadOnlyState(read_only=False)
    return ReadOnlyState(read_only=True, since=found.since, until=found.until, why=found.why, by=found.by)


class ReadOnlyMode(ApiHandler):
    """`read-only`."""

    changes = False  # it is what ends it

    @operation("Say whether the platform is read-only", {200: Answer("Whether it is", ReadOnlyState)})
    async def get(self) -> None:
        """Say it."""
        self.answer(given(await self.call(self.context.maintenance.look)))

    @operation(
        "Make the platform read-only",
        {200: Answer("It is", ReadOnlyState)},
        body=Body(Maintenance),
        description=f"{_ADMINS} Every change answers 503 from now on; what runs goes on, and nothing new starts.",
    )
    async def put(self, body: Maintenance) -> None:
        """Begin it."""
        person = await self.refreshed()
        until = read_time("until", body.until)
        self.answer(given(await self.call(self.context.maintenance.begin, person, until, body.why)))

    @operation("Let everything be changed again", {204: Answer("It can")}, description=_ADMINS)
    async def delete(self) -> None:
        """End it."""
        await self.call(self.context.maintenance.end, await self.refreshed())
        self.nothing()
