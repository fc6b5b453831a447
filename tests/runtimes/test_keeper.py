"""What the keeper knows of launches from what the API server reports."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from hub_ext.errors import Unavailable
from hub_ext.runtimes import keeper
from hub_ext.runtimes.keeper import Keeper

WHERE = "hub-ext-ana"


def reported(kind: str, launch: str, name: str = "", **about: Any) -> Any:
    labels = {"hub-ext/name": launch}
    return {"kind": kind, "metadata": {"name": name or launch, "namespace": WHERE, "labels": labels, **about}}


@dataclass
class Watching:
    """A watch that a test sets."""

    current: bool = True
    synced: asyncio.Event = field(default_factory=asyncio.Event)

    async def stop(self) -> None:
        """End it."""


@pytest.fixture
def kept() -> Iterator[Keeper]:
    """A keeper that never finds its cluster."""

    async def nowhere() -> Any:
        raise Unavailable("There is none.")

    made = Keeper(nowhere, lambda: ("", ""))
    yield made
    made.close()


def test_a_launch_is_known_by_its_job_or_any_of_its_pods_until_all_are_gone(kept: Keeper) -> None:
    job, first, second = reported("Job", "l-1"), reported("Pod", "l-1", "l-1-a"), reported("Pod", "l-1", "l-1-b")
    assert kept.ids() == set()
    assert kept.namespace("l-1") is None
    for one in (job, first, second):
        kept._noted("ADDED", one)
    assert kept.seen("l-1").job is job
    assert kept.seen("l-1").pods == (first, second)
    assert kept.namespace("l-1") == WHERE
    kept._noted("DELETED", job)
    kept._noted("DELETED", first)
    assert kept.ids() == {"l-1"}
    assert kept.seen("l-1").last is None
    assert kept.namespace("l-1") == WHERE
    kept._noted("DELETED", second)
    assert kept.ids() == set()
    assert kept.seen("l-1").pods == ()


def test_how_the_last_pod_ended_is_known_as_long_as_its_job(kept: Keeper) -> None:
    job, pod = reported("Job", "l-1"), reported("Pod", "l-1", "l-1-a")
    kept._noted("ADDED", job)
    kept._noted("ADDED", pod)
    assert kept.seen("l-1").last is None
    kept._noted("DELETED", pod)
    assert kept.seen("l-1").last is pod
    kept._noted("ADDED", reported("Pod", "l-1", "l-1-b"))
    assert kept.seen("l-1").last is None
    kept._noted("DELETED", reported("Pod", "l-1", "l-1-b"))
    kept._noted("DELETED", job)
    assert kept.seen("l-1").last is None


def test_a_pod_that_changes_is_the_same_one(kept: Keeper) -> None:
    kept._noted("ADDED", reported("Pod", "l-1", "l-1-a"))
    changed = reported("Pod", "l-1", "l-1-a", resourceVersion="2")
    kept._noted("MODIFIED", changed)
    assert kept.seen("l-1").pods == (changed,)


def test_what_is_not_seen_counts_as_gone_only_after_both_watches_have_caught_up(
    kept: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: now))
    assert not kept.seen("l-1").current
    jobs, pods = Watching(), Watching()
    kept._watches = [jobs, pods]  # type: ignore[list-item]
    jobs.synced.set()
    assert not kept.seen("l-1").current  # pods were not listed yet
    pods.synced.set()
    assert (kept.seen("l-1").current, kept.seen("l-1").settled) == (True, False)
    now += 1.5
    assert kept.seen("l-1").settled
    pods.current = False
    assert (kept.seen("l-1").current, kept.seen("l-1").settled) == (False, False)
    pods.current = True
    assert not kept.seen("l-1").settled


def test_what_is_being_taken_away_is_known_no_more(kept: Keeper) -> None:
    kept._noted("ADDED", reported("Job", "l-1"))
    kept.remove("l-1", WHERE, lambda: None)
    assert kept.ids() == set()
