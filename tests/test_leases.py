"""A lease: one holder, and none that is dead."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import Lease
from hub_ext.db.types import now
from hub_ext.leases import OwnLease


def holder_of(database: Database) -> str | None:
    with database.read() as session:
        lease = session.get(Lease, "job")
        return lease.holder if lease else None


def test_one_holds_it_until_it_gives_it_back(database: Database) -> None:
    first, second = (OwnLease(database, "job", 5.0) for _ in range(2))
    assert first.hold()
    assert first.hold()
    assert not second.hold()
    second.release()
    assert holder_of(database) == first.holder
    first.release()
    assert second.hold()
    assert not first.hold()
    assert len(second.holder) <= 128


def test_that_of_a_dead_process_of_this_machine_is_taken_over_at_once(database: Database) -> None:
    code = (
        "import sys\nfrom hub_ext.db.session import Database\nfrom hub_ext.leases import OwnLease\n"
        "assert OwnLease(Database(sys.argv[1]), 'job', 3600.0).hold()\nprint('held', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(database.url)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        mine = OwnLease(database, "job", 5.0)
        assert not mine.hold()
        other.kill()
        other.wait()
        assert mine.hold()


@pytest.mark.parametrize("holder", ["elsewhere/pid:[1] 1 1 x", "odd", "", "a b c"])
def test_that_of_somebody_we_cannot_see_is_left_until_it_ends(database: Database, holder: str) -> None:
    with database.write() as session:
        session.add(Lease(name="job", holder=holder, expires_at=now() + timedelta(minutes=1)))
    lease = OwnLease(database, "job", 5.0)
    assert not lease.hold()
    with database.write() as session:
        session.get_one(Lease, "job").expires_at = now()
    assert lease.hold()
