"""The disk of the state folder is full: said in words, nothing half-made, and all is well once there is space again."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from hub_ext.embedded.logs import keep_small
from tests.filling import Disk
from tests.functional.conftest import HEALTH
from tests.functional.faults import API, WORK, World, alive, refused, sign_in, until

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

FULL_FOR = 12.0  # seconds: longer than a lease, and than the reconciler may be silent
NO_SPACE = "no space left"
FILLS = WORK.replace('print("x" * 1000)', 'open("large", "wb").write(bytes(2**23))')
PRINTS = WORK.replace('print("x" * 1000)', "print('x' * 2**20)")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 128 MB."""
    root = tmp_path / "disk"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "hub-ext-test", root], check=True)
    yield Disk(root)
    subprocess.run(["umount", "--lazy", root], check=True)


@pytest.fixture
def world(tmp_path: Path, disk: Disk) -> Iterator[World]:
    """A platform whose state folder is on the small disk, and its tally is not."""
    world = World(tmp_path, disk.root / "state", HUB_EXT_RUNS_AT_ONCE="2")
    try:
        world.up()
        for name, source in (("work", WORK), ("fills", FILLS), ("prints", PRINTS)):
            assert world.publish(name, source).status_code == 201
        yield world
    finally:
        world.close()


def says_no(answer: httpx.Response) -> None:
    """Check that an answer says in words that there is no space, or that a part does not answer."""
    assert answer.status_code in (503, 507), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 20
    assert str(answer.request.url) not in answer.json()["detail"]


def partials(disk: Disk) -> list[Path]:
    """Return files that were left half-written, and secrets of no run."""
    secrets = disk.root / "state" / "secrets"
    kept = list(secrets.iterdir()) if secrets.is_dir() else []
    return kept + [path for path in disk.root.rglob("*") if path.name.endswith(".partial")]


def fresh(number: int) -> str:
    """Return source of which nobody published the like."""
    return f"print({number})\n# " + "x" * 100_000


def nothing_can_be_kept(world: World) -> None:
    """Check for a while that what needs space is refused in words, and that everything else works."""
    with httpx.Client(trust_env=False, timeout=60) as browser:
        assert "no space left, so nothing was changed" in sign_in(browser, world.platform, "newcomer").text
    secret = {"parameters": {"key": "k" * 5000}}
    full_until = time.monotonic() + FULL_FOR
    while time.monotonic() < full_until:
        says_no(world.publish("unlucky", fresh(1)))
        says_no(world.ask("POST", f"{API}/workflows/amy/work/runs", json=secret))
        assert world.ask("GET", f"{API}/workflows").status_code == 200
        health = httpx.get(world.platform.url + HEALTH, trust_env=False)
        assert health.status_code == 503
        assert "no space left" in health.text
        time.sleep(0.5)
    assert world.ask("GET", f"{API}/workflows/amy/unlucky").status_code == 404


def order_meanwhile(world: World, disk: Disk, runs: Iterable[str]) -> list[str]:
    """Let runs end, and order others; return those that were taken, since some space comes and goes with each run."""
    taken = []
    order = {"parameters": {"name": "meanwhile", "tally": str(world.tally)}}
    for name in runs:
        world.gate(name).touch()
    full_until = time.monotonic() + FULL_FOR / 2
    while time.monotonic() < full_until:
        disk.fill()
        answer = world.ask("POST", f"{API}/workflows/amy/work/runs", json=order)
        if answer.status_code == 201:
            taken.append(str(answer.json()["id"]))
        else:
            says_no(answer)
        time.sleep(0.5)
    return taken


def test_a_full_disk_is_said_and_survived(world: World, disk: Disk) -> None:
    world.until_state(world.order("before"), "succeeded")
    runs = {name: world.order(name, waits=True, workflow=f"amy/{name}") for name in ("fills", "prints")}
    for name, run_id in runs.items():
        until(lambda name=name: "begun" in world.told(name))
        world.until_state(run_id, "running")
    parts = world.parts()
    disk.fill()
    nothing_can_be_kept(world)
    taken = order_meanwhile(world, disk, runs)
    disk.free()
    world.true_after(world.healthy(60), dict.fromkeys(runs.values(), "failed"))
    for name, run_id in runs.items():
        assert NO_SPACE in world.run(run_id)["reason"].lower()
        assert world.told(name)[0] == "begun"
    ended = [world.until_state(run_id, "succeeded", "failed") for run_id in taken]
    assert all(NO_SPACE in run["reason"].lower() for run in ended if run["state"] == "failed"), ended
    assert world.told("meanwhile").count("begun") <= len(taken)
    assert [str(part) for part in parts if not alive(part)] == []
    works_again(world)
    assert not partials(disk)


def works_again(world: World) -> None:
    """Check that everything works, without a restart of anything."""
    assert world.publish("unlucky", fresh(2)).status_code == 201
    assert world.ask("GET", f"{API}/workflows/amy/unlucky").json()["version"] == 1
    run_id = world.order("after")
    assert world.until_state(run_id, "succeeded")
    assert world.told("after") == ["begun", "done"]
    with contextlib.closing(world.platform.login("newcomer")) as browser:
        assert "newcomer" in browser.get("/services/workflows/").text
    world.start_server("amy")
    world.server_ready("amy")
    world.nothing_of_runs()
    world.audit_is_intact()
    assert world.platform.stop() == 0
    world.nothing_runs()


def test_logs_are_emptied_on_a_full_disk(disk: Disk) -> None:
    log = disk.root / "hub.log"
    log.write_bytes(b"x" * 2**20)
    disk.fill()
    assert keep_small(disk.root, largest=2**19) == [log]
    assert sorted(path.name for path in disk.root.iterdir()) == ["filler", "hub.log"]
    assert log.read_bytes() == b""


@pytest.mark.parametrize("left", [0, 2**20], ids=["nothing", "a megabyte"])
def test_no_platform_starts_on_a_full_disk(disk: Disk, left: int) -> None:
    (disk.root / "spare").write_bytes(bytes(left))
    disk.fill()
    (disk.root / "spare").unlink()
    said = refused(disk.root / "state")
    assert said.startswith("No space left: There is ")
    assert f"for the state folder {disk.root / 'state'}." in said
