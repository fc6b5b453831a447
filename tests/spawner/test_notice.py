"""What the Hub's pages know of read-only mode: a second old at most, and never waited for when the database is slow."""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.db.types import now
from hub_ext.maintenance import Maintenance, ReadOnly
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.spawner.ledger import Ledger
from hub_ext.spawner.notice import Notice, for_pages

ADMIN = Person("adam", frozenset(), frozenset({"admin"}), may_administer=True)
TEXT = "{% set it = read_only() %}{{ it.banner[1] if it else 'nothing' }}"


@pytest.fixture
def settings(tmp_path: Path) -> HubExt:
    made = HubExt(state_dir=str(tmp_path))
    database = Database(made.database)
    upgrade(database)
    database.dispose()
    return made


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A database that answers when this is set."""
    answers, usual = threading.Event(), Maintenance.look

    def look(self: Maintenance) -> ReadOnly | None:
        assert answers.wait(30)
        return usual(self)

    monkeypatch.setattr(Maintenance, "look", look)
    yield answers
    answers.set()


def begin(settings: HubExt) -> None:
    Maintenance(Ledger.shared(settings).database).begin(ADMIN, now() + timedelta(hours=1), "The disk & more.")


def rendered(look: Any, *, in_loop: bool) -> str:
    environment = Environment(autoescape=True, enable_async=in_loop)
    template = environment.from_string(TEXT)
    return asyncio.run(template.render_async(read_only=look)) if in_loop else template.render(read_only=look)


def test_a_page_says_it_and_a_page_of_an_error_what_was_known_before(settings: HubExt) -> None:
    look = for_pages(settings)(None)
    assert rendered(look, in_loop=True) == "nothing"
    begin(settings)
    assert rendered(look, in_loop=False) == "nothing"
    deadline = time.monotonic() + 10
    while (text := rendered(look, in_loop=True)) == "nothing":  # a look is good for a second
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert text == "The disk &amp; more. Everything can be read, and what runs goes on."
    assert rendered(look, in_loop=False) == text


def test_it_stands_in_the_configuration_which_is_copied(settings: HubExt) -> None:
    assert rendered(copy.deepcopy({"it": for_pages(settings)})["it"](None), in_loop=True) == "nothing"


def test_a_page_goes_on_without_it_while_the_database_is_slow(settings: HubExt, slow: threading.Event) -> None:
    begin(settings)
    notice = Notice(settings, within=0.05)

    async def pages() -> list[ReadOnly | None]:
        early = await asyncio.gather(*(notice.look() for _ in range(20)))
        slow.set()
        while notice.known is None:
            await asyncio.sleep(0.01)
        return [*early, await notice.look()]

    *early, late = asyncio.run(pages())
    assert early == [None] * 20
    assert late is not None
    assert late.why == "The disk & more."


def test_a_page_goes_on_without_it_while_the_database_is_away(tmp_path: Path) -> None:
    gone = HubExt(state_dir=str(tmp_path), database_url="postgresql://nobody@127.0.0.1:1/none")
    assert rendered(for_pages(gone)(None), in_loop=True) == "nothing"
