"""People: what is known of their sign-in, blocking them, and handing their workflows to an heir."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from hub_ext.db.tables import Account
from hub_ext.errors import InvalidInput, NotFound
from hub_ext.web.api.access_models import Named, Words
from hub_ext.web.api.models import Given, Taken
from hub_ext.web.api.operation import Answer, ApiHandler, Body, operation

_ADMINS = "For admins, with a browser session or a token made for it."


class Blocking(Taken):
    """Somebody to be blocked."""

    reason: Words = Field(description="Why; others read it.")


class Inheritance(Taken):
    """To whom workflows go."""

    heir: Named = Field(description="Name of a person, or of a group whose publishers keep them.")
    kind: Literal["person", "group"] = "person"


class KnownAccount(Given):
    """What is known of somebody's sign-in."""

    name: str
    provider: str = Field(description="Its address; empty: she never signed in by one.")
    subject: str = Field(description="Who she is: two names of one subject are one person.")
    groups: list[str] = Field(description="As the provider said last.")
    groups_at: datetime | None = Field(description="When it did.")
    away_since: datetime | None = Field(description="Since when it could not be asked.")
    signed_in_at: datetime | None
    blocked_at: datetime | None
    blocked_by: str
    blocked_why: str
    left_at: datetime | None = Field(description="When all that she held was taken last.")
    left_why: str


class HandedWorkflow(Given):
    """A workflow that has another owner now."""

    before: str = Field(description="Its name until now.")
    name: str = Field(description="Its name now.")


class HandedOver(Given):
    """What was handed over."""

    heir: str
    items: list[HandedWorkflow]


def given(row: Account) -> KnownAccount:
    """Return an account as the API gives it."""
    return KnownAccount(
        name=row.name,
        provider=row.issuer,
        subject=row.subject,
        groups=[str(one) for one in row.groups],
        groups_at=row.groups_at,
        away_since=row.away_since,
        signed_in_at=row.signed_in_at,
        blocked_at=row.blocked_at,
        blocked_by=row.blocked_by,
        blocked_why=row.blocked_why,
        left_at=row.left_at,
        left_why=row.left_why,
    )


class OneAccount(ApiHandler):
    """`people/{name}/account`."""

    @operation(
        "Say what is known of somebody's sign-in",
        {200: Answer("Her account", KnownAccount)},
        description="For curators, auditors and admins.",
    )
    async def get(self, name: str) -> None:
        """Say it."""
        self.answer(given(await self.call(self.context.people.account, await self.refreshed(), name)))


class Block(ApiHandler):
    """`people/{name}/block`."""

    @operation(
        "Block somebody",
        {200: Answer("Her account", KnownAccount)},
        body=Body(Blocking),
        problems=(409,),
        description=f"{_ADMINS} Sessions, tokens, servers and runs are taken within a minute.",
    )
    async def put(self, name: str, body: Blocking) -> None:
        """Block her."""
        self.answer(given(await self.call(self.context.people.block, await self.refreshed(), name, body.reason)))

    @operation("Let somebody in again", {204: Answer("She may sign in")}, description=_ADMINS)
    async def delete(self, name: str) -> None:
        """Let her in."""
        await self.call(self.context.people.let_in, await self.refreshed(), name)
        self.nothing()


class Heir(ApiHandler):
    """`people/{name}/heir`."""

    @operation(
        "Hand all workflows of somebody to an heir",
        {200: Answer("What was handed over", HandedOver)},
        body=Body(Inheritance),
        description=f"{_ADMINS} Runs stay whose they are. A name that the heir has already gets a number.",
    )
    async def post(self, name: str, body: Inheritance) -> None:
        """Hand them over."""
        person = await self.refreshed()
        if person.has_role("admin"):  # who may not act learns of nobody whether the Hub knows her
            await self._must_exist(body)
        found = await self.call(self.context.people.hand_over, person, name, body.heir)
        items = [HandedWorkflow(before=one.before, name=one.name) for one in found]
        self.answer(HandedOver(heir=body.heir, items=items))

    async def _must_exist(self, body: Inheritance) -> None:
        try:
            if body.kind == "group":
                await self.context.hub.members(body.heir)
            else:
                await self.context.hub.groups_of(body.heir)
        except NotFound:
            raise InvalidInput.of("heir", f"the Hub knows no such {body.kind}") from None
