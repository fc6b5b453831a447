"""An entitlement as decisions look at it: a person, or a group that she is in, may use a profile until a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["person", "group"]


@dataclass(frozen=True)
class Entitled:
    """An entitlement of the person that is decided on.

    Attributes:
        id: Its identifier.
        profile: Name of the profile.
        kind: ``person`` or ``group``.
        name: Of the person, or of the group that she is in.
        until: When it ends.
        granted_by: Who granted it.
    """

    id: str
    profile: str
    kind: Kind
    name: str
    until: datetime
    granted_by: str = ""

    @property
    def whom(self) -> str:
        """Who is entitled, in words."""
        return f"members of {self.name}" if self.kind == "group" else self.name


def entitling(known: Iterable[Entitled], profile: str, now: datetime) -> Entitled | None:
    """Return the entitlement that lets a person use a profile now: of several, the one that ends last.

    Args:
        known: Hers.
        profile: Name of the profile.
        now: The time.
    """
    open_ = [one for one in known if one.profile == profile and now < one.until]
    return max(open_, key=lambda one: (one.until, one.id), default=None)


def ended_last(known: Iterable[Entitled], profile: str, now: datetime) -> Entitled | None:
    """Return the entitlement of a person for a profile that ended last; None when she had none.

    Args:
        known: Hers.
        profile: Name of the profile.
        now: The time.
    """
    over = [one for one in known if one.profile == profile and now >= one.until]
    return max(over, key=lambda one: (one.until, one.id), default=None)
