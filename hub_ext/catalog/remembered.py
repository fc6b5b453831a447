"""Files of one kind, each read again only when it has changed; the last good content of a broken one is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from hub_ext.catalog.documents import FileProblem

_NO_FILE = (0, 0, 0)
_Read = TypeVar("_Read", bound=BaseModel)


class Remembered(Generic[_Read]):
    """Files of one kind, each read again only when it has changed; the last good content of a broken one is kept.

    Args:
        read_one: Reads a file, named so in problems.
    """

    def __init__(self, read_one: Callable[[Path, str], _Read | list[FileProblem]]) -> None:
        self._read_one = read_one
        self._seen: dict[str, tuple[tuple[int, int, int], _Read | None, list[FileProblem]]] = {}

    def read(self, files: list[tuple[Path, str]]) -> Iterator[tuple[_Read | None, list[FileProblem]]]:
        """Yield, for each file, what it holds, or held when it was good, and what is wrong with it now."""
        before, self._seen = self._seen, {}
        for path, where in files:
            stamp = _stamp(path)
            known = before.get(where)
            if known is None or known[0] != stamp or stamp == _NO_FILE:
                found = self._read_one(path, where)
                last = known[1] if known else None
                known = (stamp, last, found) if isinstance(found, list) else (stamp, found, [])
            self._seen[where] = known
            yield known[1], known[2]


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return _NO_FILE
    return (found.st_mtime_ns, found.st_size, found.st_ino)
