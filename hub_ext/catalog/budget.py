"""Budgets as decisions look at them: how much somebody may have, what is in use, and whether one more fits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from hub_ext.catalog.decide import Purpose
from hub_ext.catalog.quantities import human_size
from hub_ext.catalog.reason import Reason
from hub_ext.catalog.room import Room

GIB = 2**30
HolderKind = Literal["person", "group"]

# Measures that are counted at once, and those that are counted over a month; each with its words.
AT_ONCE = {"servers": "servers at once", "runs": "runs at once"}
A_MONTH = {"cpu_hours": "core hours", "memory_hours": "GB hours of memory", "gpu_hours": "GPU hours"}
MEASURES = (*AT_ONCE, *A_MONTH, "storage")

_ASK = "a curator"


@dataclass(frozen=True)
class Amounts:
    """An amount of each measure; None where there is none (a limit that is not set).

    Attributes:
        servers: At once.
        runs: At once, those that wait among them.
        cpu_hours: Core hours in a month.
        memory_hours: GiB hours in a month.
        gpu_hours: GPU hours in a month.
        storage: Bytes of homes and of results that are kept.
    """

    servers: float | None = None
    runs: float | None = None
    cpu_hours: float | None = None
    memory_hours: float | None = None
    gpu_hours: float | None = None
    storage: float | None = None

    def of(self, measure: str) -> float | None:
        """Return the amount of a measure."""
        found: float | None = getattr(self, measure)
        return found

    def over(self, other: Amounts) -> Amounts:
        """Return these amounts, and the other's where there are none."""
        mine = {name: self.of(name) if self.of(name) is not None else other.of(name) for name in MEASURES}
        return Amounts(**mine)


NOTHING = Amounts(0, 0, 0.0, 0.0, 0.0, 0)


@dataclass(frozen=True)
class Standing:
    """How somebody stands with her budget, or a group with its own.

    Attributes:
        kind: ``person`` or ``group``.
        name: Her or its name.
        limits: What may be had.
        used: What is in use, or was used this month.
        soft: Percent of a limit from which a start warns.
        month: The month that hours are counted of, such as 2026-11.
        home: Bytes of the home that a person has already.
    """

    kind: HolderKind
    name: str
    limits: Amounts = field(default_factory=Amounts)
    used: Amounts = NOTHING
    soft: int = 80
    month: str = ""
    home: int = 0

    @property
    def whose(self) -> str:
        """Whose budget it is, to the person who asks."""
        return "you have" if self.kind == "person" else f"{self.name} has"


@dataclass(frozen=True)
class Wanted:
    """What a start or a run takes.

    Attributes:
        purpose: A server, or a run.
        room: Cores, memory, GPUs, and its home.
        hours: How long it may last at most.
    """

    purpose: Purpose
    room: Room
    hours: float = 0.0

    def of(self, measure: str) -> float:
        """Return how much of a measure it takes: at once, or in an hour."""
        return {
            "servers": float(self.purpose == "server"),
            "runs": float(self.purpose == "run"),
            "cpu_hours": self.room.cpu,
            "memory_hours": self.room.memory / GIB,
            "gpu_hours": float(self.room.gpu),
            "storage": float(self.room.home if self.purpose == "server" else 0),
        }[measure]


def month_of(at: datetime) -> str:
    """Return the month of a time, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m}"


def held_against(
    standings: Iterable[Standing], wanted: Wanted, measures: Iterable[str] = MEASURES
) -> tuple[list[Reason], list[Reason]]:
    """Say whether one more fits into every budget that it counts against.

    Hours are looked at when something starts: what runs goes on, for its lifetime at most.

    Args:
        standings: Of the person, and of each group with a budget that she is in.
        wanted: What is to start, or to go on.
        measures: Those that are looked at.

    Returns:
        Why it does not fit, and what to be warned of.
    """
    reasons: list[Reason] = []
    warnings: list[Reason] = []
    looked_at = tuple(measures)
    for standing in standings:
        for measure in looked_at:
            limit = standing.limits.of(measure)
            if limit is None:
                continue
            if not _fits(standing, measure, limit, wanted):
                reasons.append(_no(standing, measure, limit))
            elif _worth_a_warning(standing, measure, limit, wanted):
                warnings.append(_soon(standing, measure, limit))
    return reasons, warnings


def _fits(standing: Standing, measure: str, limit: float, wanted: Wanted) -> bool:
    used, more = standing.used.of(measure) or 0, wanted.of(measure)
    if measure in AT_ONCE:
        return not more or used + more <= limit
    if measure == "storage":
        grows = max(0.0, more - standing.home)
        return used + grows <= limit if wanted.purpose == "server" else used < limit
    return not more or used < limit


def _worth_a_warning(standing: Standing, measure: str, limit: float, wanted: Wanted) -> bool:
    used, more = standing.used.of(measure) or 0, wanted.of(measure)
    return measure not in AT_ONCE and bool(more) and used >= limit * standing.soft / 100


def _no(standing: Standing, measure: str, limit: float) -> Reason:
    what = {
        "servers": "Stop one, and start again.",
        "runs": "Wait until one has ended, or cancel one.",
        "storage": "Remove what is needed no more, or choose a smaller home.",
    }.get(measure, "More is there from the first of next month (UTC).")
    message = f"The budget is used up: {sentence(standing, measure)}. {what}"
    return Reason("budget", message, "profile", allowed=f"{amount(measure, limit)}", ask=_ASK)


def _soon(standing: Standing, measure: str, limit: float) -> Reason:
    message = f"The budget is nearly used up: {sentence(standing, measure)}."
    return Reason("budget-soft", message, "profile", allowed=amount(measure, limit), ask=_ASK)


def sentence(standing: Standing, measure: str) -> str:
    """Return how a budget stands with a measure, in words.

    Args:
        standing: The budget.
        measure: One of `MEASURES`, with a limit.
    """
    used, limit = standing.used.of(measure) or 0, standing.limits.of(measure) or 0
    if measure == "storage":
        return f"{standing.whose} {human_size(int(used))} of {human_size(int(limit))} of storage"
    if measure in AT_ONCE:
        return f"{standing.whose} {_number(used)} of {_number(limit)} {AT_ONCE[measure]}"
    verb = "you have used" if standing.kind == "person" else f"{standing.name} has used"
    return f"{verb} {_number(used)} of {_number(limit)} {A_MONTH[measure]} in {standing.month} (UTC)"


def amount(measure: str, number: float) -> str:
    """Return an amount of a measure with its unit."""
    if measure == "storage":
        return f"{human_size(int(number))} of storage"
    return f"{_number(number)} {AT_ONCE.get(measure) or A_MONTH[measure]}"


def cost(wanted: Wanted) -> Iterator[str]:
    """Yield what each hour of a server or run takes, in words.

    Args:
        wanted: What would start.
    """
    yield f"{_number(wanted.room.cpu)} core hours"
    yield f"{_number(wanted.room.memory / GIB)} GB hours of memory"
    if wanted.room.gpu:
        yield f"{wanted.room.gpu} GPU hours"


def _number(value: float) -> str:
    """Return a number as people write it: whole where it is, else with one digit, never rounded up to a limit."""
    return f"{value:.0f}" if value == int(value) else f"{int(value * 10) / 10:.1f}"


def before_start(standings: Iterable[Standing], wanted: Wanted) -> str:
    """Return what a start takes and how it stands with the budgets that it counts against, as a sentence.

    Args:
        standings: Of the person, and of each group with a budget that she is in.
        wanted: What would start.

    Returns:
        The sentence; empty where nothing of it is limited.
    """
    told = [
        sentence(standing, measure)
        for standing in standings
        for measure in (*A_MONTH, "storage")
        if standing.limits.of(measure) is not None and wanted.of(measure)
    ]
    if not told:
        return ""
    cores = _number(wanted.room.cpu)
    parts = [f"{cores} core{'' if cores == '1' else 's'}", f"{human_size(wanted.room.memory)} of memory"]
    if wanted.room.gpu:
        parts.append(f"{wanted.room.gpu} GPU{'' if wanted.room.gpu == 1 else 's'}")
    return f"This start takes {', '.join(parts)} each hour; {'; '.join(told)}."
