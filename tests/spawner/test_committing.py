"""What many save at one moment is committed once, and by then it is there for each of them."""

from __future__ import annotations

import asyncio

import pytest

from hub_ext.spawner.committing import commit


class Session:
    """Counts commits, and keeps what was changed by then."""

    def __init__(self) -> None:
        self.changed: list[int] = []
        self.commits: list[list[int]] = []
        self.broken = False

    def commit(self) -> None:
        if self.broken:
            raise OSError
        self.commits.append(list(self.changed))


async def save(session: Session, number: int) -> None:
    session.changed.append(number)
    await commit(session)
    assert number in session.commits[-1]


async def test_those_of_one_moment_are_committed_once() -> None:
    session = Session()
    await asyncio.gather(*(save(session, number) for number in range(20)))
    assert session.commits == [list(range(20))]


async def test_who_comes_later_is_committed_later() -> None:
    session = Session()
    await save(session, 1)
    await save(session, 2)
    assert session.commits == [[1], [1, 2]]


async def test_each_hears_that_it_could_not_be_and_the_next_is_tried_again() -> None:
    session = Session()
    session.broken = True
    found = await asyncio.gather(*(save(session, number) for number in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [OSError] * 3
    session.broken = False
    await save(session, 4)
    assert session.commits == [[0, 1, 2, 4]]


async def test_who_is_cancelled_takes_nobody_elses_commit_with_her() -> None:
    session = Session()
    tasks = [asyncio.create_task(save(session, number)) for number in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await tasks[1]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert session.commits == [[0, 1]]


def test_a_loop_that_ended_before_leaves_nothing_that_is_waited_for() -> None:
    session = Session()

    async def begin() -> None:
        asyncio.create_task(commit(session))  # noqa: RUF006  # it ends with the loop

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    asyncio.run(asyncio.wait_for(save(session, 1), 5))
    assert session.commits[-1] == [1]
