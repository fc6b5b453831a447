"""What open pages hear of: all of it, once, in order, from any cursor on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.errors import InvalidInput, NotFound
from hub_ext.runs.live import Live, LiveEvent
from hub_ext.runs.reconcile import Reconciler
from hub_ext.runtimes.local import LocalRuntime
from hub_ext.sealer import Sealer
from hub_ext.settings import HubExt
from hub_ext.store import Store

Ended = Callable[..., Awaitable[Run]]


@pytest.fixture
async def sealer(database: Database) -> AsyncIterator[Sealer]:
    made = Sealer(database)
    task = asyncio.create_task(made.run())
    yield made
    await made.stop()
    await task


@pytest.fixture
def live(database: Database, store: Store, runtime: LocalRuntime, sealer: Sealer) -> Live:
    return Live(database, store, runtime, sealer)


async def collect(events: AsyncIterator[LiveEvent], most: int = 10_000, seconds: float = 30) -> list[LiveEvent]:
    found = []
    async with asyncio.timeout(seconds):
        async for event in events:
            found.append(event)
            if len(found) == most:
                break
    return found


def without_states(events: list[LiveEvent]) -> list[tuple[str, Any]]:
    return [(event.type, event.data) for event in events if event.type != "state"]


async def test_a_run_is_followed_while_it_runs_and_afterwards_the_same(
    reconciler: Reconciler,
    live: Live,
    publish: Callable[..., str],
    order: Callable[..., Run],
    ended: Ended,
    runtime: LocalRuntime,
) -> None:
    run_id = order(publish("import time\nfor n in range(5): print(n, flush=True); time.sleep(0.1)", "print('end')")).id
    during = await collect(live.follow(run_id))
    assert (await ended(run_id)).state == "succeeded"
    states = [event.data["state"] for event in during if event.type == "state"]
    assert states[-1] == "succeeded"
    assert states == sorted(states, key=["queued", "starting", "running", "succeeded"].index)
    assert during[-1].type == "state"
    kinds = [event.type for event in during if event.type != "state"]
    assert (kinds[0], kinds[-1]) == ("begun", "finished")
    text = "".join(event.data["text"] for event in during if event.data.get("kind") == "stream")
    assert text == "0\n1\n2\n3\n4\nend\n"

    afterwards = await collect(live.follow(run_id))
    assert without_states(afterwards) == without_states(during)
    assert [event.data["state"] for event in afterwards if event.type == "state"] == ["succeeded"]
    for position, event in enumerate(during):
        rest = await collect(live.follow(run_id, event.id))
        assert without_states(rest) == without_states(during[position + 1 :]), event
    assert await collect(live.follow(run_id, during[-1].id)) == []
    assert runtime.launches() == []


async def test_following_begins_in_the_middle_and_goes_on_when_the_results_are_put_away(
    reconciler: Reconciler, live: Live, publish: Callable[..., str], order: Callable[..., Run]
) -> None:
    run_id = order(publish("print('a' * 10, flush=True)", "import time; time.sleep(0.5); print('b')")).id
    first = await collect(live.follow(run_id), most=4)
    rest = await collect(live.follow(run_id, first[-1].id))
    whole = await collect(live.follow(run_id))
    assert without_states(first) + without_states(rest) == without_states(whole)


async def test_half_a_line_keeps_nobody_busy_and_is_told_when_it_is_whole(
    live: Live,
    publish: Callable[..., str],
    order: Callable[..., Run],
    database: Database,
    runtime: LocalRuntime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = order(publish("1")).id
    with database.write() as session:
        run = session.get_one(Run, run_id)
        run.state, run.launch_id = "running", "l-x"
    folder = runtime.folder("l-x")
    folder.make()
    folder.events.write_text('{"t":0,"type":"begun"}\n{"t":1,"ty')
    looks = []
    monkeypatch.setattr(Live, "_size", lambda self, launch: looks.append(1) or folder.events.stat().st_size)
    events = live.follow(run_id)
    assert [event.type for event in await collect(events, most=2)] == ["begun", "state"]
    coming = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.5)
    assert len(looks) < 20
    with folder.events.open("a") as stream:
        stream.write('pe":"run_started"}\n')
    assert (await asyncio.wait_for(coming, 5)).type == "run_started"
    await events.aclose()
    shutil.rmtree(folder.root)


async def test_cursors_that_are_not_ours_are_refused(live: Live) -> None:
    for cursor in ("x", "-1-queued", "1-sleeping", "9" * 40):
        with pytest.raises(InvalidInput):
            await collect(live.follow("r-1", cursor))
        with pytest.raises(InvalidInput):
            await collect(live.changes(["workflows"], cursor))
    with pytest.raises(NotFound):
        await collect(live.follow("r-none"))


async def test_changes_of_the_topics_asked_for_are_told_once_sealed(live: Live, database: Database) -> None:
    with database.write() as session:
        audit.announce(session, "runs:amy", {"n": 0})
    assert await collect(live.changes(["runs:amy"], "0"), most=1)
    coming = asyncio.ensure_future(collect(live.changes(["runs:amy", "workflows"]), most=3))
    await asyncio.sleep(0.1)
    with database.write() as session:
        for number in range(1, 4):
            audit.announce(session, "runs:amy" if number % 2 else "workflows", {"n": number})
            audit.announce(session, "runs:ben", {"n": number})
    found = await coming
    assert [(event.type, event.data["n"]) for event in found] == [("runs", 1), ("workflows", 2), ("runs", 3)]
    rest = await collect(live.changes(["runs:amy", "workflows"], found[0].id), most=2)
    assert rest == found[1:]


async def test_a_stream_that_waits_costs_nothing_until_one_of_its_topics_changes(
    live: Live, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        audit.announce(session, "workflows", {"n": 0})
    await collect(live.changes(["workflows"], "0"), most=1)
    looks, usual = [], Live._changes
    monkeypatch.setattr(Live, "_changes", lambda *arguments: looks.append(1) or usual(*arguments))
    coming = asyncio.ensure_future(collect(live.changes(["runs:amy"]), most=1))
    for number in range(10):
        await asyncio.sleep(0.15)
        with database.write() as session:
            audit.announce(session, "runs:ben", {"n": number})
    assert len(looks) <= 2  # at its begin, and where something was sealed meanwhile
    with database.write() as session:
        audit.announce(session, "runs:amy", {"n": 1})
    assert [event.data["n"] for event in await asyncio.wait_for(coming, 10)] == [1]


async def test_more_changes_than_fit_one_look_are_all_told(live: Live, database: Database, settings: HubExt) -> None:
    with database.write() as session:
        for number in range(1200):
            audit.announce(session, "workflows", {"n": number})
    found = await collect(live.changes(["workflows"], "0"), most=1200)
    assert [event.data["n"] for event in found] == list(range(1200))
