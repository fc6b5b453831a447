"""What a look at an installation finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What was looked at.
        state: ``ok``; ``warn``: it works, and will not always; ``fail``: it does not work.
        detail: What was seen.
        advice: What to do; empty where nothing is to be done.
    """

    what: str
    state: State
    detail: str
    advice: str = ""


def ok(what: str, detail: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(what, "ok", detail)
