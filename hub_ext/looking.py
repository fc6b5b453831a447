"""What the service does again and again beside its requests: looked at in a thread, by lease, and tried again."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import ClassVar

from sqlalchemy.exc import SQLAlchemyError

from hub_ext.errors import HubExtError
from hub_ext.leases import OwnLease

log = logging.getLogger(__name__)


class Alarm:
    """Lets a coroutine wait for a while or until it is rung; cheaper than `wait_for`, which makes a task each time."""

    def __init__(self) -> None:
        self._rung = False
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """End the wait that is, or that comes next; called on the loop."""
        self._rung = True
        self._let_go()

    def reset(self) -> None:
        """Forget that it was rung."""
        self._rung = False

    async def wait(self, seconds: float) -> None:
        """Wait until it is rung, or for so many seconds."""
        if self._rung:
            return
        loop = asyncio.get_running_loop()
        self._waiting, timer = loop.create_future(), loop.call_later(seconds, self._let_go)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _let_go(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Looking:
    """Base of what looks again and again until it is told to stop.

    Attributes:
        job: What it does, for the log.

    Args:
        lease: What it acts under; given back at the end.
        pause: Seconds between two looks.
        patient: Whether the end waits for the present look; not where that may wait for somebody else's machine.
    """

    job: ClassVar[str]

    def __init__(self, lease: OwnLease, pause: float, *, patient: bool = True) -> None:
        self.lease = lease
        self._pause = pause
        self._patient = patient
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._alarm = Alarm()

    def look(self) -> None:
        """Look once, in a thread.

        Raises:
            HubExtError: What is logged, and tried again.
        """
        raise NotImplementedError

    def is_due(self) -> bool:
        """Return whether there may be something to see; asked on the loop before each look, so it waits for nobody."""
        return True

    async def looked(self) -> None:
        """Go on after a look, on the loop."""

    async def run(self) -> None:
        """Look until `stop`. An error of ours or of the database is logged, and tried again."""
        self._loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            self._alarm.reset()
            if self.is_due():
                await self._once()
            await self._alarm.wait(self._pause)
        try:
            await asyncio.to_thread(self.lease.release)
        except (HubExtError, SQLAlchemyError):
            log.warning("the lease of %s could not be given back; it ends by itself", self.job)

    async def _once(self) -> None:
        try:
            await (asyncio.to_thread(self.look) if self._patient else self._aside())
        except (HubExtError, SQLAlchemyError) as error:
            trace = error if isinstance(error, SQLAlchemyError) else error.__cause__
            log.warning("%s failed (%s); it is tried again", self.job, type(error).__name__, exc_info=trace)
        await self.looked()

    async def _aside(self) -> None:
        """Look in a thread of its own, which nobody waits for at the end."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def tell(error: Exception | None) -> None:
            if not done.done():
                done.set_result(error)

        def work() -> None:
            error: Exception | None = None
            try:
                self.look()
            except Exception as wrong:  # noqa: BLE001  # raised again, on the loop
                error = wrong
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell, error)

        threading.Thread(target=work, name=self.job, daemon=True).start()
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({done, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if done.done() and (error := done.result()) is not None:
            raise error
        done.cancel()

    def wake(self) -> None:
        """Look again at once; may be called in any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._alarm.ring)

    async def stop(self) -> None:
        """End after the present look, or without it."""
        self._stopping.set()
        self._alarm.ring()
