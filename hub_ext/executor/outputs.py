"""Outputs of cells: masked, limited, put into the notebook and told as events."""

from __future__ import annotations

import json
import time
from typing import Any

from .events import EventFile
from .masking import Masker, StreamMasker
from .streams import Pending, StreamText, plain

_LARGEST_PICTURE = 2**20  # bytes of a PNG in an event; the report has it whatever its size
_LONGEST_TEXT = 64 * 1024
_LINE = 8  # bytes of indentation and quotes around each line in the file
_UPDATES = 0.5  # seconds between two events of a display that is updated in place


def weight(text: str) -> int:
    """Return how many bytes a text takes in the file of a notebook, where each line has a line of its own."""
    encoded = json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return len(encoded) - 2 + _LINE * text.count("\n")


def size_of(value: Any) -> int:
    """Return about how many bytes a value takes in the file of a notebook."""
    if isinstance(value, str):
        return weight(value)
    if isinstance(value, dict):
        return sum(size_of(item) for item in value.values())
    if isinstance(value, list):
        return sum(size_of(item) for item in value)
    return 8


def cut(text: str, room: int) -> str:
    """Return the beginning of a text that fits, whole lines if it can be."""
    low, high = 0, min(len(text), room)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if weight(text[:middle]) <= room else (low, middle - 1)
    return text[: text.rfind("\n", 0, low) + 1 or low]


class Outputs:
    """What cells put out.

    Args:
        masker: Takes secrets out.
        events: Where output is told as it comes.
        limit: Most bytes that the notebook keeps.
        limit_words: The same, as people are told (``10 MB``).
    """

    def __init__(self, masker: Masker, events: EventFile, limit: int, limit_words: str) -> None:
        self._masker = masker
        self._events = events
        self._limit = limit
        self._limit_words = limit_words
        self._kept: dict[int, int] = {}
        self._replaced: dict[str, int] = {}
        self._maskers: dict[str, StreamMasker] = {}
        self._open: tuple[dict[str, Any], StreamText] | None = None
        self._pending = Pending(self._emit_stream, time.monotonic)
        self._updated = 0.0
        self._cell = 0
        self.truncated = False

    @property
    def room(self) -> int:
        """How many more bytes are kept."""
        return 0 if self.truncated else max(0, self._limit - sum(self._kept.values()))

    def begin(self, cell: int) -> None:
        """A cell begins."""
        self._cell = cell
        self._kept.setdefault(cell, 0)

    def end(self, outs: list[Any]) -> None:
        """The cell has ended: nothing is held back any more."""
        for name, masker in self._maskers.items():
            rest = masker.close()
            if rest:
                self._append(outs, name, rest)
        self._maskers.clear()
        self.settle()
        self._pending.flush()

    def tick(self) -> None:
        """Let text out that waited for more."""
        if self._pending.due():
            self._pending.flush()

    def stream(self, outs: list[Any], name: str, text: str, *, shortened: bool = False) -> None:
        """Take a piece of a stream.

        Args:
            outs: Outputs of the cell in the notebook.
            name: ``stdout`` or ``stderr``.
            text: The piece.
            shortened: Whether more of it was dropped on its way.
        """
        masker = self._maskers.setdefault(name, self._masker.stream())
        ready = masker.feed(text)
        if ready:
            self._append(outs, name, ready)
        if shortened:
            self._truncate(outs)

    def _append(self, outs: list[Any], name: str, text: str) -> None:
        if self.truncated:
            return
        if self._open is None or not outs or self._open[0] is not outs[-1] or self._open[0]["name"] != name:
            self.settle()
            output = _stream_output(name)
            outs.append(output)
            self._open = (output, StreamText(weight))
        kept, room = self._open[1], self.room
        over = weight(text) > room
        if over:
            text = cut(text, room)
        before = kept.size
        kept.add(text)
        self._kept[self._cell] += kept.size - before
        self._pending.add(name, text)
        if over:
            self._truncate(outs)

    def settle(self) -> None:
        """Write the text of the stream that is open into its output."""
        if self._open is not None:
            output, text = self._open
            output["text"] = text.text()
            self._open = None

    def _truncate(self, outs: list[Any]) -> None:
        if self.truncated:
            return
        self.truncated = True
        self.settle()
        self._pending.flush()
        note = _stream_output("stderr")
        note["text"] = f"\n[Output over the limit of {self._limit_words} was dropped; the notebook went on.]\n"
        outs.append(note)
        self._events.truncate(self._cell)

    def _emit_stream(self, name: str, text: str) -> None:
        self._events.output(self._cell, "stream", name=name, text=text)

    def allows(self, outs: list[Any], sizes: dict[str, int]) -> bool:
        """Return whether an output that is no stream may be kept; say so, once, when not.

        Args:
            outs: Outputs of the cell in the notebook.
            sizes: What it takes, in bytes, by the name of what it replaces; an empty name replaces nothing.
        """
        if self.truncated:
            return False
        more = sum(size - self._replaced.get(name, 0) for name, size in sizes.items())
        if more > self.room:
            self._truncate(outs)
            return False
        self._kept[self._cell] += more
        self._replaced.update((name, size) for name, size in sizes.items() if name)
        return True

    def cleared(self) -> None:
        """The cell took its outputs back."""
        self._pending.flush()
        self._open = None
        self._kept[self._cell] = 0
        self._events.output(self._cell, "cleared")

    def rich(self, output: Any) -> None:
        """Tell an output that is no stream."""
        self.settle()
        self._pending.flush()
        if output["output_type"] == "error":
            text = plain("\n".join(output.get("traceback") or []))[-_LONGEST_TEXT:]
            self._events.output(
                self._cell, "error", name=output.get("ename", ""), message=output.get("evalue", ""), text=text
            )
        else:
            self._data(output.get("data") or {})

    def updated(self, content: dict[str, Any]) -> None:
        """Tell a display that was changed in place, not more often than can be seen."""
        now = time.monotonic()
        if now - self._updated >= _UPDATES:
            self._updated = now
            self._data(content.get("data") or {})

    def _data(self, data: dict[str, Any]) -> None:
        picture, text = data.get("image/png"), data.get("text/plain")
        text = plain(text)[:_LONGEST_TEXT] if isinstance(text, str) else ""
        if isinstance(picture, str) and len(picture) * 3 // 4 <= _LARGEST_PICTURE:
            self._events.output(self._cell, "png", data=picture.replace("\n", ""), text=text[:200])
            return
        rich = [mime for mime in data if mime != "text/plain"]
        if rich:
            self._events.output(self._cell, "html_omitted", name=rich[0][:100], text=text)
        elif text:
            self._events.output(self._cell, "text", text=text)


def _stream_output(name: str) -> Any:
    import nbformat

    return nbformat.v4.new_output("stream", name=name, text="")
