"""What follows from what is seen of a run's Job: it waits, it runs, it has ended, or nobody knows yet."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub_ext.runs.mirror import Mirror
from hub_ext.runtimes import kubernetes
from hub_ext.runtimes.base import Alive, Ended
from hub_ext.runtimes.jobs import Sight
from hub_ext.runtimes.keeper import Keeper, Making, Seen
from hub_ext.runtimes.kubernetes import KubernetesRuntime

JOB: dict[str, Any] = {"kind": "Job", "metadata": {"name": "l-1", "namespace": "hub-ext-ana"}, "spec": {}, "status": {}}
POD: dict[str, Any] = {"kind": "Pod", "metadata": {"name": "l-1-x", "namespace": "hub-ext-ana"}, "status": {}}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Seconds, as the runtime counts them."""
    made = Clock()
    monkeypatch.setattr(kubernetes, "time", SimpleNamespace(monotonic=made))
    return made


@pytest.fixture
def runtime(tmp_path: Path, clock: Clock) -> KubernetesRuntime:
    """A runtime that asks nobody."""
    return KubernetesRuntime(None, None, Mirror(tmp_path), None)  # type: ignore[arg-type]


def seen(*pods: Any, job: Any = JOB, settled: bool = True) -> Seen:
    return Seen(job, pods, current=True, settled=settled)


def judged(runtime: KubernetesRuntime, sight: Sight, found: Seen | None = None, *, begun: bool = False) -> Any:
    return runtime._judge("l-1", found or seen(POD), sight, begun=begun)


def test_what_may_change_by_itself_is_given_time_and_what_cannot_is_not(
    runtime: KubernetesRuntime, clock: Clock
) -> None:
    slow, never = Sight("stuck", "the registry does not answer"), Sight("stuck", "there is no such image", never=True)
    for sight, patience in ((slow, 120.0), (never, 5.0)):
        assert judged(runtime, sight) == Alive(begun=False, waiting=sight.why, spare=900.0)
        clock.at += patience - 1
        assert isinstance(judged(runtime, sight), Alive)
        clock.at += 2
        assert judged(runtime, sight) == Ended(False, None, reason=sight.why, final=True)
        assert isinstance(judged(runtime, sight, seen(POD, settled=False)), Alive)
        judged(runtime, Sight("runs"))  # it is stuck no more
        assert isinstance(judged(runtime, sight), Alive)
        judged(runtime, Sight("runs"))


@pytest.mark.parametrize(
    ("sight", "found", "told"),
    [
        (Sight("waits", "it waits in the queue of the cluster"), seen(), "it waits in the queue of the cluster"),
        (Sight("waits"), seen(POD), "its container is being made; the first time on a machine this takes longer"),
        (Sight("waits"), seen(), "it is being given a machine"),
    ],
)
def test_why_a_run_waits_is_told(runtime: KubernetesRuntime, sight: Sight, found: Seen, told: str) -> None:
    assert judged(runtime, sight, found) == Alive(begun=False, waiting=told, spare=900.0)
    assert judged(runtime, sight, found, begun=True) == Alive(begun=True, waiting="", spare=900.0)


def test_nobody_asks_why_a_job_has_no_pod_before_it_has_had_time_for_one(
    runtime: KubernetesRuntime, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Keeper, "ask_why", lambda _keeper, launch_id, namespace, _tell: asked.append(namespace))
    judged(runtime, Sight("waits"), seen())
    clock.at += 1.9
    judged(runtime, Sight("waits"), seen())
    assert asked == []
    clock.at += 0.2
    judged(runtime, Sight("waits"), seen())
    assert asked == ["hub-ext-ana"]


def test_what_is_not_there_has_ended_only_once_the_watch_has_caught_up(runtime: KubernetesRuntime) -> None:
    sight = Sight("absent", "its Job was deleted from outside")
    assert isinstance(judged(runtime, sight, seen(job=None, settled=False)), Alive)
    found = judged(runtime, sight, seen(job=None))
    assert (found.reason, found.traced, found.final) == ("its Job was deleted from outside", False, False)
    assert judged(runtime, sight, seen(job=None), begun=True).traced


@pytest.mark.parametrize(
    ("sight", "words"),
    [
        (Sight("ended", code=None), "its executor was ended from outside"),
        (Sight("ended", code=0, last="done"), "its executor ended with exit code 0"),
        (
            Sight("ended", code=1, last="no way to the service"),
            "its executor ended with exit code 1 (no way to the service)",
        ),
        (Sight("ended", code=2), "its executor ended with exit code 2"),
    ],
)
def test_an_executor_that_could_not_tell_is_told_by_its_exit_code(
    runtime: KubernetesRuntime, sight: Sight, words: str
) -> None:
    assert judged(runtime, sight, begun=True).words == words


@pytest.mark.parametrize(
    ("making", "current", "found"),
    [
        (Making(), True, Alive(begun=False, waiting="it is being prepared", spare=900.0)),
        (Making(), False, Alive(begun=False, waiting=kubernetes._AWAY, spare=900.0)),
        (Making(waiting="your part of it is being removed"), True, "your part of it is being removed"),
        (
            Making(refused="the cluster refuses it"),
            True,
            Ended(False, None, reason="the cluster refuses it", final=True),
        ),
        (Making(done=True), False, Alive(begun=False, waiting=kubernetes._AWAY, spare=900.0)),
        (None, False, Alive(begun=False, waiting=kubernetes._AWAY, spare=900.0)),
    ],
)
def test_a_job_on_its_way_says_how_far_it_is(
    runtime: KubernetesRuntime, monkeypatch: pytest.MonkeyPatch, making: Making | None, current: bool, found: Any
) -> None:
    monkeypatch.setattr(Keeper, "seen", lambda *_: Seen(None, (), current=current, settled=False))
    monkeypatch.setattr(Keeper, "making", lambda *_: making)
    state = runtime.observe("l-1", {"namespace": "hub-ext-ana", "minutes": 5})
    assert (state.waiting if isinstance(found, str) and isinstance(state, Alive) else state) == found


def test_what_the_executor_told_counts_first(
    runtime: KubernetesRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keeper, "seen", lambda *_: Seen(None, (), current=False, settled=False))
    mirror = Mirror(tmp_path)
    mirror.make("l-1", {"namespace": "hub-ext-ana"})
    mirror.begin("l-1", "a1", repeatable=False)
    mirror.end("l-1", {"state": "succeeded"})
    found = runtime.observe("l-1")
    assert isinstance(found, Ended)
    assert found.outcome is not None
    assert found.outcome["state"] == "succeeded"


def test_what_was_closed_before_it_began_never_will(
    runtime: KubernetesRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keeper, "seen", lambda *_: Seen(JOB, (POD,), current=True, settled=True))
    mirror = Mirror(tmp_path)
    mirror.make("l-1", {"namespace": "hub-ext-ana"})
    mirror.close("l-1")
    assert runtime.observe("l-1") == Ended(begun=False, outcome=None, words="it was taken away")
