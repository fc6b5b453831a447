"""Home and gallery."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext.db.tables import ServerStart
from hub_ext.governance.views import VersionInfo
from hub_ext.people import Person
from hub_ext.sharing.listing import Listing, Query, listing
from hub_ext.sharing.workflows import Home as Latest
from hub_ext.sharing.workflows import home
from hub_ext.web.context import Context
from hub_ext.web.pages.attention import Attention, attention
from hub_ext.web.pages.catalog_rows import waits_for
from hub_ext.web.pages.page import Page
from hub_ext.web.pages.rendering import query

_DONE = {"kept": "The server is kept for another hour."}
_SORTS = ("updated", "used", "title")
_ROWS = 20


@dataclass(frozen=True)
class Filters:
    """What the address of the gallery holds."""

    q: str = ""
    tag: str = ""
    owner: str = ""
    favourites: bool = False
    sort: str = "updated"
    cursor: str = ""

    def address(self, base: str, **changes: Any) -> str:
        """Return the address with other filters; it begins at the first page.

        Args:
            base: Address of the gallery.
            changes: What is different; None or empty takes a filter away.
        """
        values = {"q": self.q, "tag": self.tag, "owner": self.owner, "favourites": self.favourites and 1}
        values |= {"sort": "" if self.sort == "updated" else self.sort, **changes}
        return base + query(values)

    def listing_query(self) -> Query:
        """Return what to ask the gallery for."""
        return Query(
            q=self.q,
            tag=self.tag or None,
            owner=self.owner or None,
            favourite=self.favourites,
            sort=self.sort,
            cursor=self.cursor or None,
            limit=_ROWS,
        )


class GalleryPage(Page):
    """The workflows that a person may see, with search and filters."""

    here = "gallery"

    async def get(self) -> None:
        """Show a page of it; to htmx, the rows alone."""
        sort = self.text("sort")
        filters = Filters(
            q=self.text("q"),
            tag=self.text("tag"),
            owner=self.text("owner"),
            favourites=self.text("favourites") == "1",
            sort=sort if sort in _SORTS else "updated",
            cursor=self.text("cursor"),
        )
        page = await self.call(self._list, filters.listing_query())
        base = self.link("gallery")
        part = self.asked_by_htmx()
        if part:
            self.set_header("HX-Push-Url", filters.address(base))
        self.show(
            "_gallery_results.html" if part else "gallery.html",
            page=page,
            filters=filters,
            filtered=bool(filters.q or filters.tag or filters.owner or filters.favourites or filters.cursor),
            address=functools.partial(filters.address, base),
        )

    def _list(self, wanted: Query) -> Listing:
        with self.context.database.read() as session:
            return listing(session, self.person, wanted)


def first_page(context: Context, person: Person) -> tuple[Latest, ServerStart | None, list[VersionInfo], Attention]:
    """Return what a person's home page shows: her runs and favourites, her server, the versions of profiles and what
    else waits for her.

    Args:
        context: The parts of the service.
        person: Who looks.
    """
    with context.database.read() as session:
        latest, server = home(session, person), server_of(session, person)
    waiting: list[VersionInfo] = []
    if person.has_role("curator"):
        found = context.desk(person).overview.waiting()
        waiting = [one for one in found if waits_for(one, person).startswith("you")]
    return latest, server, waiting, attention(context, person)


class HomePage(Page):
    """What a person goes on with."""

    here = "home"

    async def get(self) -> None:
        """Show it."""
        load = functools.partial(first_page, self.context, self.person)
        latest, server, waiting, first = await self.context.ahead.take(self.person, load)
        title = ""
        if server is not None:
            versions = self.context.catalog.current().versions(server.profile)
            title = versions[-1].metadata.title if versions else server.profile
        self.show(
            "home.html",
            home=latest,
            server=server,
            profile_title=title,
            waiting=waiting,
            attention=first,
            titles={one.name: one.metadata.title for one in self.context.catalog.current().newest()},
            done=_DONE.get(self.text("done"), ""),
        )


class KeepForm(Page):
    """Keeps a server for another hour."""

    here = "home"

    async def get(self, start_id: str) -> None:
        """Lead home: somebody reloaded what a mistake had left."""
        del start_id
        self.redirect(self.link(""))

    async def post(self, start_id: str) -> None:
        """Keep it."""
        person = await self.refreshed()
        await self.call(self.context.lifetimes.keep, person, start_id)
        self.redirect(self.link("?done=kept"), status=303)


def server_of(session: Session, person: Person) -> ServerStart | None:
    """Return the person's server that is starting or ready, None when there is none.

    Args:
        session: A transaction.
        person: Whose.
    """
    latest = (
        select(ServerStart)
        .where(ServerStart.user == person.name, ServerStart.server == "")
        .order_by(ServerStart.asked_at.desc(), ServerStart.id.desc())
        .limit(1)
    )
    found = session.scalar(latest)
    return found if found is not None and found.outcome in ("starting", "ready") else None
