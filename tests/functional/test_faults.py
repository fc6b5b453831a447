"""Whatever is killed at whatever moment: every run reaches its true state in time, none runs twice, nothing is left."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.functional.faults import API, World, alive, gone, kill, processes_of, until

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

SEED = 20261
KILLS = 7
ONCE = ["begun", "done"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform that the tests of this module share; it ends two runs at once."""
    world = World(tmp_path_factory.mktemp("faults"), HUB_EXT_RUNS_AT_ONCE="2")
    try:
        world.up()
        answer = world.publish()
        assert answer.status_code == 201, answer.text
        yield world
    finally:
        world.close()


@pytest.fixture
def world(kept: World) -> Iterator[World]:
    """The platform, up at the start of each test; at its end nothing of its runs is left and the record is intact."""
    kept.up()
    yield kept
    kept.healthy()
    kept.nothing_of_runs()
    kept.audit_is_intact()


def finish(world: World, *names: str) -> None:
    """Let runs go on that wait at their gates."""
    for name in names:
        world.gate(name).touch()


# -- the service -------------------------------------------------------------------------------------------------------


def moments(world: World) -> list[Callable[[], bool]]:
    """Return what a kill can wait for: a launch that appears, a run that begins, one that is done."""

    def grows(count: Callable[[], int]) -> Callable[[], bool]:
        before = count()
        return lambda: count() != before

    return [
        grows(lambda: hash(tuple(sorted(path.name for path in (world.state / "launches").iterdir())))),
        grows(lambda: world.tally.read_text().count("begun")),
        grows(lambda: world.tally.read_text().count("done")),
    ]


def test_a_service_killed_at_any_moment_loses_no_run_and_repeats_none(world: World) -> None:
    chance = random.Random(SEED)
    runs = {name: world.order(name, seconds=chance.random()) for name in ("first", "second", "third")}
    asked: list[threading.Thread] = []
    for number in range(KILLS):
        happens = moments(world)[number % 3]
        runs[f"queue-{number}"] = world.order(f"queue-{number}", seconds=chance.random())
        until(happens, what=lambda: (world.states(runs.values()), world.tally.read_text()))
        name = f"cut-{number}"  # an order that the kill may cut, and that is then sent again
        asked.append(threading.Thread(target=lambda name=name: runs.update({name: world.order(name)})))
        asked[-1].start()
        time.sleep(chance.random() * 0.4)
        kill(world.worker())
        since = world.healthy()
        done = [run_id for name, run_id in dict(runs).items() if world.told(name) == ONCE]
        world.true_after(since, dict.fromkeys(done, "succeeded"))
    for thread in asked:
        thread.join(90)
    assert len(set(runs.values())) == 3 + 2 * KILLS
    for name, run_id in runs.items():
        run = world.until_state(run_id, "succeeded", "failed", "lost")
        assert (run["state"], run["reason"], world.told(name)) == ("succeeded", "", ONCE)
        for part in ("report", "notebook"):
            assert world.ask("GET", f"{API}/runs/{run_id}/{part}").status_code == 200
    listed = world.ask("GET", f"{API}/workflows/amy/work/runs", params={"limit": 100}).json()["items"]
    assert sorted(item["id"] for item in listed) == sorted(runs.values())


def test_an_executor_that_boots_while_its_service_is_killed_is_adopted(world: World) -> None:
    """It has the word to go, but not yet its lock, so that all that tells of it is the process that was committed."""
    for number in range(20):
        name = f"booting-{number}"
        run_id, executor = caught_while_booting(world, name)
        if executor is not None:
            break
        world.until_state(run_id, "succeeded")
    assert executor is not None, "no executor was seen before it took its lock"
    until(lambda: world.column("process", run_id).count("pid"))
    time.sleep(0.5)  # the word to go follows at once
    launch = world.column("launch_id", run_id)
    kill(world.worker())
    world.healthy()
    until(lambda: world.holds(world.worker(), "reconciler"), 30)
    executor.send_signal(signal.SIGCONT)
    assert world.until_state(run_id, "succeeded")["reason"] == ""
    assert (world.told(name), world.column("launch_id", run_id)) == (ONCE, launch)


def caught_while_booting(world: World, name: str) -> tuple[str, psutil.Process | None]:
    """Order a run; return it, and its executor, stopped before it took its lock; None if that came too late."""
    launches = str(world.state / "launches").encode()
    ordered, before = threading.Event(), set(psutil.pids())
    with ThreadPoolExecutor(1) as looking:
        seen = looking.submit(stop_the_first, launches, before, ordered)
        try:
            run_id = world.order(name)
        finally:
            ordered.set()
        executor = seen.result()
    if executor is None or not (world.state / "launches" / world.column("launch_id", run_id) / "lock").exists():
        return run_id, executor
    executor.send_signal(signal.SIGCONT)
    return run_id, None


def stop_the_first(launches: bytes, before: set[int], ordered: threading.Event) -> psutil.Process | None:
    """Stop the first executor that there is; its boot takes less time than a look at all processes would.

    Args:
        launches: Folder of all launches.
        before: Processes that are no news.
        ordered: Set once its run was ordered: half a minute later there is none any more.
    """
    until_then = None
    while until_then is None or time.monotonic() < until_then:
        until_then = until_then or (time.monotonic() + 30 if ordered.is_set() else None)
        for pid in set(psutil.pids()) - before:
            with contextlib.suppress(OSError, psutil.NoSuchProcess):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if launches in command and b"--go" in command:
                    found = psutil.Process(pid)
                    found.send_signal(signal.SIGSTOP)
                    return found
        time.sleep(0.001)
    return None


def test_the_supervisor_and_the_service_killed_together_come_back(world: World) -> None:
    run_id, waiting = world.begun("supervised"), world.order("waiting", waits=True)
    supervisor = world.platform.recorded("service")
    kill(supervisor, world.worker())
    since = world.healthy(60)
    world.true_after(since, {run_id: "running"})
    finish(world, "supervised", "waiting")
    for name, one in (("supervised", run_id), ("waiting", waiting)):
        assert world.until_state(one, "succeeded")
        assert world.told(name) == ONCE


# -- a run -------------------------------------------------------------------------------------------------------------


def test_a_killed_executor_or_kernel_is_a_failed_run_with_its_reason(world: World) -> None:
    first, second = world.begun("no-executor"), world.begun("no-kernel")
    kill(world.of_run(first)["executor"])
    kill(world.of_run(second)["kernel"])
    found = [world.until_state(run_id, "failed", seconds=20) for run_id in (first, second)]
    assert found[0]["reason"] == "the executor was ended by signal 9 before the run had ended"
    assert found[1]["reason"] == "the kernel was ended by signal 9 (SIGKILL) in cell 2 of 2"
    assert [world.told(name) for name in ("no-executor", "no-kernel")] == [["begun"], ["begun"]]


# -- the Hub, and everything -------------------------------------------------------------------------------------------


def with_kernel(world: World, user: str = "amy") -> str:
    """Return the address of a kernel in the user's server that holds a value; the server is started where none is."""
    if not world.server(user).get("ready"):
        world.start_server(user)
        world.server_ready(user)
    kernel = world.new_kernel(user)
    assert world.execute(user, kernel, "kept = 6 * 7; print(kept)") == "42\n"
    return kernel


def is_adopted(world: World, kernel: str, user: str = "amy") -> bool:
    """Return whether a kernel of before still knows its value, once the server is shown as ready."""
    until(lambda: world.server(user).get("ready"), 20, lambda: world.server(user))
    return world.execute(user, kernel, "print(kept)") == "42\n"


def test_a_killed_hub_comes_back_and_finds_servers_and_runs(world: World) -> None:
    run_id, kernel, parts = world.begun("hub-killed"), with_kernel(world), world.parts()
    kill(world.platform.hub())
    gone(parts[2:])
    world.true_after(world.healthy(), {run_id: "running"})
    assert is_adopted(world, kernel)
    finish(world, "hub-killed")
    world.until_state(run_id, "succeeded")
    assert world.told("hub-killed") == ONCE
    assert alive(parts[0])


def test_a_killed_proxy_comes_back_with_its_routes(world: World) -> None:
    run_id, kernel, parts = world.begun("proxy-killed"), with_kernel(world), world.parts()
    kill(world.platform.recorded("proxy"))
    world.true_after(world.healthy(30), {run_id: "running"})
    assert is_adopted(world, kernel)
    finish(world, "proxy-killed")
    assert world.until_state(run_id, "succeeded")
    assert [alive(part) for part in parts] == [True, True, False, True, True]


def test_a_platform_killed_as_a_whole_adopts_what_goes_on(world: World) -> None:
    goes_on, ends = world.begun("goes-on"), world.begun("ends-meanwhile")
    waiting, kernel = world.order("waits-for-both"), with_kernel(world)
    launches = [world.column("launch_id", run_id) for run_id in (goes_on, ends)]
    kill(*world.parts())
    finish(world, "ends-meanwhile")
    until(lambda: world.told("ends-meanwhile") == ONCE)
    until(lambda: (world.state / "launches" / launches[1] / "outcome.json").exists())
    world.up_again()
    world.true_after(world.healthy(), {goes_on: "running", ends: "succeeded"})
    assert is_adopted(world, kernel)
    finish(world, "goes-on")
    for name, run_id in (("goes-on", goes_on), ("waits-for-both", waiting), ("ends-meanwhile", ends)):
        assert world.until_state(run_id, "succeeded")["reason"] == ""
        assert world.told(name) == ONCE
    assert [world.column("launch_id", run_id) for run_id in (goes_on, ends)] == launches


def test_everything_killed_at_once_is_told_truly(world: World) -> None:
    """As after a power cut: what ran has failed, what waited runs, no server is shown that is not there.

    It came back with a clock that is a day behind.
    """
    cut = [world.begun("cut-off"), world.begun("cut-off-too")]
    waiting = world.order("waits")
    with_kernel(world)
    kill(*processes_of(world.state), *world.parts())
    assert not processes_of(world.state)
    world.set_clock_back()
    world.up_again()
    world.true_after(world.healthy(), dict.fromkeys(cut, "failed"))
    for run_id, name in zip(cut, ("cut-off", "cut-off-too"), strict=True):
        assert world.run(run_id)["reason"] == "the executor was ended from outside before the run had ended"
        assert world.told(name) == ["begun"]
    assert world.until_state(waiting, "succeeded")
    assert world.told("waits") == ONCE
    assert world.server("amy") == {}
