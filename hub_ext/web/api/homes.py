"""The homes of people who left: listed, and let go."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from hub_ext.homes.records import MOST, Kept
from hub_ext.web.api.access_models import Named
from hub_ext.web.api.models import Given, Page, Taken
from hub_ext.web.api.operation import Answer, ApiHandler, Body, operation


class HomeItem(Given):
    """The home of somebody who left."""

    name: str
    left_at: datetime
    why: str = Field(description="What happened to her.")
    place: str = Field(description="Where it is.")
    size: int | None = Field(description="Bytes: of what is in a folder, or of a whole volume; null: not known.")
    state: Literal["kept", "confirmed", "removing", "removed"]
    removable_from: datetime = Field(description="Until then it is kept in any case.")
    removable: bool = Field(description="Whether its removal may be confirmed now.")
    hindrance: str = Field(description="Why it is there still, or what there is to say of its end; empty for nothing.")
    confirmed_by: str
    confirmed_at: datetime | None
    removed_at: datetime | None


class HomeList(Page[HomeItem]):
    """Homes of people who left: those that are there, who left first in front; then the last that were removed."""


class Removal(Taken):
    """Homes that are to be removed."""

    names: Annotated[list[Named], Field(min_length=1, max_length=MOST)] = Field(description="Whose; each is named.")


def given(one: Kept) -> HomeItem:
    """Return a home as the API gives it."""
    row = one.row
    return HomeItem(
        name=row.name,
        left_at=row.left_at,
        why=row.why,
        place=row.place,
        size=row.size,
        state=row.state,
        removable_from=one.removable_from,
        removable=one.removable,
        hindrance=row.hindrance,
        confirmed_by=row.confirmed_by,
        confirmed_at=row.confirmed_at,
        removed_at=row.removed_at,
    )


class HomesOfLeavers(ApiHandler):
    """`homes`."""

    @operation(
        "List the homes of people who left",
        {200: Answer("The homes", HomeList)},
        description="For auditors and admins. Who comes back has her home again, and is no longer in the list.",
    )
    async def get(self) -> None:
        """List them."""
        found = await self.call(self.context.homes.listing, await self.refreshed())
        self.answer(HomeList(items=[given(one) for one in found]))


class HomeRemoval(ApiHandler):
    """`homes/removal`."""

    @operation(
        "Let homes of people who left be removed",
        {202: Answer("The Hub removes them within a minute", HomeList)},
        body=Body(Removal),
        problems=(404, 409),
        description="For admins, with a browser session or a token made for it. All of them or none: each has to be "
        "past its time. What is in them is lost for ever. Who is back meanwhile, or has a server or a run, keeps hers.",
    )
    async def post(self, body: Removal) -> None:
        """Confirm it."""
        found = await self.call(self.context.homes.confirm, await self.refreshed(), body.names)
        self.answer(HomeList(items=[given(one) for one in found]), status=202)
