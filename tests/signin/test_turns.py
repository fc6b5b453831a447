"""One question at a time about each person."""

from __future__ import annotations

import asyncio
import gc
import weakref

from hub_ext.signin.turns import Turns


async def test_questions_about_one_person_wait_for_each_other_and_others_do_not() -> None:
    turns, done = Turns(), list[str]()

    async def ask(name: str, what: str) -> None:
        async with turns.of(name):
            done.append(what)

    async with turns.of("ada"):
        second = asyncio.create_task(ask("ada", "ada's second"))
        await ask("bob", "bob's")
        assert done == ["bob's"]
    await second
    assert done == ["bob's", "ada's second"]


def test_nothing_is_kept_of_who_is_not_asked_about() -> None:
    turns = Turns()
    kept = weakref.ref(turns.of("ada"))
    gc.collect()
    assert kept() is None
