"""Everything is deleted, put back from a backup that was made while runs went on, and goes on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.conftest import COMMAND, clean_environment
from tests.functional.faults import API, PATIENCE, World, processes_of, until

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]


def _command(world: World, *words: str) -> str:
    environment = clean_environment() | {"HUB_EXT_STATE": str(world.state)}
    command = [COMMAND[0], *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done
    return done.stdout


def test_a_platform_that_is_gone_comes_back_from_its_backup(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        world.up()
        assert world.publish().status_code == 201
        run = world.order("before")
        world.until_state(run, "succeeded")
        report = world.ask("GET", f"{API}/runs/{run}/report").text
        (world.state / "homes" / "amy").mkdir(parents=True, exist_ok=True)
        (world.state / "homes" / "amy" / "notes.txt").write_text("hers")
        going_on = world.begun("during")

        assert "of both databases" in _command(world, "backup", str(tmp_path / "saved.tar.gz"))
        world.gate("during").touch()
        world.until_state(going_on, "succeeded")
        later = world.order("after the backup")
        world.until_state(later, "succeeded")

        world.close()
        shutil.rmtree(world.state)
        assert "is whole" in _command(world, "restore", "--check", str(tmp_path / "saved.tar.gz"))
        assert "Restored" in _command(world, "restore", str(tmp_path / "saved.tar.gz"))
        world.up()

        assert world.ask("GET", f"{API}/runs/{run}/report").text == report, "her token is good, and her results there"
        assert (world.state / "homes" / "amy" / "notes.txt").read_text() == "hers"
        ended = world.until_state(going_on, "failed", "lost")
        assert ended["reason"], "a run whose process is gone is told as such, and is not done again"
        assert world.told("during") == ["begun", "done"]
        assert world.ask("GET", f"{API}/runs/{later}").status_code == 404
        assert "chain is intact" in until(lambda: _command(world, "audit", "verify"))
        world.until_state(world.order("again"), "succeeded")
    finally:
        world.close()
    assert not processes_of(tmp_path)
