"""One at a time, across processes."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def among_users(path: Path, begin: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    """Be one of those who use something for a while.

    Args:
        path: The file that tells who they are; it is made. A user that is killed is none any more.
        begin: Called for each of them, by one at a time, before it goes on.
        end: Called by the last of them.
    """
    guard = path.with_name(f"{path.name}.lock")
    with path.open("a") as users:
        with held(guard):
            fcntl.flock(users, fcntl.LOCK_SH)
            begin()
        try:
            yield
        finally:
            with held(guard), contextlib.suppress(BlockingIOError):  # there are others
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                end()
