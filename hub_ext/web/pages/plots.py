"""Bars as pictures of numbers, as plain SVG without scripts or styles; the table beside it says the same. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ROW = 26  # units of the picture from one bar to the next
_BAR = 16
_LABEL = 190  # units that labels have
_WIDTH = 760
_END = 150  # units that the numbers at the end have
_LONGEST = 26


@dataclass(frozen=True)
class Drawn:
    """One bar.

    Attributes:
        label: What it stands for.
        words: Its value with its unit.
        top: Where it begins, from above.
        length: How long it is.
    """

    label: str
    words: str
    top: int
    length: float


@dataclass(frozen=True)
class Plot:
    """Bars below each other.

    Attributes:
        title: What it shows.
        text: The same in words, for who does not see it.
        bars: The bars.
        left: Where bars begin.
        width: Of the picture.
        height: Of the picture.
        thick: How thick a bar is.
    """

    title: str
    text: str
    bars: tuple[Drawn, ...]
    left: int = _LABEL
    width: int = _WIDTH
    height: int = 0
    thick: int = _BAR


def plot(title: str, rows: Sequence[tuple[str, float]], unit: str) -> Plot | None:
    """Return numbers as bars, the longest as long as there is room; None where all are zero.

    Args:
        title: What it shows.
        rows: Label and value of each bar.
        unit: Of the values.
    """
    most = max((value for _, value in rows), default=0.0)
    if most <= 0:
        return None
    room = _WIDTH - _LABEL - _END
    drawn = tuple(
        Drawn(_short(label), f"{_number(value)} {unit}", number * _ROW + 4, round(max(0.0, value) / most * room, 1))
        for number, (label, value) in enumerate(rows)
    )
    words = "; ".join(f"{label}: {_number(value)} {unit}" for label, value in rows)
    return Plot(title, f"{title}. {words}.", drawn, height=len(drawn) * _ROW + 4)


def _number(value: float) -> str:
    """Return a number with at most one digit behind the point; a small one with two that say something."""
    return f"{value:,.1f}" if value >= 1 or value == 0 else f"{value:.2g}"


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
