"""A question that is asked again and again: little is asked, and nothing new is missed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, text

from hub_ext.db.repeated import Repeated
from hub_ext.db.session import Database
from hub_ext.db.tables import Change
from hub_ext.errors import Unavailable

_OTHERS = "WHERE pid <> pg_backend_pid() AND datname = current_database() AND query LIKE '%count(%'"
QUERY = select(func.count()).select_from(Change)


@pytest.fixture
def question(database: Database) -> Iterator[Repeated]:
    with contextlib.closing(Repeated(database, QUERY)) as made:
        yield made


def add(database: Database) -> None:
    with database.write() as session:
        session.add(Change(topic="t"))


def test_each_answer_is_what_is_committed_then(database: Database, question: Repeated) -> None:
    for number in range(3):
        assert question.ask()[0] == number
        with database.write() as session:
            session.add(Change(topic="t"))
            session.flush()
            if not database.is_sqlite:  # there a writer keeps its one lock
                assert question.ask()[0] == number


@pytest.mark.backends("sqlite")
def test_on_sqlite_it_is_known_whether_anything_was_committed(database: Database, question: Repeated) -> None:
    assert question.may_differ()  # at first
    assert not question.may_differ()
    add(database)
    assert question.may_differ()
    question.ask()
    assert not question.may_differ()
    with database.write() as session:
        assert session.execute(QUERY).scalar() == 1  # nothing is changed
    assert not question.may_differ()


@pytest.mark.backends("sqlite")
def test_what_another_process_commits_is_seen(database: Database, question: Repeated) -> None:
    question.may_differ()
    change = f"UPDATE {Change.__tablename__} SET topic = 'x'"
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    add(database)
    assert question.may_differ()
    subprocess.run([sys.executable, "-c", script, str(database.url.database), change], check=True)
    assert question.may_differ()


@pytest.mark.backends("sqlite")
def test_of_a_file_that_is_away_it_is_not_known_and_none_is_made(database: Database, question: Repeated) -> None:
    path = Path(str(database.url.database))
    path.rename(path.with_suffix(".away"))
    assert question.may_differ()
    assert question.may_differ()
    assert not path.exists()
    path.with_suffix(".away").rename(path)
    assert question.may_differ()
    assert not question.may_differ()


@pytest.mark.backends("postgresql")
def test_on_postgresql_it_is_one_statement_without_a_transaction(database: Database, question: Repeated) -> None:
    question.ask()
    assert question.may_differ()
    with database.read() as session:
        found = session.execute(text(f"SELECT state FROM pg_stat_activity {_OTHERS}"))
        states = [state for (state,) in found]
    assert states == ["idle"]


@pytest.mark.backends("postgresql")
def test_a_connection_that_was_cut_is_told_and_made_anew(database: Database, question: Repeated) -> None:
    question.ask()
    made: list[object] = []
    event.listen(database.engine, "connect", lambda *_: made.append(1))
    with database.write() as session:
        session.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity {_OTHERS}"))
    with pytest.raises(Unavailable):
        question.ask()
    assert question.ask()[0] == 0
    assert made


def test_what_was_kept_does_not_go_back_to_those_that_have_transactions(database: Database) -> None:
    question = Repeated(database, QUERY)
    question.ask()
    question.close()
    with database.write() as session:
        session.add(Change(topic="t"))
        session.flush()
        session.rollback()
    assert question.ask()[0] == 0
    question.close()
