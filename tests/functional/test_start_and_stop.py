"""Ctrl-C stops everything, the next start finds everything; a folder nobody can write; two platforms side by side."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.functional.conftest import Platform
from tests.functional.faults import API, PATIENCE, World, processes_of, refused, sign_in, until

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform that the tests of this module share; it runs two at once."""
    world = World(tmp_path_factory.mktemp("stops"), HUB_EXT_RUNS_AT_ONCE="2")
    world.platform.password = "another password altogether"  # than that of the platform beside it
    try:
        world.up()
        assert world.publish().status_code == 201
        yield world
    finally:
        world.close()


@pytest.fixture
def world(kept: World) -> World:
    """The platform, up at the start of each test."""
    kept.up()
    return kept


# -- stopping ----------------------------------------------------------------------------------------------------------


def cancelled(world: World, runs: list[str]) -> None:
    """Check that runs were cancelled by the end of the platform."""
    world.true_after(world.healthy(), dict.fromkeys(runs, "cancelled"))
    assert {world.run(run_id)["reason"] for run_id in runs} == {"the platform was stopped"}


def history(world: World) -> dict[str, str]:
    """Return the runs that there are, and the state of each."""
    items = world.ask("GET", f"{API}/runs", params={"limit": 100}).json()["items"]
    return {item["id"]: item["state"] for item in items}


def gallery(world: World) -> set[tuple[str, str, int]]:
    """Return the workflows that there are, and the version of each."""
    items = world.ask("GET", f"{API}/workflows", params={"limit": 100}).json()["items"]
    return {(item["owner"], item["name"], item["version"]) for item in items}


def test_ctrl_c_stops_everything_and_the_next_start_finds_everything(world: World) -> None:
    done = world.order("done-before")
    world.until_state(done, "succeeded")
    world.start_server("amy")
    world.server_ready("amy")
    running, waiting = [world.begun("stopped"), world.begun("stopped-too")], world.order("after-the-stop")
    before = history(world)
    shown = gallery(world)
    assert world.platform.stop() == 0
    world.nothing_runs()
    assert world.platform.said().rstrip().endswith("Stopped.")
    assert not list((world.state / "launches").iterdir())
    assert [path.name for path in (world.state / "secrets").iterdir()] == [waiting]
    for record in ("service-port.json", "hub.json", "proxy.json"):
        (world.state / "run" / record).write_text("")  # as a power cut leaves it
    world.up()
    cancelled(world, running)
    assert world.until_state(waiting, "succeeded")
    assert {name: world.told(name) for name in ("done-before", "stopped", "stopped-too", "after-the-stop")} == {
        "done-before": ["begun", "done"],
        "stopped": ["begun"],
        "stopped-too": ["begun"],
        "after-the-stop": ["begun", "done"],
    }
    assert history(world) == before | dict.fromkeys(running, "cancelled") | {waiting: "succeeded"}
    assert gallery(world) == shown
    assert world.server("amy") == {}
    with contextlib.closing(world.platform.login("amy")) as browser:
        assert "amy" in browser.get("/services/workflows/").text
    world.nothing_of_runs()
    world.audit_is_intact()


def test_ctrl_c_twice_ends_at_once_and_what_ran_is_told_truly(world: World) -> None:
    world.start_server("amy")
    world.server_ready("amy")
    running = [world.begun("twice"), world.begun("twice-too")]
    process = world.platform.process
    assert process is not None
    said = world.platform.said().count("Ctrl-C again")
    process.send_signal(signal.SIGINT)
    until(lambda: world.platform.said().count("Ctrl-C again") > said)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    world.nothing_runs()
    assert "Traceback" not in world.platform.said()
    world.up()
    cancelled(world, running)
    assert world.server("amy") == {}
    assert [world.told(name) for name in ("twice", "twice-too")] == [["begun"], ["begun"]]
    world.nothing_of_runs()
    world.audit_is_intact()


@pytest.mark.parametrize("part", ["hub", "proxy", "service"])
def test_sigterm_while_it_starts_leaves_nothing(tmp_path: Path, part: str) -> None:
    started = World(tmp_path)
    try:
        started.platform.launch()
        until(lambda: (started.state / "run" / f"{part}.json").exists())
        assert started.platform.stop(signal.SIGTERM) == 0
        until(lambda: not processes_of(started.state), 30, lambda: processes_of(started.state))
        assert "Traceback" not in started.platform.said()
    finally:
        started.close()


# -- not starting ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[Path]:
    """Make a folder that nobody can write, root included."""
    path.mkdir()
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", path], check=True)
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("below", [".", "new/state"], ids=["itself", "its parent"])
def test_a_state_folder_that_cannot_be_written_is_refused(tmp_path: Path, below: str) -> None:
    with read_only(tmp_path / "fixed") as path:
        said = refused(path / below)
        assert f"The state folder {(path / below).resolve()} cannot be written: Read-only file system." in said
        assert not list(path.iterdir())


# -- two platforms -----------------------------------------------------------------------------------------------------


def is_signed_in(browser: httpx.Client, platform: Platform, user: str) -> bool:
    """Return whether a page of the sharing service and one of the Hub greet the user."""
    pages = [browser.get(platform.url + path) for path in ("/services/workflows/", "/hub/spawn")]
    return all(page.status_code == 200 and "/hub/login" not in str(page.url) and user in page.text for page in pages)


def test_two_platforms_on_one_machine_do_not_meet_in_one_browser(world: World, platform: Platform) -> None:
    browser = httpx.Client(trust_env=False, follow_redirects=True, timeout=PATIENCE)
    try:
        for one, name in ((world.platform, "amy"), (platform, "bob")):
            assert sign_in(browser, one, name).status_code == 200
        assert is_signed_in(browser, world.platform, "amy")
        assert is_signed_in(browser, platform, "bob")
        assert world.ask("GET", f"{API}/workflows/amy/work").status_code == 200
        assert platform.api("amy").get(f"{API}/workflows/amy/work").status_code == 404
        browser.get(f"{world.platform.url}/hub/logout")
        assert not is_signed_in(browser, world.platform, "amy")
        assert is_signed_in(browser, platform, "bob")
        assert world.platform.stop(signal.SIGTERM) == 0
        world.nothing_runs()
        assert is_signed_in(browser, platform, "bob")
    finally:
        browser.close()
