"""What open pages hear of: the events of a run as they are written, and changes as they are sealed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import Change, Run
from hub_ext.errors import InvalidInput, NotFound
from hub_ext.executor.folder import parse_event
from hub_ext.runs.results import keys
from hub_ext.runs.states import ENDED, STATES, summary
from hub_ext.runtimes.base import Runtime
from hub_ext.sealer import Sealer
from hub_ext.store import Store

_POLL = 0.05  # seconds between two looks at the file of events
_LOOK = 1.0  # seconds between two looks at the row, when no change of it was sealed
_PIECE = 256 * 1024
_BATCH = 500
_CURSOR = re.compile(rf"(\d{{1,15}})-({'|'.join(STATES)}|none)")


@dataclass(frozen=True)
class LiveEvent:
    """Something that an open page is told.

    Attributes:
        id: Opaque cursor; a stream that begins from it goes on after this event. Empty: begin where it was begun.
        type: ``state`` or the type of an executor's event; the topic's kind for changes.
        data: JSON.
    """

    id: str
    type: str
    data: dict[str, Any]


class Live:
    """Events of runs, and changes.

    Args:
        database: The database.
        store: Where the events of runs that have ended are.
        runtime: Where those of runs that have not are.
        sealer: Wakes us when a change is sealed.
    """

    def __init__(self, database: Database, store: Store, runtime: Runtime, sealer: Sealer) -> None:
        self._database = database
        self._store = store
        self._runtime = runtime
        self._sealer = sealer

    async def follow(self, run_id: str, cursor: str | None = None) -> AsyncIterator[LiveEvent]:
        """Yield the events of a run and the changes of its state, until its end state was told.

        Args:
            run_id: The run. That the caller may see it has been checked.
            cursor: Id of the last event that was seen; None for all.

        Raises:
            InvalidInput: If the cursor is none of ours.
            NotFound: If there is no such run.
        """
        offset, told = _read_cursor(cursor)
        looked, seen, said = 0.0, -1, ""
        state: dict[str, Any] = {}
        launch_id: str | None = None
        while True:
            if time.monotonic() - looked >= _LOOK or self._sealer.newest != seen:
                looked, seen = time.monotonic(), self._sealer.newest
                state, launch_id = await asyncio.to_thread(self._state, run_id)
            ended = state["state"] in ENDED
            before = offset
            if ended or self._size(launch_id) > offset:
                source = self._stored(run_id, offset) if ended else self._written(launch_id, offset)
                while batch := await asyncio.to_thread(_some, source):
                    for offset, event in batch:
                        yield LiveEvent(f"{offset}-{told}", event.pop("type"), event)
            if state["state"] != told or (not ended and state["reason"] != said):
                told, said = state["state"], state["reason"]
                yield LiveEvent(f"{offset}-{told}", "state", state)
            if ended:
                return
            if offset == before:
                await asyncio.sleep(_POLL)

    def _state(self, run_id: str) -> tuple[dict[str, Any], str | None]:
        with self._database.read() as session:
            run = session.get(Run, run_id)
        if run is None:
            raise NotFound("There is no such run.")
        return summary(run), run.launch_id

    def _size(self, launch_id: str | None) -> int:
        """Return how much there is to read; it is asked often, and costs nothing beside a thread."""
        try:
            return self._runtime.folder(launch_id).events.stat().st_size if launch_id else 0
        except OSError:
            return 0

    def _written(self, launch_id: str | None, offset: int) -> Iterator[tuple[int, dict[str, Any]]]:
        return self._runtime.folder(launch_id).read_events(offset) if launch_id else iter(())

    def _stored(self, run_id: str, offset: int) -> Iterator[tuple[int, dict[str, Any]]]:
        rest = b""
        try:
            for chunk in self._store.chunks(f"{keys(run_id)}/events.jsonl", offset):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    offset += len(line) + 1
                    event = parse_event(line)
                    if event is not None:
                        yield offset, event
        except NotFound:
            return  # it ended before it began

    async def changes(self, topics: Collection[str], cursor: str | None = None) -> AsyncIterator[LiveEvent]:
        """Yield sealed changes of some topics, without an end.

        Args:
            topics: ``run:<id>``, ``runs:<user>``, ``workflows``. That the caller may hear of them has been checked.
            cursor: Id of the last event that was seen; None for those from now on.

        Raises:
            InvalidInput: If the cursor is none of ours.
        """
        sequence = await asyncio.to_thread(self._newest) if cursor is None else _read_sequence(cursor)
        while True:
            known = self._sealer.newest
            rows = await asyncio.to_thread(self._changes, set(topics), sequence)
            for row in rows:
                sequence = row.sequence or sequence
                yield LiveEvent(str(sequence), row.topic.partition(":")[0], {"topic": row.topic, **row.payload})
            if len(rows) < _BATCH:
                await self._sealer.after(max(sequence, known), topics)

    def _newest(self) -> int:
        with self._database.read() as session:
            query = select(Change.sequence).where(Change.sequence.is_not(None)).order_by(Change.sequence.desc())
            return session.scalar(query.limit(1)) or 0

    def _changes(self, topics: set[str], sequence: int) -> list[Change]:
        query = select(Change).where(Change.sequence > sequence, Change.topic.in_(topics))
        with self._database.read() as session:
            return list(session.scalars(query.order_by(Change.sequence).limit(_BATCH)))


def _some(source: Iterator[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the next events, about as many as fit a quarter of a megabyte."""
    found: list[tuple[int, dict[str, Any]]] = []
    first: int | None = None
    for offset, event in source:
        first = offset if first is None else first
        found.append((offset, event))
        if offset - first > _PIECE:
            break
    return found


def _read_cursor(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return 0, "none"
    match = _CURSOR.fullmatch(cursor)
    if not match:
        raise InvalidInput.of("cursor", "is not one that this stream gave; leave it out to begin at the beginning")
    return int(match[1]), match[2]


def _read_sequence(cursor: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", cursor):
        raise InvalidInput.of("cursor", "is not one that this stream gave; leave it out to begin from now on")
    return int(cursor)
