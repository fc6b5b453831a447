"""What is looked up before it is asked for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hub_ext.people import Person
from hub_ext.web.pages import ahead
from hub_ext.web.pages.ahead import Ahead

ADA = Person("ada", frozenset({"analysts"}))


class Asked:
    """Counts how often it is asked, and waits for leave to answer.

    Attributes:
        times: How often.
        may_answer: Set: it answers.
    """

    def __init__(self) -> None:
        self.times = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self) -> int:
        self.times += 1
        self.may_answer.wait(30)
        return self.times


async def test_what_was_begun_is_not_asked_again_even_while_it_is_under_way() -> None:
    found, asked = Ahead(), Asked()
    asked.may_answer.clear()
    found.begin(ADA, asked)
    waiting = asyncio.create_task(found.take(ADA, asked))
    await asyncio.sleep(0)
    asked.may_answer.set()
    assert await waiting == 1
    assert asked.times == 1


async def test_it_is_used_once() -> None:
    found, asked = Ahead(), Asked()
    found.begin(ADA, asked)
    found.begin(ADA, asked)
    assert await found.take(ADA, asked) == 1
    assert await found.take(ADA, asked) == 2


@pytest.mark.parametrize(
    "other",
    [Person("eve", ADA.groups), Person("ada"), Person("ada", ADA.groups, frozenset({"admin"}))],
    ids=["somebody else", "without her groups", "with a role"],
)
async def test_nobody_else_gets_it_nor_she_with_other_rights(other: Person) -> None:
    found, asked = Ahead(), Asked()
    found.begin(ADA, asked)
    assert await found.take(ADA, asked) == 1
    found.begin(ADA, asked)
    theirs = Asked()
    assert await found.take(other, theirs) == 1
    assert theirs.times == 1


async def test_who_comes_late_has_it_looked_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_GOOD", 0.01)
    found, asked = Ahead(), Asked()
    found.begin(ADA, asked)
    await asyncio.sleep(0.1)
    assert await found.take(ADA, asked) == 2


async def test_what_goes_wrong_is_told_to_who_asks_and_to_nobody_else() -> None:
    def fails() -> int:
        raise LookupError("no database")

    found, told = Ahead(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
    found.begin(ADA, fails)
    with pytest.raises(LookupError):
        await found.take(ADA, fails)
    found.begin(Person("eve"), fails)
    await asyncio.sleep(0.05)
    assert told == []


async def test_a_crowd_is_looked_up_when_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_MOST", 1)
    found, asked, late = Ahead(), Asked(), Asked()
    found.begin(ADA, asked)
    found.begin(Person("eve"), late)
    assert late.times == 0
    assert await found.take(Person("eve"), late) == 1
    assert await found.take(ADA, asked) == 1
