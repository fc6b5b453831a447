"""Help texts out of comments, and the range and unit that may end them."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from typing import Final

from hub_ext.sharing.parameters.kinds import LIMIT, is_storable

MAX_HELP: Final = 1000

_NOT_HELP: Final = re.compile(
    r"(noqa|pragma|pylint|fmt|ruff|mypy|isort|type:\s*ignore|@param|@title|%%)\b", re.IGNORECASE
)
_TYPE: Final = re.compile(r"type:\s*")
_TRAILER: Final = re.compile(r"\s*\[([^\[\]]*)\]\s*\.?$")
_NUMBER: Final = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?"
_UNIT: Final = r"[^\W\d_][^\[\]\d]{0,19}|[%‰°$€£¥][^\[\]\d]{0,19}"
_RANGE: Final = re.compile(rf"(?P<low>{_NUMBER})?\s*\.\.\s*(?P<high>{_NUMBER})?\s*(?P<unit>{_UNIT})?")
_ALONE: Final = re.compile(_UNIT)
_NO_UNITS: Final = frozenset({"optional", "required", "default", "deprecated", "experimental", "todo", "see", "list"})


@dataclass(frozen=True)
class Limits:
    """What brackets at the end of a help text say, such as ``[1..50 years]``."""

    minimum: int | float | None = None
    maximum: int | float | None = None
    unit: str = ""


class Comments:
    """The comments of a cell.

    Args:
        source: Python source, lines ending in a line feed.
    """

    def __init__(self, source: str) -> None:
        self._alone: dict[int, str] = {}
        self._trailing: dict[int, str] = {}
        try:
            for token in tokenize.generate_tokens(io.StringIO(source).readline):
                if token.type == tokenize.COMMENT:
                    alone = not token.line[: token.start[1]].strip()
                    (self._alone if alone else self._trailing)[token.start[0]] = token.string
        except (tokenize.TokenError, SyntaxError):
            return  # help is a courtesy: what comes after is parsed, and refused if wrong, by ast

    def help(self, first: int, last: int) -> str:
        """Return the help text of a statement: comment lines directly above it, then those at its end."""
        above: list[str] = []
        line = first - 1
        while line in self._alone:
            above.insert(0, self._alone[line])
            line -= 1
        beside = [self._trailing[line] for line in sorted({first, last}) if line in self._trailing]
        words = " ".join(filter(None, map(_clean, [*above, *beside])))[:MAX_HELP]
        return words if is_storable(words) else ""

    def annotation(self, first: int, last: int) -> str:
        """Return what a comment such as ``# type: int`` says, or nothing."""
        for line in (last, first):
            text = self._trailing.get(line, "").lstrip("#: ")
            if _TYPE.match(text) and not _NOT_HELP.match(text):
                return _split_type(text)[0]
        return ""


def _clean(comment: str) -> str:
    """Return the words of a comment, without rules drawn with it, notes to tools and the title of the cell."""
    text = comment.strip().lstrip("#").removeprefix(":").strip()
    if _NOT_HELP.match(text) or text.casefold().rstrip(":.") in ("parameter", "parameters"):
        return ""
    if _TYPE.match(text):
        text = _split_type(text)[1]
    return text if any(char.isalnum() for char in text) or "[" in text else ""


def _split_type(text: str) -> tuple[str, str]:
    """Return the annotation and the help of ``type: dict[str, int]  some help``."""
    rest = _TYPE.sub("", text, count=1)
    depth = 0
    for place, char in enumerate(rest):
        depth += (char in "[(") - (char in ")]")
        if depth <= 0 and (char.isspace() or char == "#"):
            return rest[:place], rest[place:].lstrip("# \t")
    return rest, ""


def limits(words: str) -> tuple[str, Limits]:
    """Return a help text without the brackets at its end, and what they say; as it is, if they say nothing."""
    found = _TRAILER.search(words)
    inside = found[1].strip() if found else ""
    if not found or not inside:
        return words, Limits()
    if _ALONE.fullmatch(inside) and len(inside.split()) <= 2 and inside.split()[0].casefold() not in _NO_UNITS:
        return words[: found.start()], Limits(unit=inside)
    match = _RANGE.fullmatch(inside)
    if match is None or (match["low"] is None and match["high"] is None):
        return words, Limits()
    low, high = _number(match["low"]), _number(match["high"])
    known = [number for number in (low, high) if number is not None]
    if known != sorted(known) or any(abs(number) > LIMIT for number in known):
        return words, Limits()
    return words[: found.start()], Limits(low, high, (match["unit"] or "").strip())


def _number(text: str | None) -> int | float | None:
    if text is None:
        return None
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text)
