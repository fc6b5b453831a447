"""Text as a terminal would show it, and the pieces of a stream put together to a bearable number of events."""

from __future__ import annotations

import re
from collections.abc import Callable

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
_PIECE = 64 * 1024

# Twenty events a second and stream are as much as anybody can read.
INTERVAL = 0.05


def plain(text: str) -> str:
    """Return a text without the colours and cursor movements of terminals."""
    return _ANSI.sub("", text)


def settle(text: str) -> str:
    """Return a text after its carriage returns and backspaces have done what they do."""
    if "\r" not in text and "\b" not in text:
        return text
    return "\n".join(map(_settle_line, text.replace("\r\n", "\n").split("\n")))


def _settle_line(line: str) -> str:
    end = "\r" if line.endswith("\r") else ""  # what follows overwrites the line; nothing has yet
    line = line.rstrip("\r").rpartition("\r")[2]
    if "\b" in line:
        kept: list[str] = []
        for character in line:
            if character != "\b":
                kept.append(character)
            elif kept:
                kept.pop()
        line = "".join(kept)
    return line + end


class StreamText:
    """The text of one stream of one cell as the notebook keeps it: overwritten parts take no space.

    Args:
        weigh: Returns what a text takes.
    """

    def __init__(self, weigh: Callable[[str], int] = len) -> None:
        self._weigh = weigh
        self._done: list[str] = []
        self._last: list[str] = []  # the line that is not complete, and may be overwritten
        self.size = 0

    def add(self, text: str) -> None:
        """Append a piece."""
        if not any(control in text for control in "\n\r\b"):
            if self._last and self._last[-1].endswith("\r"):
                text = self._take_last() + text
            else:
                self._last.append(text)
                self.size += self._weigh(text)
                return
        else:
            text = self._take_last() + text
        lines = settle(text)
        cut = lines.rfind("\n") + 1
        if cut:
            self._done.append(lines[:cut])
        self._last = [lines[cut:]]
        self.size += self._weigh(lines)

    def _take_last(self) -> str:
        last = "".join(self._last)
        self._last.clear()
        self.size -= self._weigh(last)
        return last

    def text(self) -> str:
        """Return what is there by now."""
        return "".join([*self._done, *self._last]).removesuffix("\r")


class Pending:
    """Text that waits to become an event, so that a thousand prints are not a thousand events.

    Args:
        emit: Takes the stream's name and a piece of at most 64 KB.
        clock: Returns seconds.
    """

    def __init__(self, emit: Callable[[str, str], None], clock: Callable[[], float]) -> None:
        self._emit = emit
        self._clock = clock
        self._name = ""
        self._text: list[str] = []
        self._flushed = -INTERVAL

    def add(self, name: str, text: str) -> None:
        """Take a piece; another stream's text goes out first, so that their order stays."""
        if name != self._name:
            self.flush()
            self._name = name
        self._text.append(text)
        if self.due():
            self.flush()

    def due(self) -> bool:
        """Return whether text waits that may go out now."""
        return bool(self._text) and self._clock() - self._flushed >= INTERVAL

    def flush(self) -> None:
        """Let everything out."""
        whole = "".join(self._text)
        text = settle(whole)
        if "\r" in whole.replace("\r\n", "\n").partition("\n")[0].rstrip("\r"):
            text = f"\r{text}"  # its first line overwrites what an event before left unfinished
        self._text.clear()
        for start in range(0, len(text), _PIECE):
            self._emit(self._name, text[start : start + _PIECE])
        if text:
            self._flushed = self._clock()
