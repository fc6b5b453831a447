"""The record: kept if and only if the change is, and nobody can change it unseen."""

import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from hub_ext.audit import announce, record, seal, verify
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Base, Change


def add(database, *names):
    with database.write() as session:
        for name in names:
            record(session, "amy", "run.create", ("run", name), detail={"name": name, "n": [1, 2.5, None, {"é": True}]})


def seal_all(database, limit=500):
    while True:
        with database.write() as session:
            if not seal(session, limit=limit):
                return


def verdict(database):
    with database.read() as session:
        return verify(session)


def rows(database, table=AuditRow):
    with database.read() as session:
        return session.scalars(select(table).order_by(table.id)).all()


# --- writing ---------------------------------------------------------------------------------------------------------


def test_an_act_is_kept_with_its_change_or_not_at_all(database):
    add(database, "one")
    with pytest.raises(ZeroDivisionError), database.write() as session:
        record(session, "amy", "run.create", ("run", "two"), detail={"n": 1 / 0})
    (row,) = rows(database)
    assert (row.actor, row.action, row.object_type, row.object_id, row.outcome) == (
        "amy", "run.create", "run", "one", "allowed",
    )  # fmt: skip
    assert row.sequence is row.digest is None


def test_names_without_end_are_cut_to_what_the_columns_hold(database):
    with database.write() as session:
        record(session, "x" * 1000, "run.create", ("run", "y" * 1000), outcome="denied")
    (row,) = rows(database)
    assert (len(row.actor), len(row.object_id), row.outcome) == (255, 400, "denied")


# --- sealing ---------------------------------------------------------------------------------------------------------


def test_committed_rows_get_their_place_and_changes_theirs(database):
    add(database, "one", "two")
    with database.write() as session:
        announce(session, "workflows", {"id": "w-1"})
    with database.write() as session:
        assert seal(session) == 3
    assert [row.sequence for row in rows(database)] == [1, 2]
    assert [change.sequence for change in rows(database, Change)] == [1]
    assert len({row.digest for row in rows(database)}) == 2
    with database.write() as session:
        assert seal(session) == 0


def test_sealing_in_small_steps_makes_the_same_chain_as_in_one(database, tmp_path):
    add(database, *"abcdefg")
    other = Database(f"sqlite:///{tmp_path}/other.sqlite")
    Base.metadata.create_all(other.engine)
    with other.write() as session:
        for row in rows(database):
            copy = {key: getattr(row, key) for key in ("id", "at", "actor", "action", "object_type", "object_id")}
            session.add(AuditRow(**copy, outcome=row.outcome, detail=row.detail))
    seal_all(database)
    seal_all(other, limit=2)
    assert [row.digest for row in rows(database)] == [row.digest for row in rows(other)]
    other.dispose()


def test_the_tail_that_is_not_sealed_yet_is_reported(database):
    add(database, "one", "two")
    seal_all(database)
    add(database, "three")
    found = verdict(database)
    assert (found.checked, found.unsealed, found.broken_at, found.intact) == (2, 1, None, True)


def test_an_empty_record_is_intact(database):
    assert verdict(database).intact


def test_writers_and_the_sealer_do_not_disturb_each_other(database):
    done = threading.Event()

    def seal_on():
        while not done.is_set():
            with database.write() as session:
                seal(session, limit=3)

    sealer = threading.Thread(target=seal_on)
    writers = [threading.Thread(target=lambda n=n: [add(database, f"{n}-{k}") for k in range(10)]) for n in range(4)]
    sealer.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    done.set()
    sealer.join(60)
    seal_all(database)
    found = verdict(database)
    assert (found.checked, found.unsealed, found.intact) == (40, 0, True)


# --- changing it unseen ----------------------------------------------------------------------------------------------

CHANGES = {
    "at": lambda row: {"at": row.at + timedelta(microseconds=1)},
    "actor": lambda row: {"actor": "eve"},
    "action": lambda row: {"action": "run.cancel"},
    "object_type": lambda row: {"object_type": "workflow"},
    "object_id": lambda row: {"object_id": row.object_id + " "},
    "outcome": lambda row: {"outcome": "denied"},
    "detail": lambda row: {"detail": {**row.detail, "name": "other"}},
    "digest": lambda row: {"digest": "0" * 64},
    "sequence": lambda row: {"sequence": row.sequence + 1000},
}


@pytest.fixture(scope="module")
def sealed():
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    add(database, *(f"run-{number}" for number in range(12)))
    seal_all(database)
    yield database
    database.dispose()


@given(number=st.integers(1, 12), change=st.sampled_from(sorted(CHANGES)))
def test_any_change_of_any_row_is_found_at_its_place(sealed, number, change):
    with sealed._session(write=True) as session:
        row = session.scalar(select(AuditRow).where(AuditRow.sequence == number))
        session.execute(update(AuditRow).where(AuditRow.id == row.id).values(CHANGES[change](row)))
        session.expire_all()
        found = verify(session)
        session.rollback()
    assert not found.intact
    expected = {number, number + 1} if change in ("digest", "sequence") else {number}
    assert found.broken_at in expected | ({number + 1000} if change == "sequence" else set())
    assert verdict(sealed).intact


@given(number=st.integers(1, 11))
def test_a_row_that_is_taken_out_is_missed(sealed, number):
    with sealed._session(write=True) as session:
        session.execute(delete(AuditRow).where(AuditRow.sequence == number))
        assert verify(session).broken_at == number + 1
        session.rollback()


@given(one=st.integers(1, 12), other=st.integers(1, 12))
def test_two_rows_cannot_change_places(sealed, one, other):
    if one == other:
        return
    with sealed._session(write=True) as session:
        first, second = (session.scalar(select(AuditRow).where(AuditRow.sequence == n)) for n in (one, other))
        for field in ("actor", "object_id", "detail"):
            left, right = getattr(first, field), getattr(second, field)
            setattr(first, field, right)
            setattr(second, field, left)
        session.flush()
        assert verify(session).broken_at == min(one, other)
        session.rollback()


def test_a_row_that_was_made_up_is_found(database):
    add(database, "one", "two")
    seal_all(database)
    with database.write() as session:
        session.add(AuditRow(actor="eve", action="run.create", object_type="run", object_id="x", outcome="allowed",
                             sequence=3, digest="f" * 64))  # fmt: skip
    assert verdict(database).broken_at == 3


def test_a_sealed_row_that_was_opened_again_is_found(database):
    add(database, "one", "two", "three")
    seal_all(database)
    with database.write() as session:
        session.execute(update(AuditRow).where(AuditRow.sequence == 2).values(sequence=None, digest=None, actor="eve"))
    assert verdict(database).broken_at == 3
    seal_all(database)
    assert verdict(database).broken_at == 3
