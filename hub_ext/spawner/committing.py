"""Commits of the Hub's one session, made once for all who ask in the same turn of the loop: each is dear."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

_coming: WeakKeyDictionary[Any, asyncio.Future[None]] = WeakKeyDictionary()  # session → the commit that is next


async def commit(session: Any) -> None:
    """Commit what was changed before this call, together with what others change in this turn of the loop.

    Args:
        session: The session; what its commit raises, each who asked gets.
    """
    loop = asyncio.get_running_loop()
    coming = _coming.get(session)
    if coming is None or coming.get_loop() is not loop:  # a loop may end before its next turn
        coming = _coming[session] = loop.create_future()
        loop.call_soon(_commit, session, coming)
    await asyncio.shield(coming)


def _commit(session: Any, coming: asyncio.Future[None]) -> None:
    del _coming[session]  # what is changed from now on is not in it
    try:
        session.commit()
    except Exception as error:  # noqa: BLE001  # whoever asked is told
        coming.set_exception(error)
    else:
        coming.set_result(None)
