"""Disks that are full to the last byte."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


class Disk:
    """A disk of its own that is small enough to be filled.

    Args:
        root: Where it is mounted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filler = root / "filler"

    def fill(self) -> None:
        """Take all the space that there is now, to the last byte."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (2**20, 2**12, 1):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        continue

    def free(self) -> None:
        """Give it back."""
        self._filler.unlink()

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Take all the space that there is, and give it back at the end."""
        self.fill()
        try:
            yield
        finally:
            self._filler.unlink(missing_ok=True)
