"""What PostgreSQL does that SQLite does not: it goes away, it deadlocks, it has a password."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from sqlalchemy import select, text

from hub_ext.db.migrate import differences, upgrade
from hub_ext.db.session import Database
from hub_ext.db.tables import Change, Lease
from hub_ext.db.types import now
from hub_ext.errors import Unavailable
from tests.db.test_migrate import MIGRATE
from tests.postgresql import Cluster

pytestmark = pytest.mark.backends("postgresql")

_END_THE_OTHERS = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


def test_an_empty_one_is_migrated_to_what_the_tables_say(postgresql: Cluster) -> None:
    database = Database(postgresql.make())
    upgrade(database)
    assert differences(database) == []
    database.dispose()


def test_processes_that_start_at_once_migrate_once(postgresql: Cluster) -> None:
    url = postgresql.make()
    command = [sys.executable, "-c", MIGRATE, url]
    processes = [subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["[]\n"] * 3


def test_an_address_without_a_driver_means_the_one_that_ships(postgresql: Cluster) -> None:
    database = Database(postgresql.make().replace("postgresql+psycopg:", "postgresql:"))
    with database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1
    database.dispose()


def test_connections_that_were_cut_while_nobody_used_them_are_made_anew(
    database: Database, postgresql: Cluster
) -> None:
    with database.read() as session:
        session.execute(text("SELECT 1"))
    other = Database(str(database.url))
    with other.write() as session:
        session.execute(_END_THE_OTHERS)
    other.dispose()
    with database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_a_connection_that_is_cut_in_the_middle_changes_nothing_and_is_told(database: Database) -> None:
    other = Database(str(database.url))

    def cut() -> None:
        with database.write() as session:
            session.add(Change(topic="t"))
            session.flush()
            with other.write() as killer:
                killer.execute(_END_THE_OTHERS)
            session.execute(text("SELECT 1"))

    with pytest.raises(Unavailable, match="nothing was changed"):
        cut()
    with other.read() as session:
        assert session.scalars(select(Change)).all() == []
    other.dispose()


def test_a_server_that_is_not_there_is_told_without_its_password_or_address(tmp_path: object) -> None:
    database = Database(f"postgresql://ann:top-secret@/nothing?host={tmp_path}")
    with pytest.raises(Unavailable) as caught, database.read() as session:
        session.execute(text("SELECT 1"))
    assert "top-secret" not in f"{caught.value.detail} {caught.value.hint}"
    assert str(tmp_path) not in f"{caught.value.detail} {caught.value.hint}"
    database.dispose()


def test_of_two_that_wait_for_each_other_one_is_told_to_try_again(database: Database) -> None:
    with database.write() as session:
        session.add_all(Lease(name=name, holder="x", expires_at=now()) for name in ("one", "two"))
    both_hold = threading.Barrier(2)
    said: list[str] = []

    def take(first: str, second: str) -> None:
        try:
            with database.write() as session:
                session.get(Lease, first, with_for_update=True)
                both_hold.wait(30)
                session.get(Lease, second, with_for_update=True)
                said.append("done")
        except Unavailable as error:
            said.append(error.hint)

    threads = [threading.Thread(target=take, args=names) for names in (("one", "two"), ("two", "one"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(said) == ["Try again in a moment.", "done"]
