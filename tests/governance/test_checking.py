"""Versions are checked while nobody waits, by one thread, and again when what they are held against changes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hub_ext.db.session import Database
from hub_ext.errors import Unavailable
from hub_ext.governance.checking import BackgroundChecks
from hub_ext.governance.checks import Checks
from hub_ext.governance.overview import Overview
from hub_ext.governance.store import CatalogStore
from hub_ext.settings import HubExt
from tests.governance.conftest import profile_text


@pytest.fixture
def overview(settings: HubExt, folder: Path, database: Database, store: CatalogStore) -> Overview:
    return Overview(database, store, settings, Checks())


def settled() -> None:
    """Wait until no check is at work."""
    deadline = time.monotonic() + 60
    while any(one.name == "checks" for one in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_what_is_not_known_yet_is_worked_out(overview: Overview, put: Any) -> None:
    for number in (1, 2, 3):
        put(profile_text(version=number), f"maps/{number}.yaml")
    overview.catalog.refresh()
    assert [one.findings for one in overview.entries()] == [None, None, None]
    checking = BackgroundChecks(overview)
    for _ in range(5):
        checking.wake()
    settled()
    assert [one.findings for one in overview.entries()] == [[], [], []]


def test_once_stopped_it_begins_no_more(overview: Overview, put: Any) -> None:
    put(profile_text())
    overview.catalog.refresh()
    checking = BackgroundChecks(overview)
    checking.stop()
    checking.wake()
    settled()
    assert overview.entries()[0].findings is None


def test_a_database_that_is_away_ends_a_look_and_not_the_next(
    overview: Overview, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(profile_text())
    overview.catalog.refresh()
    checking = BackgroundChecks(overview)

    def away() -> list[Any]:
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(overview, "entries", away)
        checking.wake()
        settled()
    checking.wake()
    settled()
    assert overview.entries()[0].findings == []
