"""Times, sizes and states in words, for templates. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))

# One word a state, the look of its pill and its icon. The word carries the meaning; colour and icon only help.
STATES = {
    "queued": ("Queued", "quiet", "fa-clock"),
    "starting": ("Starting", "busy", "fa-circle-notch"),
    "running": ("Running", "busy", "fa-play"),
    "succeeded": ("Succeeded", "ok", "fa-check"),
    "failed": ("Failed", "bad", "fa-xmark"),
    "cancelled": ("Cancelled", "quiet", "fa-ban"),
    "lost": ("Lost", "warn", "fa-question"),
}
ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def relative(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago (or ahead) a moment is, in words.

    Args:
        moment: The moment, with its zone.
        now: The present; the clock's by default.
    """
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if abs(seconds) < 45:
        return "just now"
    for unit, size in _UNITS:
        count = round(abs(seconds) / size)
        if abs(seconds) >= size * 0.95 and count:
            plural = "" if count == 1 else "s"
            return f"{count} {unit}{plural} ago" if seconds > 0 else f"in {count} {unit}{plural}"
    return "a minute ago" if seconds > 0 else "in a minute"


def when(moment: datetime | None) -> Markup:
    """Return a moment as a `time` element: relative, with the exact one on hover; "never" for none."""
    if moment is None:
        return Markup("never")
    moment = moment.astimezone(UTC)
    exact = moment.strftime("%-d %B %Y, %H:%M:%S UTC")
    iso, words = moment.isoformat(timespec="seconds"), relative(moment)
    return Markup(f'<time datetime="{iso}" title="{exact}">{words}</time>')  # noqa: S704  # made of numbers alone


def duration(seconds: float | None) -> str:
    """Return a length of time in words: ``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def minutes(count: int) -> str:
    """Return minutes in words: ``45 minutes``, ``12 hours``."""
    if count >= 120 and count % 60 == 0:
        return f"{count // 60} hours"
    return "1 hour" if count == 60 else f"{count} minutes"


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 run``, ``2,310 runs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def plain(text: str) -> str:
    """Return terminal output without its control sequences; a line that was overwritten keeps its last state."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(lines)


def drawing(name: str) -> tuple[int, list[tuple[int, int]]]:
    """Return hue and points of a quiet drawing that stands for a workflow without a picture, the same for each name.

    Args:
        name: Anything; only its hash is used.
    """
    digest = hashlib.sha256(name.encode()).digest()
    return digest[0] * 360 // 256, [(10 + 20 * index, 78 - digest[index + 1] % 52) for index in range(8)]


def json_text(value: Any) -> str:
    """Return a value as a person would read it beside its name: a list as its items, a missing one as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ", ".join(json_text(item) for item in value) or "(none)"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
