"""Hundreds of pairs and rows with one statement each, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from hub_ext.db.many import insert_many, one_of
from hub_ext.db.session import Database
from hub_ext.db.tables import BudgetCharge, BudgetHolder

PAIRS = [("group", f"g'{number}\\,{{}}\"") for number in range(600)] + [("person", "Ann Ä"), ("person", "NULL")]
HOLDER = (BudgetHolder.kind, BudgetHolder.name)


def columns(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {"kind": [kind for kind, _ in pairs], "name": [name for _, name in pairs]}


def test_what_is_inserted_at_once_is_found_at_once_pair_by_pair(database: Database) -> None:
    with database.write() as session:
        insert_many(session, BudgetHolder, columns(PAIRS))
    with database.read() as session:
        wanted = [*PAIRS[::2], ("person", PAIRS[0][1]), ("group", "Ann Ä"), ("group", "nobody")]
        found = session.execute(select(*HOLDER).where(one_of(session, HOLDER, wanted))).all()
        assert {tuple(row) for row in found} == set(PAIRS[::2])
        assert session.execute(select(*HOLDER).where(one_of(session, HOLDER, []))).all() == []


def test_a_row_that_is_there_fails_stays_or_is_changed_as_was_said(database: Database) -> None:
    same = {"use_id": "home:ann", "purpose": "home", "cpu": 0.0, "memory": 0.0, "gpu": 0, "expires": None}
    with database.write() as session:
        insert_many(session, BudgetCharge, columns(PAIRS[:2]), {**same, "storage": 1})
    with pytest.raises(IntegrityError), database.write() as session:
        insert_many(session, BudgetCharge, columns(PAIRS[:3]), {**same, "storage": 2})
    with database.write() as session:
        insert_many(session, BudgetCharge, columns(PAIRS[:1]), {**same, "storage": 3}, stays=True)
        insert_many(session, BudgetCharge, columns(PAIRS[1:3]), {**same, "storage": 2**40}, replaced="storage")
    with database.read() as session:
        found = session.execute(select(BudgetCharge.name, BudgetCharge.storage, BudgetCharge.expires)).all()
    assert {name: (storage, expires) for name, storage, expires in found} == {
        PAIRS[0][1]: (1, None),
        PAIRS[1][1]: (2**40, None),
        PAIRS[2][1]: (2**40, None),
    }
