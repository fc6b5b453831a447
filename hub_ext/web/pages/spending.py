"""Budgets, and what was used: by person, group and month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub_ext.access.budgets import EVERYONE, KINDS, Limits
from hub_ext.access.owners import may_read_all
from hub_ext.access.usage import last_months
from hub_ext.catalog.budget import A_MONTH, GIB, MEASURES, amount, month_of
from hub_ext.db.tables import Budget
from hub_ext.db.types import now
from hub_ext.errors import Forbidden, HubExtError, InvalidInput, Problem
from hub_ext.web.api.budget_models import BudgetOrder
from hub_ext.web.api.parsing import validated
from hub_ext.web.pages.access import TOLD, AccessPage
from hub_ext.web.pages.plots import plot
from hub_ext.web.pages.rendering import query

_ROWS = 30
_FIELDS = ("servers", "runs", "cpu_hours", "memory_hours", "gpu_hours", "storage_gb", "soft", "reason")
_DONE = {"set": "The budget holds from now on.", "removed": "It has no budget of its own any more."}
_DRAWN = 12


class BudgetsPage(AccessPage):
    """How much everybody may have; the form that curators set it with."""

    tab = "budgets"

    async def get(self) -> None:
        """Show it."""
        await self.show_budgets()

    async def post(self) -> None:
        """Set a budget, or tell what is wrong; what was typed stays."""
        person = await self.refreshed()
        typed = {name: self.text(name) for name in ("kind", "name", *_FIELDS)}
        name = EVERYONE if typed["kind"] == EVERYONE else typed["name"]
        try:
            limits = Limits(**_read(typed).model_dump())
            await self.call(self.context.budgets.set, person, typed["kind"], name, limits)
        except TOLD as error:
            await self.show_budgets(error, typed)
            return
        self.redirect(self.link("access/budgets?done=set"), status=303)

    async def show_budgets(self, error: HubExtError | None = None, typed: Mapping[str, str] | None = None) -> None:
        """Show the page, maybe with what went wrong.

        Args:
            error: What is wrong.
            typed: What was typed.
        """
        person = self.person
        if not may_read_all(person):
            raise Forbidden("All budgets are seen by curators, auditors and admins.", hint="Yours are on My access.")
        cursor = self.text("cursor")
        rows, following = await self.call(self.context.budgets.listing, person, cursor or None, _ROWS)
        chosen = await self.call(self._chosen) if typed is None else {}
        self.show_access(
            "budgets.html",
            rows=[(row, _limits_of(row)) for row in rows],
            following=following,
            cursor=cursor,
            kinds=KINDS,
            usual=dict(self.context.settings.budget),
            curator=person.has_role("curator"),
            typed=typed or chosen or {"kind": "person", "soft": "80"},
            done=_DONE.get(self.text("done"), ""),
            **self.problems(error),
        )

    def _chosen(self) -> dict[str, str]:
        """Return a budget that the address names, as the form has it."""
        kind, name = self.text("kind"), self.text("name")
        if not kind or not name:
            return {}
        found = [row for row in [self._find(kind, name)] if row is not None]
        return _typed_of(found[0]) if found else {"kind": kind, "name": name, "soft": "80"}

    def _find(self, kind: str, name: str) -> Budget | None:
        try:
            return self.context.budgets.get(self.person, kind, name)
        except HubExtError:
            return None


def _limits_of(row: Budget) -> list[str]:
    """Return the limits of a budget in words."""
    amounts = ((measure, getattr(row, measure)) for measure in MEASURES)
    return [
        f"{amount(measure, value)}{' a month' if measure in A_MONTH else ''}"
        for measure, value in amounts
        if value is not None
    ]


def _typed_of(row: Budget) -> dict[str, str]:
    values = {name: getattr(row, name) for name in ("kind", "name", "servers", "runs", "soft", "reason")}
    values |= {name: _plain(getattr(row, name)) for name in ("cpu_hours", "memory_hours", "gpu_hours")}
    values["storage_gb"] = _plain(row.storage / GIB if row.storage is not None else None)
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _read(typed: Mapping[str, str]) -> BudgetOrder:
    """Return what a form says; an empty field is no limit."""
    given: dict[str, Any] = {name: typed[name] for name in _FIELDS if typed[name]}
    for name in ("servers", "runs", "soft"):
        if name in given and not (given[name].isascii() and given[name].isdigit() and len(given[name]) < 12):
            raise InvalidInput(f"{name}: must be a whole number", problems=[Problem(name, "must be a whole number")])
    return validated(BudgetOrder, given, strict=False)


class RemoveBudgetForm(BudgetsPage):
    """Removes a budget."""

    async def get(self) -> None:
        """Lead to the list: somebody reloaded what a mistake had left."""
        self.redirect(self.link("access/budgets"))

    async def post(self) -> None:
        """Remove it."""
        person = await self.refreshed()
        await self.call(self.context.budgets.remove, person, self.text("kind"), self.text("name"))
        self.redirect(self.link("access/budgets?done=removed"), status=303)


class UsagePage(AccessPage):
    """What was used in a month, by group and person: a table, a file, a picture."""

    tab = "usage"

    async def get(self) -> None:
        """Show it."""
        months = last_months(now(), 12)[::-1]
        month, kind = self.text("month") or month_of(now()), self.text("kind")
        kind = kind if kind in ("person", "group") else ""
        cursor = self.text("cursor")
        rows, following = await self.call(
            self.context.usage.listing, self.person, month, kind=kind or None, cursor=cursor or None, limit=_ROWS
        )
        filters = {"month": month, "kind": kind}
        most = sorted(rows, key=lambda row: -row.cpu_hours)[:_DRAWN]
        self.show_access(
            "usage.html",
            rows=rows,
            following=following,
            cursor=cursor,
            months=months if month in months else [month, *months],
            month=month,
            kind=kind,
            gib=GIB,
            reads=may_read_all(self.person),
            picture=plot(f"Core hours in {month}", [(one.name, one.cpu_hours) for one in most], "core hours"),
            file=self.link("api/v1/usage.csv") + query(filters),
            address=lambda **changes: self.link("access/usage") + query(filters | changes),
        )
