"""What looks again and again: tried again when it fails, woken, and ended without waiting for another machine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from hub_ext.db.session import Database
from hub_ext.errors import Unavailable
from hub_ext.leases import OwnLease
from hub_ext.looking import Alarm, Looking


class Counting(Looking):
    """Counts its looks."""

    job = "counting"

    def __init__(self, database: Database, pause: float = 0.01, *, patient: bool = True) -> None:
        super().__init__(OwnLease(database, "counting", 30.0), pause, patient=patient)
        self.looks = self.told = 0
        self.wrong: list[Exception] = []
        self.before: Callable[[], object] = lambda: None

    def look(self) -> None:
        self.looks += 1
        assert self.lease.hold()
        self.before()
        if self.wrong:
            raise self.wrong.pop()

    async def looked(self) -> None:
        self.told += 1


async def until(found: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("patient", [True, False])
async def test_it_looks_again_and_again_whatever_fails_and_gives_its_lease_back(
    database: Database, caplog: pytest.LogCaptureFixture, patient: bool
) -> None:
    one = Counting(database, patient=patient)
    one.wrong = [Unavailable("Away."), Unavailable("Away.")]
    task = asyncio.create_task(one.run())
    await until(lambda: one.told >= 4)
    await one.stop()
    await task
    assert caplog.text.count("counting failed (Unavailable); it is tried again") == 2
    assert OwnLease(database, "counting", 30.0).hold()


@pytest.mark.parametrize("patient", [True, False])
async def test_a_mistake_of_ours_ends_it(database: Database, patient: bool) -> None:
    one = Counting(database, patient=patient)
    one.wrong = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await one.run()


@pytest.mark.parametrize("patient", [True, False])
async def test_it_can_be_woken_from_any_thread(database: Database, patient: bool) -> None:
    one = Counting(database, pause=600, patient=patient)
    task = asyncio.create_task(one.run())
    await until(lambda: one.told == 1)
    await asyncio.to_thread(one.wake)
    await until(lambda: one.told == 2)
    await one.stop()
    await task


async def test_its_end_waits_for_the_present_look_or_not(database: Database) -> None:
    going, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        going.set()
        go_on.wait(30)

    for patient in (False, True):
        going.clear()
        one = Counting(database, patient=patient)
        one.before = slow
        task = asyncio.create_task(one.run())
        await until(going.is_set)
        await one.stop()
        if patient:
            done, _ = await asyncio.wait({task}, timeout=0.1)
            assert not done
            go_on.set()
        await asyncio.wait_for(task, 20)


async def test_an_alarm_ends_a_wait_that_is_and_one_that_comes() -> None:
    alarm = Alarm()
    waiting = asyncio.create_task(alarm.wait(60))
    await asyncio.sleep(0)
    alarm.ring()
    await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(alarm.wait(60), 5)  # it was not reset
    alarm.reset()
    began = time.monotonic()
    await alarm.wait(0.05)  # nobody rings
    assert time.monotonic() - began >= 0.04


async def test_a_wait_for_an_alarm_that_is_cancelled_leaves_nothing_behind() -> None:
    alarm = Alarm()
    waiting = asyncio.create_task(alarm.wait(60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    alarm.ring()
    await asyncio.wait_for(alarm.wait(60), 5)


async def test_what_is_not_due_is_not_looked_at(database: Database) -> None:
    class Seldom(Counting):
        due = False

        def is_due(self) -> bool:
            return self.due

    seldom = Seldom(database)
    task = asyncio.create_task(seldom.run())
    await asyncio.sleep(0.1)
    assert (seldom.looks, seldom.told) == (0, 0)
    seldom.due = True
    await until(lambda: seldom.looks > 0)
    await seldom.stop()
    await task
