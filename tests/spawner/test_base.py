"""The start of a server: decided last, refused in words, and nothing kept of what was refused."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from jupyterhub.spawner import SpawnException
from sqlalchemy import select

from hub_ext.catalog.models import Profile, Spec
from hub_ext.db.tables import ServerStart
from hub_ext.db.types import new_id
from hub_ext.errors import Unavailable
from hub_ext.spawner.base import StartFailed
from hub_ext.spawner.ledger import Asked
from hub_ext.spawner.local import LocalSpawner

GOOD = {"profile": "standard", "options": {"memory": "8Gi"}}


async def start(spawner: LocalSpawner, options: Any) -> str:
    """Start as JupyterHub does: the options are stored first."""
    spawner.orm_spawner.user_options = options
    spawner.user_options = options or {}
    return await spawner.start()


def outcomes(spawner: LocalSpawner) -> list[tuple[str, str]]:
    with spawner.ledger.database.read() as session:
        return [(one.outcome, one.reason) for one in session.scalars(select(ServerStart).order_by(ServerStart.id))]


async def settled(spawner: LocalSpawner, count: int) -> list[tuple[str, str]]:
    """Return the outcomes once so many starts have one; they are written in a thread."""
    async with asyncio.timeout(10):
        while True:
            found = await asyncio.to_thread(outcomes, spawner)
            if len(found) == count and all(outcome != "starting" for outcome, _ in found):
                return found
            await asyncio.sleep(0.01)


class Launched(LocalSpawner):
    """A spawner whose launch is the test's; what is around it is what is tested."""

    result: Any = "http://127.0.0.1:1"
    withdrawn = 0
    begun: asyncio.Event

    async def launch(self, profile: Profile, spec: Spec) -> str:
        self.launched = (profile.name, spec)
        self.begun.set()
        if isinstance(self.result, BaseException):
            raise self.result
        if self.result is None:
            await asyncio.sleep(60)
        return str(self.result)

    async def withdraw(self) -> None:
        self.withdrawn += 1


@pytest.fixture
def spawner(make_spawner: Any) -> Launched:
    made = make_spawner()
    made.__class__ = Launched
    made.begun = asyncio.Event()
    return made  # type: ignore[no-any-return]


async def test_what_is_launched_is_what_was_decided(spawner: Launched) -> None:
    assert await start(spawner, GOOD) == "http://127.0.0.1:1"
    name, spec = spawner.launched
    assert (name, spec.resources.memory.limit) == ("standard", "8Gi")
    assert await settled(spawner, 1) == [("ready", "")]


@pytest.mark.parametrize("options", [{}, None, {"profile": "machine-learning"}, {"profile": "standard", "cmd": "x"}])
async def test_a_denial_is_403_and_brings_back_what_was_allowed_last(spawner: Launched, options: Any) -> None:
    await start(spawner, GOOD)
    with pytest.raises(SpawnException) as caught:
        await start(spawner, options)
    assert caught.value.status_code == 403
    assert caught.value.jupyterhub_message == caught.value.message
    assert caught.value.problems
    assert spawner.orm_spawner.user_options == {**GOOD, "version": None}
    assert spawner.withdrawn == 0
    assert await spawner.poll() == 0


async def test_a_denial_without_a_start_before_leaves_no_options(spawner: Launched) -> None:
    with pytest.raises(SpawnException):
        await start(spawner, {"profile": "machine-learning"})
    assert spawner.orm_spawner.user_options is None


async def test_a_decision_that_takes_too_long_starts_nothing(
    spawner: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_session: object, _asked: Asked, _around: object) -> None:
        time.sleep(0.5)

    monkeypatch.setattr(spawner.ledger, "_open", slow)
    spawner.settings_of_ours.decision_timeout = 0.1
    with pytest.raises(SpawnException, match=r"within 0\.1 seconds") as caught:
        await start(spawner, GOOD)
    assert caught.value.status_code == 503


async def test_who_waits_behind_others_waits_while_those_are_decided_in_time(
    spawner: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = spawner.ledger._open

    def slow(*all_of_it: Any) -> Any:
        time.sleep(1.0)
        return decide(*all_of_it)

    monkeypatch.setattr(spawner.ledger, "_open", slow)
    monkeypatch.setattr(spawner.ledger.opening, "_most", 1)
    spawner.settings_of_ours.decision_timeout = 3.0
    names = [f"other-{number}" for number in range(4)]
    others = [spawner.ledger.opening.ask(Asked(new_id("s"), name, name, "", GOOD, ("analysts",))) for name in names]
    began = time.monotonic()
    assert await start(spawner, GOOD) == "http://127.0.0.1:1"
    assert time.monotonic() - began > 3.0
    assert all(decision.allowed for decision in await asyncio.gather(*others))


async def test_what_is_decided_while_the_loop_is_busy_is_decided_in_time(
    spawner: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where hundreds start at once, one turn of the Hub's loop may be longer than a decision may take."""
    spawner.settings_of_ours.decision_timeout = 0.2
    decided = threading.Event()
    open_all = spawner.ledger.open_all

    def slowly(many: Any) -> Any:
        time.sleep(0.1)  # until the loop is in its long turn
        found = open_all(many)
        decided.set()
        return found

    monkeypatch.setattr(spawner.ledger.opening, "_call", slowly)
    starting = asyncio.create_task(start(spawner, GOOD))
    while not spawner.ledger.opening._busy:  # it has asked
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    decided.wait(10)
    time.sleep(0.3)  # noqa: ASYNC251  # the long turn
    assert await starting == "http://127.0.0.1:1"


async def test_a_database_that_is_away_starts_nothing(spawner: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_session: object, _asked: Asked, _around: object) -> None:
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(spawner.ledger, "_open", away)
    with pytest.raises(SpawnException, match="does not answer") as caught:
        await start(spawner, GOOD)
    assert caught.value.status_code == 503


async def test_a_start_that_fails_says_what_and_what_to_do_and_is_withdrawn(spawner: Launched) -> None:
    spawner.result = StartFailed("The notebook server ended by itself.", "Try again.")
    with pytest.raises(SpawnException) as caught:
        await start(spawner, GOOD)
    assert caught.value.message == "The notebook server ended by itself. Try again."
    assert spawner.withdrawn == 1
    assert await settled(spawner, 1) == [("failed", "The notebook server ended by itself.")]


async def test_an_unexpected_error_is_withdrawn_and_goes_on(spawner: Launched) -> None:
    spawner.result = ZeroDivisionError("of ours")
    with pytest.raises(ZeroDivisionError):
        await start(spawner, GOOD)
    assert spawner.withdrawn == 1
    assert (await settled(spawner, 1))[0][0] == "failed"


@pytest.mark.parametrize(
    ("ended_by", "words"), [("ana", "Cancelled by you"), ("admin", "Cancelled by admin"), ("", "Cancelled")]
)
async def test_a_cancelled_start_is_withdrawn_told_and_written_down(
    spawner: Launched, ended_by: str, words: str
) -> None:
    spawner.result = None
    task = asyncio.create_task(start(spawner, GOOD))
    await spawner.begun.wait()
    spawner.ended_by = ended_by
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spawner.withdrawn == 1
    assert spawner.progress_of_start.events[-1]["message"] == words
    assert not spawner.ready
    assert await settled(spawner, 1) == [("cancelled", f"{words}.")]


async def test_a_link_starts_nothing(spawner: Launched) -> None:
    with pytest.raises(SpawnException, match="A link cannot start a server"):
        spawner.options_from_query({"profile": ["standard"]})


async def test_settings_that_came_on_the_command_line_are_refused_at_the_start(make_spawner: Any) -> None:
    spawner = make_spawner(Spawner={"environment": {"LD_PRELOAD": "x"}})
    with pytest.raises(SpawnException, match=r"c\.Spawner\.environment") as caught:
        await start(spawner, GOOD)
    assert caught.value.status_code == 503


async def test_hooks_and_overrides_are_void_whatever_is_configured(make_spawner: Any) -> None:
    overrides = {"x": {"groups": ["analysts"], "spawner_override": {"mem_limit": "64G"}}}
    spawner = make_spawner(Spawner={"group_overrides": overrides, "pre_spawn_hook": lambda one: 1 / 0})
    await spawner.apply_group_overrides()
    assert spawner.run_pre_spawn_hook() is None
    assert spawner.mem_limit is None
