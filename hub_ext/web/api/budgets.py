"""Budgets, what was used, and what the caller may use."""

from __future__ import annotations

from hub_ext.access.budgets import EVERYONE, Budgets, Limits
from hub_ext.access.mine import Mine, Usable
from hub_ext.access.mine import mine as load_mine
from hub_ext.access.usage import Usage as Used
from hub_ext.access.usage import UsageReport
from hub_ext.catalog.budget import GIB, Amounts, Standing, cost, month_of
from hub_ext.db import tables
from hub_ext.db.types import now
from hub_ext.errors import NotFound
from hub_ext.people import Person
from hub_ext.web.api import budget_models as shapes
from hub_ext.web.api.models import PageQuery
from hub_ext.web.api.operation import CSV, Answer, ApiHandler, Body, operation

_CURATORS = "For curators, with a browser session or a token that may act in roles."
_SEEN = "Curators, auditors and admins see all; everybody what counts for her."


def _gb(size: float | None) -> float | None:
    return None if size is None else size / GIB


def given(row: tables.Budget) -> shapes.Budget:
    """Return a budget as the API gives it."""
    names = [name for name in shapes.Budget.model_fields if name != "storage_gb"]
    return shapes.Budget(**{name: getattr(row, name) for name in names}, storage_gb=_gb(row.storage))


def _limits(amounts: Amounts) -> shapes.Limits:
    names = [name for name in shapes.Limits.model_fields if name != "storage_gb"]
    return shapes.Limits(**{name: amounts.of(name) for name in names}, storage_gb=_gb(amounts.storage))


def standing_of(standing: Standing) -> shapes.Standing:
    """Return how a budget stands, as the API gives it."""
    used = standing.used
    return shapes.Standing(
        kind=standing.kind,
        name=standing.name,
        month=standing.month,
        soft=standing.soft,
        limits=_limits(standing.limits),
        used=shapes.Used(
            servers=int(used.servers or 0),
            runs=int(used.runs or 0),
            cpu_hours=used.cpu_hours or 0.0,
            memory_hours=used.memory_hours or 0.0,
            gpu_hours=used.gpu_hours or 0.0,
            storage_gb=(used.storage or 0) / GIB,
        ),
    )


def _usable(one: Usable) -> shapes.UsableProfile:
    return shapes.UsableProfile(
        name=one.profile.name,
        title=one.profile.metadata.title,
        usable=one.denied is None,
        reason=one.denied.message if one.denied else "",
        ask=one.profile.metadata.owner,
        groups=list(one.groups),
        entitlement=one.entitlement.id if one.entitlement else None,
        until=one.until,
        cost=list(cost(one.wanted)),
        full=[reason.message for reason in one.full],
    )


def _my_access(found: Mine) -> shapes.MyAccess:
    return shapes.MyAccess(
        profiles=[_usable(one) for one in found.profiles], budgets=[standing_of(one) for one in found.standings]
    )


class MyAccess(ApiHandler):
    """`access`."""

    @operation(
        "Say what the caller may use, until when and why, and how the budgets stand that count",
        {200: Answer("Every profile, those that the caller may use first, and budgets", shapes.MyAccess)},
    )
    async def get(self) -> None:
        """Say it."""
        person = await self.refreshed()
        self.answer(_my_access(await self.call(load_mine, self.context.decisions, person.name, person.groups)))


def list_budgets(budgets: Budgets, person: Person, query: PageQuery) -> shapes.BudgetList:
    """Return a part of the budgets that a person may see.

    Args:
        budgets: Where they are.
        person: Who asks.
        query: Which part.

    Raises:
        InvalidInput: If the cursor is none of ours.
    """
    rows, cursor = budgets.listing(person, query.cursor, query.limit)
    return shapes.BudgetList(items=[given(row) for row in rows], next=cursor)


class AllBudgets(ApiHandler):
    """`budgets`."""

    @operation("List budgets", {200: Answer("Budgets", shapes.BudgetList)}, query=PageQuery, description=_SEEN)
    async def get(self, query: PageQuery) -> None:
        """List them."""
        self.answer(await self.call(list_budgets, self.context.budgets, self.person, query))


class OneBudget(ApiHandler):
    """`budgets/{kind}/{name}`."""

    @operation("Show a budget", {200: Answer("The budget", shapes.Budget)}, description=_SEEN)
    async def get(self, kind: str, name: str) -> None:
        """Show it."""
        self.answer(given(await self.call(self.context.budgets.get, self.person, kind, name)))

    @operation(
        "Set a budget",
        {200: Answer("The budget as it is now", shapes.Budget), 201: Answer("The new budget", shapes.Budget)},
        body=Body(shapes.BudgetOrder),
        description=f"{_CURATORS} One below what is in use stops nothing; nothing more starts until there is room.",
    )
    async def put(self, kind: str, name: str, body: shapes.BudgetOrder) -> None:
        """Set it."""
        person = await self.refreshed()
        row, created = await self.call(self.context.budgets.set, person, kind, name, Limits(**body.model_dump()))
        self.answer(given(row), 201 if created else 200)

    @operation("Remove a budget", {204: Answer("It is no more")}, description=_CURATORS)
    async def delete(self, kind: str, name: str) -> None:
        """Remove it."""
        await self.call(self.context.budgets.remove, await self.refreshed(), kind, name)
        self.nothing()


def used_of(row: Used) -> shapes.Usage:
    """Return what somebody used, as the API gives it."""
    names = [name for name in shapes.Usage.model_fields if name != "storage_gb"]
    return shapes.Usage(**{name: getattr(row, name) for name in names}, storage_gb=row.storage / GIB)


def list_usage(usage: UsageReport, person: Person, query: shapes.UsageQuery) -> shapes.UsageList:
    """Return who used what in a month, of whom a person may see.

    Args:
        usage: The report.
        person: Who asks.
        query: Which part.

    Raises:
        InvalidInput: If the cursor is none of ours.
    """
    rows, cursor = usage.listing(person, query.month, kind=query.kind, cursor=query.cursor, limit=query.limit)
    return shapes.UsageList(items=[used_of(row) for row in rows], next=cursor)


class AllUsage(ApiHandler):
    """`usage`."""

    @operation(
        "Say who used what in a month",
        {200: Answer("Usage by person and group", shapes.UsageList)},
        query=shapes.UsageQuery,
        description=f"{_SEEN} Groups are those with a budget.",
    )
    async def get(self, query: shapes.UsageQuery) -> None:
        """Say it."""
        self.answer(await self.call(list_usage, self.context.usage, self.person, query))


class UsageFile(ApiHandler):
    """`usage.csv`."""

    @operation(
        "Get who used what in a month as a file",
        {200: Answer("CSV in UTF-8; no cell is a formula", media=(CSV,))},
        query=shapes.UsageFilter,
        description=_SEEN,
    )
    async def get(self, query: shapes.UsageFilter) -> None:
        """Send it."""
        month = query.month or month_of(now())
        self.set_header("Content-Type", f"{CSV}; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="usage-{month}.csv"')
        await self.send_pieces(self.context.usage.export(self.person, month, query.kind))


class UsageOf(ApiHandler):
    """`usage/{kind}/{name}`."""

    @operation(
        "Say what somebody used in each of the last twelve months",
        {200: Answer("Twelve months, the oldest first", shapes.UsageHistory)},
        description=f"{_SEEN} What one may not see is told as nothing used.",
    )
    async def get(self, kind: str, name: str) -> None:
        """Say it.

        Raises:
            NotFound: If it is about everyone together.
        """
        if kind == EVERYONE:
            raise NotFound("What everyone used is told for each person and each group.", hint="See `usage`.")
        rows = await self.call(self.context.usage.history, self.person, kind, name)
        self.answer(shapes.UsageHistory(items=[used_of(row) for row in rows]))
