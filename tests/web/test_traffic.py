"""The service ends without cutting what it answers."""

from __future__ import annotations

import asyncio

from hub_ext.web.traffic import Requests, Streams


async def test_the_end_waits_for_the_last_request() -> None:
    requests = Requests()
    assert await requests.ended(0.01)
    requests.begin("a")
    requests.begin("b")
    waiting = asyncio.create_task(requests.ended(5))
    requests.end("a")
    requests.end("a")
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(requests) == 1
    requests.end("b")
    assert await waiting


async def test_the_end_does_not_wait_for_ever() -> None:
    requests = Requests()
    requests.begin("a")
    assert not await requests.ended(0.01)


async def test_closing_ends_every_stream() -> None:
    streams = Streams()
    tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(3)]
    for task in tasks:
        streams.add(task)
    assert len(streams) == 3
    streams.close()
    await asyncio.wait(tasks, timeout=5)
    assert all(task.cancelled() for task in tasks)
    assert len(streams) == 0
