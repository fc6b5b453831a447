"""A local server as its spawner sees it: made, never made, found again, ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hub_ext.db.types import new_id
from hub_ext.embedded.processes import Recorded
from hub_ext.errors import Unavailable
from hub_ext.runtimes.identity import marked
from hub_ext.spawner import ended
from hub_ext.spawner.local import LocalSpawner, server_command


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    found = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield found
    found.kill()
    found.wait()


def saved(spawner: LocalSpawner, process: subprocess.Popen[bytes], **changes: Any) -> dict[str, Any]:
    """Return what a Hub that was killed had saved of a running server."""
    recorded = Recorded.of(process.pid)
    assert recorded is not None
    return {
        "pid": recorded.pid,
        "started": recorded.started,
        "port": 12345,
        "start": new_id("s"),
        "hub": str(spawner.hub.api_url),
        "lasts": 3600.0,
        "extensions": 0,
        "limit": "60 minutes",
        "token": None,
    } | changes


async def test_a_server_that_was_never_made_is_not_running_and_may_be_stopped(make_spawner: Any) -> None:
    spawner = make_spawner()
    assert await spawner.poll() == 0
    await spawner.stop()
    await spawner.stop(now=True)
    assert spawner.get_state() == {}


async def test_a_server_is_adopted_with_its_process_port_and_limit(make_spawner: Any, process: Any) -> None:
    spawner = make_spawner()
    state = saved(spawner, process)
    spawner.load_state(state)
    assert await spawner.poll() is None
    assert spawner.get_state() == state
    assert spawner.port == 12345


@pytest.mark.parametrize("changes", [{"started": "another boot:1"}, {"pid": 2**22 - 1}])
async def test_another_process_with_its_id_is_neither_adopted_nor_ended(
    make_spawner: Any, process: subprocess.Popen[bytes], changes: dict[str, Any]
) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process, **changes))
    assert await spawner.poll() == 0
    await spawner.stop()
    assert process.poll() is None
    assert spawner.start_id == ""


async def test_a_server_that_knows_another_hub_is_ended(make_spawner: Any, process: subprocess.Popen[bytes]) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process, hub="http://127.0.0.1:1/hub/api"))
    assert await spawner.poll() == 0
    assert process.wait(5) != 0


async def test_a_server_past_its_time_limit_is_ended(make_spawner: Any, process: subprocess.Popen[bytes]) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process, lasts=0.05))
    await asyncio.sleep(0.2)  # the machine counts a process's age in hundredths of a second
    assert await spawner.poll() == 0
    assert process.wait(5) != 0


async def test_a_server_lasts_for_the_hours_that_it_was_kept_for(make_spawner: Any, process: Any) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process, lasts=0.001, extensions=2))
    spawner.ledger.kept = lambda start_id: 1
    assert await spawner.poll() is None
    assert await spawner.is_overdue(3601.0)
    spawner.ledger.kept = lambda start_id: 0
    assert await spawner.poll() == 0
    assert process.wait(10) != 0


async def test_while_nobody_knows_how_long_it_was_kept_for_it_goes_on_to_its_longest_life(
    make_spawner: Any, process: Any
) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process, lasts=0.001, extensions=2))

    def away(start_id: str) -> int:
        raise Unavailable(start_id)

    spawner.ledger.kept = away
    assert await spawner.poll() is None
    assert await spawner.is_overdue(7201.0)


async def test_a_server_that_our_service_stops_says_why(make_spawner: Any, process: Any) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process))
    spawner.ended_why = "Your access ended."
    await spawner.stop(now=True)
    assert ended.why(spawner.user.name, spawner.name) == "Your access ended."


async def test_a_clock_that_is_set_forward_ends_no_server(
    make_spawner: Any, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process))
    monkeypatch.setattr(time, "time", lambda: 5e9)
    assert await spawner.poll() is None
    assert process.poll() is None


async def test_an_adopted_server_can_be_stopped(make_spawner: Any, process: subprocess.Popen[bytes]) -> None:
    spawner = make_spawner()
    spawner.load_state(saved(spawner, process))
    assert await spawner.poll() is None
    await spawner.stop()
    assert process.wait(5) != 0
    assert await spawner.poll() == 0


def marked_process(start_id: str, script: str) -> subprocess.Popen[bytes]:
    """Start what bears the mark of a start, as a server does."""
    environ = {"HUB_EXT_SERVER_START": start_id, "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(["sh", "-c", script], env=environ, start_new_session=True)


async def test_a_half_made_start_is_found_by_its_mark_and_ended(make_spawner: Any) -> None:
    spawner, start_id = make_spawner(), new_id("s")
    with marked_process(start_id, "exec sleep 60") as process:
        spawner.load_state({"start": start_id})
        assert await spawner.poll() == 0
        assert process.wait(5) != 0


async def test_stopping_ends_also_what_left_the_process_tree(make_spawner: Any) -> None:
    spawner, start_id = make_spawner(), new_id("s")
    with marked_process(start_id, "setsid sleep 61 & sleep 60") as process:
        recorded = Recorded.of(process.pid)
        assert recorded is not None
        spawner.load_state(saved(spawner, process, start=start_id))
        await spawner.stop()
        assert process.wait(5) != 0
    assert marked("HUB_EXT_SERVER_START", start_id) == []


async def test_two_names_never_share_a_home_or_a_log(make_spawner: Any) -> None:
    first, second = make_spawner("ana.b"), make_spawner("ana_b")
    assert first.home_dir != second.home_dir
    assert first.log_path != second.log_path
    assert first.home_dir.startswith(str(first.settings_of_ours.state))


@pytest.mark.parametrize(("python", "quickly"), [(sys.executable, True), ("/opt/own/bin/python", False)])
def test_only_in_our_environment_a_server_is_run_by_what_is_ours(python: str, quickly: bool) -> None:
    command = server_command(python)
    assert command[0] == python
    assert command[-1] == "jupyterhub.singleuser"
    assert ("hub_ext.executor.quickly" in command) is quickly


async def test_the_client_of_a_server_carries_the_suffix_of_its_hub(make_spawner: Any) -> None:
    assert make_spawner("ana", DecidedSpawner={"client_suffix": "-1a2b"}).oauth_client_id == "jupyterhub-user-ana-1a2b"
