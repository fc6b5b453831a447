"""A lease of this process, and how one is taken over at once from a process of this machine that is dead."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from uuid import uuid4

from sqlalchemy import delete, select

from hub_ext.db.session import Database, hold_lease, release_lease
from hub_ext.db.tables import Lease
from hub_ext.runtimes.identity import started

_SEPARATOR = " "


def _machine() -> str:
    """Return what two processes that can see each other have in common."""
    space = ""
    with contextlib.suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()[:40]}/{space}"


def _name() -> str:
    """Return a name of a holder in this process: where it is, its id, when it was started, and which one of it."""
    began = (started(os.getpid()) or "").rpartition(":")[2]
    return _SEPARATOR.join((_machine(), str(os.getpid()), began, uuid4().hex[:8]))


def _is_dead(holder: str) -> bool:
    """Return whether a holder was a process of this machine that is no more; not sure means no."""
    machine, pid, began, *_ = [*holder.split(_SEPARATOR), "", "", ""]
    if machine != _machine() or not pid.isdecimal() or not began:
        return False
    return (started(int(pid)) or "").rpartition(":")[2] != began


class OwnLease:
    """A lease that is taken, renewed when it is time, and given back.

    Args:
        database: Where leases are.
        name: The job.
        seconds: How long it lasts without being renewed.
    """

    def __init__(self, database: Database, name: str, seconds: float) -> None:
        self._database = database
        self._name = name
        self._seconds = seconds
        self._renewed = 0.0
        self.holder = _name()

    def hold(self) -> bool:
        """Take or renew it, and return whether it is ours."""
        at = time.monotonic()
        if self._renewed and at - self._renewed < self._seconds / 3:
            return True
        held = self._take() or (self._free_from_dead() and self._take())
        self._renewed = at if held else 0.0
        return held

    def _take(self) -> bool:
        return hold_lease(self._database, self._name, self._seconds, self.holder)

    def _free_from_dead(self) -> bool:
        with self._database.read() as session:
            other = session.scalar(select(Lease.holder).where(Lease.name == self._name))
        if other is None or not _is_dead(other):
            return False
        with self._database.write() as session:
            session.execute(delete(Lease).where(Lease.name == self._name, Lease.holder == other))
        return True

    def lost(self) -> None:
        """Somebody else has it: ask anew next time."""
        self._renewed = 0.0

    def release(self) -> None:
        """Give it back, so that the next holder need not wait."""
        self._renewed = 0.0
        release_lease(self._database, self._name, self.holder)
