"""What a person may use, until when and why, and what she asks for; and the base of the pages of access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from hub_ext.access.entitlements import Wanted as WantedEntitlements
from hub_ext.access.looking import Look, ends_soon, look
from hub_ext.access.mine import Usable, usable
from hub_ext.access.owners import may_read_all, owned_by
from hub_ext.access.requests import check_may_ask
from hub_ext.catalog.budget import A_MONTH, AT_ONCE, MEASURES, Standing, amount
from hub_ext.db.tables import AccessRequest, Entitlement
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput
from hub_ext.governance.shapes import read_time
from hub_ext.people import Person
from hub_ext.web.errors import status_of
from hub_ext.web.pages.catalog import problem_of
from hub_ext.web.pages.page import Page, may_audit

TOLD = (InvalidInput, Conflict, Forbidden)
_MOST = 200  # entitlements of one person that are shown


@dataclass(frozen=True)
class Bar:
    """How much of a budget is used, as a bar.

    Attributes:
        title: What is counted.
        used: How much is used.
        limit: How much may be.
        words: Both, in words.
        look: ``ok``, ``warn`` or ``bad``.
    """

    title: str
    used: float
    limit: float
    words: str
    look: str


def bars_of(standing: Standing) -> list[Bar]:
    """Return the limits of a budget as bars; nothing for what has no limit.

    Args:
        standing: How the budget stands.
    """
    titles = {name: f"{words}, this month" for name, words in A_MONTH.items()} | AT_ONCE | {"storage": "storage"}
    found = []
    for measure in MEASURES:
        limit, used = standing.limits.of(measure), standing.used.of(measure) or 0
        if limit is None:
            continue
        full, nearly = used >= limit, used >= limit * standing.soft / 100
        words = f"{amount(measure, used).split(' ')[0]} of {amount(measure, limit)}"
        if measure == "storage":
            words = f"{amount(measure, used).removesuffix(' of storage')} of {amount(measure, limit)}"
        title = titles[measure]
        found.append(
            Bar(title[:1].upper() + title[1:], used, limit, words, "bad" if full else "warn" if nearly else "ok")
        )
    return found


@dataclass(frozen=True)
class Row:
    """A profile as it stands with a person, with what she asked for.

    Attributes:
        usable: How it stands.
        why: The entitlement by which she may use it, in full.
        soon: Whether it ends soon.
        request: Her last request, where it waits or was answered lately.
    """

    usable: Usable
    why: Entitlement | None
    soon: bool
    request: AccessRequest | None


def rows_of(found: Look, held: Mapping[str, Entitlement], remind: timedelta) -> list[Row]:
    """Return every profile as it stands with a person, those that she may use first.

    Args:
        found: What is true of her.
        held: Her entitlements by their ids.
        remind: How long before its end an entitlement is reminded of.
    """
    return [
        Row(
            one,
            held.get(one.entitlement.id) if one.entitlement and not one.groups else None,
            ends_soon(one.profile, found.facts, remind) is not None,
            found.requests.get(one.profile.name),
        )
        for one in usable(found.facts, found.standings)
    ]


class AccessPage(Page):
    """Base of the pages of access, budgets and people.

    Attributes:
        tab: Key of the tab that the page is.
    """

    here = "access"
    tab: ClassVar[str] = "mine"

    @property
    def remind(self) -> timedelta:
        """How long before its end an entitlement is reminded of."""
        return timedelta(days=float(self.context.settings.entitlement_reminder))

    def tabs(self, person: Person) -> list[tuple[str, str, str]]:
        """Return key, path and label of each tab that a person has.

        Args:
            person: Who sees them.
        """
        reads = may_read_all(person)
        found = [("mine", "access", "My access")]
        if reads or owned_by(self.context.catalog.current(), person):
            found += [("requests", "access/requests", "Requests"), ("grants", "access/entitlements", "Entitlements")]
        if reads:
            found.append(("budgets", "access/budgets", "Budgets"))
        found.append(("usage", "access/usage", "Usage"))
        if reads:
            found += [("people", "access/people", "People"), ("groups", "access/groups", "Groups")]
        if may_audit(person):
            found.append(("homes", "access/homes", "Homes"))
        return found

    def show_access(self, template: str, **values: Any) -> None:
        """Render a page with its tabs.

        Args:
            template: Its file.
            values: What it shows.
        """
        values = {"done": "", "problem": None, "errors": {}, "typed": {}} | values
        self.show(template, tab=self.tab, tabs=self.tabs(self.person), **values)

    def problems(self, error: HubExtError | None) -> dict[str, Any]:
        """Return what a template shows of an error, and set the status for it.

        Args:
            error: What is wrong; None for nothing.
        """
        if error is None:
            return {}
        self.set_status(status_of(error))
        return {"problem": problem_of(error), "errors": {one.field: one.message for one in error.problems}}

    def time_typed(self, name: str) -> Any:
        """Return a time that was typed; None where nothing was.

        Raises:
            InvalidInput: If it is none.
        """
        text = self.text(name)
        return read_time(name, text) if text else None


_DONE = {
    "asked": "Your request waits for an answer. You see it here, and on the start page.",
    "same": "You asked for that already: your request waits for an answer.",
    "withdrawn": "Your request is taken back.",
}


class MyAccessPage(AccessPage):
    """What the person may use, until when and why; her budgets; and the form that asks for more."""

    async def get(self) -> None:
        """Show it."""
        await self._show()

    async def post(self) -> None:
        """Ask for access, or tell what is wrong; what was typed stays."""
        person = await self.refreshed()
        typed = {name: self.text(name) for name in ("profile", "reason", "until")}
        try:
            check_may_ask(person)
            ask = self.context.access_requests.ask
            _, created = await self.call(ask, person, typed["profile"], typed["reason"], self.time_typed("until"))
        except TOLD as error:
            await self._show(typed, error)
            return
        self.redirect(self.link(f"access?done={'asked' if created else 'same'}"), status=303)

    async def _show(self, typed: Mapping[str, str] | None = None, error: HubExtError | None = None) -> None:
        person = await self.refreshed()
        found, rows = await self.call(self._load, person)
        may_ask = [row for row in rows if not row.usable.groups and not _waits(row)]
        self.show_access(
            "access.html",
            rows=rows,
            standings=[(one, bars_of(one)) for one in found.standings],
            may_ask=may_ask,
            typed=typed or {"profile": self.text("profile"), "reason": "", "until": ""},
            days=int(self.context.settings.entitlement_days),
            remind=self.remind.days,
            done=_DONE.get(self.text("done"), ""),
            **self.problems(error),
        )

    def _load(self, person: Person) -> tuple[Look, list[Row]]:
        found = look(self.context.decisions, person.name, person.groups)
        held, _ = self.context.entitlements.listing(person, WantedEntitlements(own=True, limit=_MOST))
        return found, rows_of(found, {one.id: one for one in held}, self.remind)


def _waits(row: Row) -> bool:
    return row.request is not None and row.request.state == "waiting"


class WithdrawForm(AccessPage):
    """Takes a request back."""

    async def get(self, request_id: str) -> None:
        """Lead to the page: somebody reloaded what a mistake had left."""
        del request_id
        self.redirect(self.link("access"))

    async def post(self, request_id: str) -> None:
        """Withdraw it."""
        check_may_ask(self.person)
        await self.call(self.context.access_requests.withdraw, self.person, request_id)
        self.redirect(self.link("access?done=withdrawn"), status=303)
