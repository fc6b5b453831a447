"""How often the tests ask whether something is there yet."""

from __future__ import annotations

import pytest

from tests import timing
from tests.timing import Pauses


class Clock:
    """A clock that only sleep, and what takes time, moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


def asked(clock: Clock, takes: float, until: float) -> list[float]:
    """Ask until a while has passed, where an answer takes its time; return the pauses."""
    pause, end = Pauses(), clock.now + until
    while clock.now < end:
        clock.now += takes
        pause()
    return clock.slept


def test_what_comes_soon_is_seen_at_once_and_later_a_look_costs_little(clock: Clock) -> None:
    pauses = asked(clock, 0.0, 20)
    assert pauses[:15] == [0.05] * 15
    assert pauses == sorted(pauses)
    assert pauses[-1] == 0.25
    assert len(pauses) < 140  # in place of 400


def test_who_takes_long_to_answer_is_not_asked_all_the_time(clock: Clock) -> None:
    assert asked(clock, 0.2, 2)[0] == 0.2
    clock.slept.clear()
    assert set(asked(clock, 3.0, 10)) == {0.5}


def test_an_answer_that_took_long_once_does_not_count_again(clock: Clock) -> None:
    pause = Pauses()
    clock.now += 0.4
    pause()
    clock.now += 0.01
    pause()
    assert clock.slept == [0.4, 0.05]
