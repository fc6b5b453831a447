"""Requests and entitlements as owners and curators answer and keep them; auditors and admins read."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hub_ext.access.entitlements import Grant
from hub_ext.access.entitlements import Wanted as WantedEntitlements
from hub_ext.access.owners import may_entitle, may_read_all, owned_by
from hub_ext.access.requests import Answer, Wanted
from hub_ext.catalog.decide import may_use
from hub_ext.db.tables import AccessRequest, Entitlement
from hub_ext.errors import Forbidden, HubExtError
from hub_ext.governance.state import agreed
from hub_ext.people import Person
from hub_ext.web.api.entitlements import profile_access
from hub_ext.web.api.models import PageQuery
from hub_ext.web.pages.access import TOLD, AccessPage
from hub_ext.web.pages.rendering import query

_USUAL = timedelta(days=30)  # what a grant is offered for
_ROWS = 30
_SOON = 50  # entitlements that end soon, at most
_STATES = ("waiting", "granted", "refused", "withdrawn")
_DONE = {
    "granted": "Access is granted.",
    "refused": "The request is refused; the one who asked is told your words.",
    "shortened": "The entitlement ends then.",
    "over": "The entitlement is over.",
}


class GrantingPage(AccessPage):
    """Base of the pages of who answers for profiles, and of who reads along."""

    def must_look(self, person: Person) -> None:
        """Refuse who looks after no profile.

        Args:
            person: Who asks.

        Raises:
            Forbidden: If she neither owns a profile nor reads all.
        """
        if not may_read_all(person) and not owned_by(self.context.catalog.current(), person):
            raise Forbidden(
                "Requests and entitlements are seen by owners of profiles, curators, auditors and admins.",
                hint="Your own are on the page My access.",
            )

    def may_answer(self, person: Person, profile: str, user: str = "") -> bool:
        """Return whether a person may grant, refuse and shorten for a profile, for somebody else.

        Args:
            person: Who.
            profile: Name of the profile.
            user: For whom.
        """
        return user != person.name and may_entitle(person, self.context.catalog.current(), profile)

    def titles(self) -> dict[str, str]:
        """Return the title of each profile by its name."""
        return {one.name: one.metadata.title for one in self.context.catalog.current().newest()}

    def now(self) -> datetime:
        """Return the time that counts."""
        with self.context.database.read() as session:
            return self.context.catalog.now(agreed(session))


class _Requests(GrantingPage):
    """Requests that wait, with their answers; what ends soon; and what was answered."""

    tab = "requests"

    async def show_requests(
        self, error: HubExtError | None = None, about: str = "", typed: Mapping[str, str] | None = None
    ) -> None:
        """Show the page, maybe with what went wrong.

        Args:
            error: What is wrong with an answer.
            about: The request that it was for.
            typed: What was typed.
        """
        person = self.person
        self.must_look(person)
        state, cursor = self.text("state"), self.text("cursor")
        state = state if state in _STATES[1:] else ""
        waiting, (past, following), ending, now = await self.call(self._load, person, state, cursor)
        base = self.link("access/requests")
        self.show_access(
            "requests.html",
            waiting=[(row, self.may_answer(person, row.profile, row.user)) for row in waiting],
            past=past,
            following=following,
            ending=ending,
            titles=self.titles(),
            state=state,
            states=_STATES[1:],
            cursor=cursor,
            address=lambda **changes: base + query({"state": state} | changes),
            usual=f"{now + _USUAL:%Y-%m-%d}",
            first=f"{now + timedelta(days=1):%Y-%m-%d}",
            latest=f"{now + self.context.entitlements.longest:%Y-%m-%d}",
            remind=self.remind.days,
            about=about,
            typed=typed or {},
            done=_DONE.get(self.text("done"), ""),
            **self.problems(error),
        )

    def _load(
        self, person: Person, state: str, cursor: str
    ) -> tuple[list[AccessRequest], tuple[list[AccessRequest], str | None], list[Entitlement], datetime]:
        requests = self.context.access_requests
        waiting, _ = requests.listing(person, Wanted(state="waiting", limit=100))
        waiting = [row for row in waiting if row.user != person.name or may_read_all(person)]
        if state:
            past, following = requests.listing(person, Wanted(state=state, cursor=cursor or None, limit=_ROWS))
        else:
            past, following = requests.listing(person, Wanted(cursor=cursor or None, limit=_ROWS))
            past = [row for row in past if row.state != "waiting"]
        now = self.now()
        next_to_end, _ = self.context.entitlements.listing(person, WantedEntitlements(limit=_SOON))
        return waiting, (past, following), [one for one in next_to_end if one.until <= now + self.remind], now


class RequestsPage(_Requests):
    """The page of requests."""

    async def get(self) -> None:
        """Show it."""
        await self.show_requests()


class AnswerForm(_Requests):
    """Answers a request."""

    async def get(self, request_id: str) -> None:
        """Lead to the page: somebody reloaded what a mistake had left."""
        del request_id
        self.redirect(self.link("access/requests"))

    async def post(self, request_id: str) -> None:
        """Grant or refuse it, or tell on the page why not; what was typed stays."""
        person = await self.refreshed()
        typed = {name: self.text(name) for name in ("verdict", "until", "words")}
        try:
            until = self.time_typed("until") if typed["verdict"] == "grant" else None
            answer = Answer(typed["verdict"], until, typed["words"])
            row = await self.call(self.context.access_requests.answer, person, request_id, answer)
        except TOLD as error:
            await self.show_requests(error, request_id, typed)
            return
        self.redirect(self.link(f"access/requests?done={row.state}"), status=303)


class _Entitlements(GrantingPage):
    """Who may use what until when; the forms that grant and shorten."""

    tab = "grants"

    def _filters(self) -> dict[str, str]:
        """Return what the address asks for."""
        found = {name: self.get_query_argument(name, "").strip()[:255] for name in ("profile", "name", "cursor")}
        return found | {"ended": "1" if self.get_query_argument("ended", "") == "1" else ""}

    async def show_entitlements(
        self, error: HubExtError | None = None, typed: Mapping[str, str] | None = None, about: str = ""
    ) -> None:
        """Show the page, maybe with what went wrong.

        Args:
            error: What is wrong.
            typed: What was typed.
            about: The entitlement that was to be shortened; empty for the form that grants.
        """
        person, catalog = self.person, self.context.catalog.current()
        self.must_look(person)
        filters = self._filters()
        rows, following = await self.call(self.context.entitlements.listing, person, _wanted(filters))
        now = await self.call(self.now)
        names = sorted(self.titles())
        mine = [name for name in names if may_entitle(person, catalog, name)]
        self.show_access(
            "entitlements.html",
            rows=[(row, self.may_answer(person, row.profile)) for row in rows],
            following=following,
            filters=filters,
            profiles=names,
            mine=mine,
            titles=self.titles(),
            address=functools.partial(_address, self.link("access/entitlements"), filters),
            file=self.link("api/v1/entitlements.csv")
            + query(filters | {"cursor": "", "ended": filters["ended"] and "true"}),
            soon=now + self.remind,
            first=f"{now + timedelta(days=1):%Y-%m-%d}",
            latest=f"{now + self.context.entitlements.longest:%Y-%m-%d}",
            typed=typed or {"until": f"{now + _USUAL:%Y-%m-%d}", "kind": "person", "profile": filters["profile"]},
            about=about,
            done=_DONE.get(self.text("done"), ""),
            **self.problems(error),
        )


class EntitlementsPage(_Entitlements):
    """The page of entitlements, and the form that grants one."""

    async def get(self) -> None:
        """Show them."""
        await self.show_entitlements()

    async def post(self) -> None:
        """Grant one, or tell what is wrong; what was typed stays."""
        person = await self.refreshed()
        typed = {name: self.text(name) for name in ("profile", "kind", "name", "until", "reason")}
        try:
            until = self.time_typed("until") or self.now()
            kind: Any = typed["kind"]
            grant = Grant(typed["profile"], kind, typed["name"], until, typed["reason"])
            await self.call(self.context.entitlements.grant, person, grant)
        except TOLD as error:
            await self.show_entitlements(error, typed)
            return
        self.redirect(self.link("access/entitlements?done=granted"), status=303)


def _wanted(filters: Mapping[str, str]) -> WantedEntitlements:
    return WantedEntitlements(
        filters["profile"] or None,
        name=filters["name"] or None,
        ended=bool(filters["ended"]),
        cursor=filters["cursor"] or None,
        limit=_ROWS,
    )


def _address(base: str, filters: Mapping[str, str], **changes: Any) -> str:
    return base + query({**filters, "cursor": "", **changes})


class ShortenForm(_Entitlements):
    """Lets an entitlement end earlier."""

    async def get(self, entitlement_id: str) -> None:
        """Lead to the list: somebody reloaded what a mistake had left."""
        del entitlement_id
        self.redirect(self.link("access/entitlements"))

    async def post(self, entitlement_id: str) -> None:
        """Shorten it, or tell on the page why not."""
        person = await self.refreshed()
        typed = {name: self.text(name) for name in ("until", "reason")}
        try:
            until = self.time_typed("until")
            await self.call(self.context.entitlements.shorten, person, entitlement_id, typed["reason"], until)
        except TOLD as error:
            await self.show_entitlements(error, typed, entitlement_id)
            return
        done = "shortened" if until is not None else "over"
        self.redirect(self.link(f"access/entitlements?done={done}"), status=303)


class ProfileAccessPage(GrantingPage):
    """Who may use a profile, and why."""

    tab = "grants"

    async def get(self, name: str) -> None:
        """Show it."""
        wanted = PageQuery(cursor=self.text("cursor") or None, limit=_ROWS)
        found = await self.call(profile_access, self.context.entitlements, self.person, name, wanted)
        facts = await self.call(self.context.decisions.facts_of, self.person.name, self.person.groups)
        versions = facts.catalog.versions(name)
        self.show_access(
            "profile_access.html",
            found=found,
            version=versions[-1],
            mine=may_use(versions[-1], facts) is None,
            may_grant=self.may_answer(self.person, name),
            following=found.next,
            cursor=self.text("cursor"),
        )
