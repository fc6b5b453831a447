"""Asking for access on a card of the start page: what was typed, what waits, and how the last one was answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hub_ext.access.looking import Look, ends_soon, needed
from hub_ext.catalog.models import Profile
from hub_ext.db.tables import AccessRequest

_DAY = "%Y-%m-%d"


@dataclass(frozen=True)
class Typed:
    """What was typed into the form of a card that is shown again.

    Attributes:
        profile: Whose card.
        reason: As it came.
        until: As it came.
        errors: What is wrong, by field; under an empty name what is no field's.
    """

    profile: str
    reason: str = ""
    until: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asking:
    """What a card says of access.

    Attributes:
        offered: What the button says; empty: there is nothing to ask for.
        held: Until when she may use it, as a sentence; empty where nothing ends.
        soon: Whether that is soon.
        waiting: The request that waits, as a sentence.
        answer: How the last one was answered, as a sentence.
        first: The first day that can be wished for, as a field has it.
        last: The last one.
        typed: What was typed into the form.
    """

    offered: str = ""
    held: str = ""
    soon: bool = False
    waiting: str = ""
    answer: str = ""
    first: str = ""
    last: str = ""
    typed: Typed = Typed("")


NOTHING_TO_ASK = Asking()
_typed: ContextVar[Typed | None] = ContextVar("typed", default=None)


def keep(typed: Typed) -> None:
    """Keep what was typed for the page that shows it again in this request."""
    _typed.set(typed)


def asking(profile: Profile, look: Look, *, denied: bool, remind: timedelta, longest: timedelta) -> Asking:
    """Return what the card of a profile says of access.

    Args:
        profile: The profile.
        look: What is true of the person, who looks at her own page.
        denied: Whether she may not use it.
        remind: How long before its end an entitlement is reminded of.
        longest: How far away the end of an entitlement may be.
    """
    facts, last = look.facts, look.requests.get(profile.name)
    held, soon = needed(profile, facts), ends_soon(profile, facts, remind) is not None
    waiting = last is not None and last.state == "waiting"
    typed = _typed.get()
    return Asking(
        offered="" if waiting or not (denied or soon) else "Ask for access" if denied else "Ask for longer",
        held=f"You may use it until {_exactly(held.until)}." if held is not None else "",
        soon=soon,
        waiting=_waiting(last) if last is not None and waiting else "",
        answer=_answer(last) if last is not None and not waiting and (denied or soon) else "",
        first=f"{facts.now + timedelta(days=1):{_DAY}}",
        last=f"{facts.now + longest:{_DAY}}",
        typed=typed if typed is not None and typed.profile == profile.name else Typed(profile.name),
    )


def _waiting(row: AccessRequest) -> str:
    return f"You asked for access on {_exactly(row.asked_at)}: “{row.reason}” Nobody has answered yet."


def _answer(row: AccessRequest) -> str:
    on = f" on {_exactly(row.answered_at)}" if row.answered_at else ""
    words = f": “{row.answer}”" if row.answer else "."
    verb = "refused your last request" if row.state == "refused" else "granted your last request"
    return f"{row.answered_by} {verb}{on}{words}"


def _exactly(at: datetime) -> str:
    return f"{at:%-d %B %Y, %H:%M} UTC"
