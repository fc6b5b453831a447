"""Transactions keep all or nothing, writers wait for each other, and a failing database is told in words."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from hub_ext.db.session import Database, hold_lease, release_lease
from hub_ext.db.tables import Base, Change, Lease
from hub_ext.db.types import new_id, now
from hub_ext.errors import NotFound, StorageFull, Unavailable


def count(database):
    with database.read() as session:
        return len(session.scalars(select(Change)).all())


def add(session, topic="t"):
    session.add(Change(topic=topic))


# --- transactions ----------------------------------------------------------------------------------------------------


def test_a_block_that_ends_is_kept_and_one_that_fails_is_not(database):
    with database.write() as session:
        add(session)

    def fail(error):
        with database.write() as session:
            add(session)
            session.flush()
            raise error

    for error in (NotFound("No."), ZeroDivisionError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            fail(error)
    assert count(database) == 1


def test_a_reading_block_keeps_nothing(database):
    with database.read() as session:
        add(session)
        session.flush()
    assert count(database) == 0


def test_a_reader_sees_one_moment_while_others_write(database):
    with database.read() as session:
        before = session.scalars(select(Change)).all()
        with database.write() as other:
            add(other)
        assert session.scalars(select(Change)).all() == before == []
    assert count(database) == 1


def test_what_was_read_can_be_used_after_its_transaction(database):
    with database.write() as session:
        add(session, "kept")
    with database.read() as session:
        row = session.scalar(select(Change))
    assert row.topic == "kept"


def test_writers_that_read_first_never_fail_for_each_other(database):
    """Each reads a number, to write the next: without a lock at the beginning, some would fail or be lost."""
    with database.write() as session:
        session.add(Lease(name="count", holder="0", expires_at=now()))

    def count_up():
        for _ in range(20):
            with database.write() as session:
                row = session.get(Lease, "count", with_for_update=True)
                row.holder = str(int(row.holder) + 1)

    threads = [threading.Thread(target=count_up) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with database.read() as session:
        assert session.get(Lease, "count").holder == "100"


def test_two_at_once_is_for_the_caller_to_settle(database):
    assert hold_lease(database, "x", 60, "a")
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(Lease.__table__.insert().values(name="x", holder="b", expires_at=now()))


def test_rows_that_belong_to_nothing_are_refused(database):
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("INSERT INTO favourites VALUES ('amy', 'w-none', '2026-01-01')"))


# --- a database that fails -------------------------------------------------------------------------------------------


def test_a_database_that_is_not_there_is_told_without_its_words(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/x.sqlite")
    with pytest.raises(Unavailable) as caught, database.read() as session:
        session.scalars(select(Change)).all()
    assert "changes" not in caught.value.detail
    assert "nothing was changed" in caught.value.detail
    database.dispose()


@pytest.mark.backends("sqlite")
def test_a_full_disk_is_told_as_such(database):
    def fill():
        with database.write() as session:
            size = session.scalar(text("PRAGMA page_count"))
            session.execute(text(f"PRAGMA max_page_count = {size}"))
            session.add_all(Change(topic="x" * 400) for _ in range(2000))

    with pytest.raises(StorageFull, match="nothing was changed"):
        fill()
    assert count(database) == 0


@pytest.mark.backends("sqlite")
def test_a_lock_that_is_never_given_back_is_told(database):
    with database.read() as session:
        session.execute(text("PRAGMA busy_timeout = 50"))  # the one connection of the pool
    other = sqlite3.connect(database.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable), database.write() as session:
            add(session)
    finally:
        other.close()
    assert count(database) == 0


def test_more_at_once_than_there_are_connections_are_told_to_wait(database, monkeypatch):
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.05)
    with contextlib.ExitStack() as held:
        for _ in range(database.engine.pool.size() + database.engine.pool._max_overflow):
            held.enter_context(database.read()).scalars(select(Change)).all()
        with pytest.raises(Unavailable, match="too busy"), database.read() as session:
            session.scalars(select(Change)).all()


def test_a_folder_for_the_file_is_made(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/a/b/x.sqlite")
    assert (tmp_path / "a" / "b").is_dir()
    database.dispose()


# --- leases ----------------------------------------------------------------------------------------------------------

HOLDER = """
import os, sys
from hub_ext.db.session import Database, hold_lease
print(hold_lease(Database(sys.argv[1]), "sealer", 60, sys.argv[2]))
"""


def test_a_lease_is_held_by_one_until_it_ends_or_is_given_back(database):
    assert hold_lease(database, "sealer", 60, "a")
    assert hold_lease(database, "sealer", 60, "a"), "the holder renews it"
    assert not hold_lease(database, "sealer", 60, "b")
    assert hold_lease(database, "reconciler", 60, "b"), "another job is another lease"
    release_lease(database, "sealer", "b")
    assert not hold_lease(database, "sealer", 60, "b"), "nobody gives back what another holds"
    release_lease(database, "sealer", "a")
    assert hold_lease(database, "sealer", 60, "b")


def test_a_lease_that_ended_goes_to_whoever_asks_first(database):
    hold_lease(database, "sealer", 60, "a")
    with database.write() as session:
        session.get(Lease, "sealer").expires_at = now() - timedelta(seconds=1)
    assert hold_lease(database, "sealer", 60, "b")
    assert not hold_lease(database, "sealer", 60, "a")


def test_of_many_that_ask_at_once_one_gets_it(database):
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(hold_lease(database, "sealer", 60, str(n)))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [False] * 7 + [True]


def test_a_lease_holds_between_processes(database, settings):
    assert hold_lease(database, "sealer", 60)
    command = [sys.executable, "-c", HOLDER, settings.database, "other"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ), check=True)
    assert found.stdout.strip() == "False"


# --- what all tables share -------------------------------------------------------------------------------------------


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5.5)), timezone(-timedelta(hours=11))])


@given(st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1), timezones=ZONES))  # noqa: DTZ001
def test_a_time_comes_back_as_the_same_moment_in_utc(memory, at):
    with memory._session(write=True) as session:
        session.add(Change(topic="t", at=at))
        session.flush()
        session.expire_all()
        found = session.scalar(select(Change.at))
        session.rollback()
    assert found == at
    assert found.tzinfo is UTC


@pytest.fixture(scope="module")
def memory():
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()


def test_a_time_without_a_zone_is_a_mistake_of_ours(database):
    with pytest.raises(StatementError, match="without a zone"), database.write() as session:
        session.add(Change(topic="t", at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_identifiers_are_new_sort_by_time_and_fit_anywhere():
    found = [new_id("r") for _ in range(1000)]
    assert len(set(found)) == 1000
    assert all(len(one) == 28 and one.startswith("r-") and one.replace("-", "").isalnum() for one in found)
    assert [one[:12] for one in found] == sorted(one[:12] for one in found)


@pytest.mark.backends("postgresql")
def test_connections_of_a_rush_stay_open_for_the_next(database):
    made, together = [], threading.Barrier(10)
    event.listen(database.engine, "connect", lambda *_: made.append(1))

    def read():
        for _ in range(3):
            with database.read() as session:
                session.execute(text("SELECT 1"))
                together.wait(30)
            together.wait(30)

    threads = [threading.Thread(target=read) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) <= 10
