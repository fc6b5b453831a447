"""The sealer: within a second, one at a time, whatever happens."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from hub_ext import audit
from hub_ext import sealer as sealer_module
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Change
from hub_ext.db.types import now
from hub_ext.sealer import Sealer


def write(database: Database, count: int = 1) -> None:
    with database.write() as session:
        for number in range(count):
            audit.record(session, "amy", "run.create", ("run", str(number)))
            audit.announce(session, "workflows", {"n": number})


def unsealed(database: Database) -> int:
    with database.read() as session:
        return audit.verify(session).unsealed


async def sealed(database: Database, seconds: float = 1.0) -> None:
    deadline = time.monotonic() + seconds
    while unsealed(database):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def told(sealer: Sealer, sequence: int, seconds: float = 10.0) -> None:
    """Wait until it has told changes up to a sequence."""
    deadline = time.monotonic() + seconds
    while sealer.newest < sequence:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_who_waits_for_a_topic_is_woken_by_that_alone(database: Database) -> None:
    sealer = Sealer(database)
    task = asyncio.create_task(sealer.run())
    write(database)  # before this, everybody looks for herself
    await told(sealer, 1)
    waiting = asyncio.create_task(sealer.after(1, ["runs:amy", "access:amy"]))
    write(database, 3)
    await told(sealer, 4)
    await asyncio.wait({waiting}, timeout=0.1)
    assert not waiting.done()
    with database.write() as session:
        audit.announce(session, "access:amy", {})
    await asyncio.wait_for(waiting, 10.0)
    await asyncio.wait_for(sealer.after(4, ["access:amy"]), 1.0)  # it stays known
    await sealer.stop()
    await task


@pytest.mark.backends("sqlite")
async def test_of_very_many_changes_at_once_everybody_looks_for_herself(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer_module, "_MOST", 10)
    sealer = Sealer(database)
    write(database)
    await asyncio.to_thread(sealer.look)
    await sealer.looked()
    waiting = asyncio.create_task(sealer.after(1, ["runs:amy"]))
    write(database, 11)
    await asyncio.to_thread(sealer.look)
    await sealer.looked()
    await asyncio.wait_for(waiting, 1.0)
    assert sealer.newest == 12
    sealer.lease.release()


@pytest.mark.backends("sqlite")
async def test_rows_are_sealed_within_a_second_and_who_waits_is_woken(database: Database) -> None:
    sealer = Sealer(database)
    task = asyncio.create_task(sealer.run())
    waiting = asyncio.create_task(sealer.after(0, ["workflows"]))
    write(database, 3)
    await asyncio.wait_for(waiting, 5.0)
    assert sealer.newest == 3
    await sealed(database)
    write(database, 1200)
    sealer.wake()
    await sealed(database, 10.0)
    await told(sealer, 1203)
    await sealer.stop()
    await task
    with database.read() as session:
        assert audit.verify(session).intact


async def test_two_sealers_make_one_chain_and_both_wake_their_own(database: Database) -> None:
    sealers = [Sealer(database) for _ in range(2)]
    tasks = [asyncio.create_task(one.run()) for one in sealers]
    for _ in range(5):
        write(database, 20)
        await sealed(database, 10.0)
    for one in sealers:
        await told(one, 100)
    for one in sealers:
        await one.stop()
    await asyncio.gather(*tasks)
    with database.read() as session:
        verdict = audit.verify(session)
    assert (verdict.intact, verdict.checked) == (True, 100)


async def test_an_error_of_the_database_is_logged_and_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed: list[int] = []

    def seal(session: Any) -> int:
        if len(failed) < 2:
            failed.append(1)
            raise OperationalError("UPDATE", {}, Exception("disk I/O error"))
        return audit.seal(session)

    monkeypatch.setattr(sealer_module, "seal", seal)
    sealer = Sealer(database)
    task = asyncio.create_task(sealer.run())
    write(database)
    await sealed(database, 10.0)
    await sealer.stop()
    await task
    assert caplog.text.count("sealing failed") == 2


async def test_old_changes_go_and_numbers_go_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer_module, "_SWEEP_EVERY", 0.0)
    with database.write() as session:
        for number in range(3):
            session.add(Change(topic="workflows", payload={}, sequence=number + 1, at=now() - timedelta(days=2)))
    sealer = Sealer(database)
    task = asyncio.create_task(sealer.run())
    deadline = time.monotonic() + 3
    while True:
        with database.read() as session:
            left = list(session.scalars(select(Change.sequence)))
        if left == [3]:
            break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    write(database)
    await told(sealer, 4)
    await sealer.stop()
    await task
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(AuditRow)) == 1
