"""What is kept between upload and publishing is kept for its owner, a while, within limits, by every replica."""

from __future__ import annotations

import asyncio

import pytest

from hub_ext.db.session import Database
from hub_ext.errors import NotFound, StorageFull
from hub_ext.settings import HubExt
from hub_ext.sharing.drafts import KEPT, Drafts, DraftsSweep, Upload
from hub_ext.store import DRAFTS, Store

ONE = Upload(b'{"cells": []}\n\xff', "näher.ipynb", "ann/rivers")


class Clock:
    """A clock that is moved by hand."""

    at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def drafts(store: Store, clock: Clock) -> Drafts:
    return Drafts(store, clock)


def test_another_replica_has_it(drafts: Drafts, settings: HubExt, clock: Clock) -> None:
    key = drafts.put("ann", ONE)
    assert Drafts(Store(settings.results), clock).get("ann", key) == ONE


def test_it_is_there_for_its_owner_and_nobody_else(drafts: Drafts) -> None:
    key = drafts.put("ann", ONE)
    with pytest.raises(NotFound):
        drafts.get("ben", key)
    drafts.drop("ben", key)
    assert drafts.get("ann", key) == ONE


@pytest.mark.parametrize(
    "key", ["", "x", "../../versions/x", "1800003600-" + "a" * 24, "9" * 12 + "-" + "../" * 8, "9999999999-\ud800"]
)
def test_no_other_key_leads_anywhere(drafts: Drafts, store: Store, key: str) -> None:
    store.put("versions/x", b"{}\nsecret")
    drafts.put("ann", ONE)
    with pytest.raises(NotFound):
        drafts.get("ann", key)
    drafts.drop("ann", key)
    assert store.exists("versions/x")


def test_it_is_gone_when_its_time_is_over_and_swept_whosever_it_is(drafts: Drafts, store: Store, clock: Clock) -> None:
    key = drafts.put("ann", ONE)
    clock.at += KEPT / 2
    later = drafts.put("ben", ONE)
    clock.at += KEPT / 2 + 1
    with pytest.raises(NotFound):
        drafts.get("ann", key)
    assert drafts.sweep() == 1
    assert [one.rpartition("/")[2] for one in store.every_key(DRAFTS)] == [later]
    assert drafts.get("ben", later) == ONE


async def test_the_sweep_comes_by_itself(database: Database, drafts: Drafts, store: Store, clock: Clock) -> None:
    drafts.put("ann", ONE)
    clock.at += KEPT + 1
    sweep = DraftsSweep(database, drafts)
    task = asyncio.create_task(sweep.run())
    deadline = asyncio.get_running_loop().time() + 30
    while store.every_key(DRAFTS):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)
    await sweep.stop()
    await task


def test_what_was_dropped_is_gone_and_dropping_again_is_no_matter(drafts: Drafts) -> None:
    key = drafts.put("ann", ONE)
    drafts.drop("ann", key)
    drafts.drop("ann", key)
    with pytest.raises(NotFound):
        drafts.get("ann", key)


def test_one_person_cannot_fill_it(drafts: Drafts, store: Store, clock: Clock) -> None:
    other = drafts.put("ben", ONE)
    keys = []
    for _ in range(6):
        clock.at += 1
        keys.append(drafts.put("ann", ONE))
    for key in keys[:2]:
        with pytest.raises(NotFound):
            drafts.get("ann", key)
    assert all(drafts.get("ann", key) == ONE for key in keys[2:])
    assert drafts.get("ben", other) == ONE
    assert len(store.every_key(DRAFTS)) == 5


def test_a_full_store_is_told_and_keeps_what_was_there(
    drafts: Drafts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = drafts.put("ann", ONE)

    def full(*_: object) -> None:
        raise StorageFull("The result store has no space left.", hint="Tell an admin.")

    monkeypatch.setattr(store, "put", full)
    with pytest.raises(StorageFull):
        drafts.put("ann", ONE)
    assert drafts.get("ann", key) == ONE


def test_what_is_kept_is_not_in_any_log() -> None:
    assert "hunter2" not in repr(Upload(b"hunter2", "x.ipynb"))
