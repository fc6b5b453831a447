"""Server-sent events: what open pages hear of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from tornado.iostream import StreamClosedError

from hub_ext.errors import HubExtError, Unavailable

if TYPE_CHECKING:
    from hub_ext.web.base import BaseHandler

KEEP_ALIVE = 8.0  # seconds without an event after which a comment keeps proxies from cutting the stream
CHECK_AGAIN = 30.0  # seconds after which the rights of who listens are looked at again
_FIRST = 0.02  # seconds that a stream gets to refuse its cursor
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
COME_BACK = 1000  # milliseconds after which a browser whose stream broke comes back


class Event(Protocol):
    """What is told; `hub_ext.runs.live.LiveEvent` is one."""

    @property
    def id(self) -> str:
        """Opaque cursor: a stream that starts from it misses nothing."""

    @property
    def type(self) -> str:
        """Name of the event."""

    @property
    def data(self) -> Any:
        """JSON."""


def encode(event: Event) -> str:
    """Return an event as the lines of a stream."""
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {event.id}\n" if event.id else ""
    return f"{head}event: {event.type}\ndata: {data}\n\n"


async def send(
    handler: BaseHandler,
    events: AsyncIterator[Event],
    still_allowed: Callable[[], Awaitable[object]],
) -> None:
    """Send events until they end, the browser goes, the right to see them ends, or the service stops.

    Args:
        handler: Who answers.
        events: What to tell.
        still_allowed: Raises a `HubExtError` when the caller may not hear more.
    """
    coming = asyncio.ensure_future(_next(events))
    done, _ = await asyncio.wait({coming}, timeout=_FIRST)
    if done:
        coming.result()  # a cursor that cannot be is an answer of its own, not the end of a stream
    for name, value in _HEADERS.items():
        handler.set_header(name, value)
    task = asyncio.current_task()
    if task is None or handler.request.method == "HEAD":
        coming.cancel()
        await handler.finish()
        return
    handler.context.streams.add(task)
    handler.gone = task.cancel
    try:
        handler.write(f"retry: {COME_BACK}\n\n")
        await handler.flush()
        await _pump(handler, events, coming, still_allowed)
        handler.write("event: end\ndata: {}\n\n")
    except HubExtError as error:
        handler.write(f"event: end\ndata: {json.dumps({'reason': error.detail})}\n\n")
    except StreamClosedError:
        pass
    except asyncio.CancelledError:
        task.uncancel()  # ours: the browser went, or the service stops
    finally:
        handler.gone = None
    with contextlib.suppress(StreamClosedError):
        await handler.finish()


async def _pump(
    handler: BaseHandler,
    events: AsyncIterator[Event],
    coming: asyncio.Future[Event | None],
    still_allowed: Callable[[], Awaitable[object]],
) -> None:
    checked = time.monotonic()
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=KEEP_ALIVE)
            if time.monotonic() - checked >= CHECK_AGAIN:
                with contextlib.suppress(Unavailable):  # a Hub that is away takes no right from anybody
                    await still_allowed()
                checked = time.monotonic()
            if not done:
                handler.write(": still here\n\n")
            else:
                event = coming.result()
                if event is None:
                    return
                handler.write(encode(event))
                coming = asyncio.ensure_future(_next(events))
            await handler.flush()
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)
