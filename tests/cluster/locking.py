"""One at a time, across processes."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.layout import cache


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of this user; it is free again when its holder ends, however it ends.

    Args:
        name: What only one may do at a time.
    """
    folder = cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / name):
        yield


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock on a file.

    Args:
        path: The file; it is made.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
