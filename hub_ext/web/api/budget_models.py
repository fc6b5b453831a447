"""What the API takes and gives about budgets and usage."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from hub_ext.web.api.access_models import Words
from hub_ext.web.api.models import Given, Page, PageQuery, Taken

BudgetKind = Literal["person", "group", "everyone"]
HolderKind = Literal["person", "group"]
Count = Annotated[int, Field(ge=0, le=10**9)]
Hours = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]
Month = Annotated[str, Field(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$", description="A month in UTC, such as 2026-11.")]


# --- taken -----------------------------------------------------------------------------------------------------------


class BudgetOrder(Taken):
    """How much somebody may have; what is left out has no limit of its own."""

    servers: Count | None = Field(default=None, description="At once.")
    runs: Count | None = Field(default=None, description="At once, those that wait among them.")
    cpu_hours: Hours | None = Field(default=None, description="Core hours a month.")
    memory_hours: Hours | None = Field(default=None, description="GB hours a month.")
    gpu_hours: Hours | None = Field(default=None, description="GPU hours a month.")
    storage_gb: Hours | None = Field(default=None, description="GB of homes and of results that are kept.")
    soft: int = Field(default=80, ge=1, le=100, description="Percent of a limit from which a start warns.")
    reason: Words = ""


class UsageFilter(Taken):
    """Which usage."""

    month: Month | None = Field(default=None, description="Left out: the present one.")
    kind: HolderKind | None = None


class UsageQuery(PageQuery):
    """Which usage, in parts."""

    month: Month | None = Field(default=None, description="Left out: the present one.")
    kind: HolderKind | None = None


# --- given -----------------------------------------------------------------------------------------------------------


class Limits(Given):
    """Limits; null: none."""

    servers: int | None
    runs: int | None
    cpu_hours: float | None
    memory_hours: float | None
    gpu_hours: float | None
    storage_gb: float | None


class Budget(Limits):
    """How much somebody may have."""

    kind: BudgetKind
    name: str
    soft: int
    reason: str
    changed_by: str
    changed_at: datetime


class BudgetList(Page[Budget]):
    """Budgets, by kind and name."""


class Used(Given):
    """What is in use, or was used this month."""

    servers: int
    runs: int
    cpu_hours: float
    memory_hours: float
    gpu_hours: float
    storage_gb: float


class Standing(Given):
    """How a budget stands that counts for the caller."""

    kind: HolderKind
    name: str
    month: str
    soft: int
    limits: Limits
    used: Used


class UsableProfile(Given):
    """How a profile stands with the caller."""

    name: str
    title: str
    usable: bool
    reason: str = Field(description="Why the caller may not use it.")
    ask: str = Field(description="Who keeps it.")
    groups: list[str] = Field(description="Groups by which the caller may use it.")
    entitlement: str | None = Field(description="Id of the entitlement by which the caller may use it.")
    until: datetime | None = Field(description="When that ends; null: it has no end.")
    cost: list[str] = Field(description="What each hour takes, in words.")
    full: list[str] = Field(description="Why a start does not fit into a budget now.")


class MyAccess(Given):
    """What the caller may use, and the budgets that count."""

    profiles: list[UsableProfile]
    budgets: list[Standing]


class Usage(Given):
    """What somebody used in a month."""

    month: str
    kind: HolderKind
    name: str
    servers: int
    runs: int
    cpu_hours: float
    memory_hours: float
    gpu_hours: float
    storage_gb: float = Field(description="As it is now; of the present month alone.")


class UsageList(Page[Usage]):
    """Who used what, by kind and name."""


class UsageHistory(Given):
    """What somebody used in each of the last twelve months, the oldest first."""

    items: list[Usage]
