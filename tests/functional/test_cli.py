"""The `hub-ext` command against a running platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = [pytest.mark.functional]

Run = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [str(Path(sys.executable).parent / "hub-ext")]


def notebook(path: Path, parameters: str, *cells: str) -> Path:
    """Write a notebook whose first cell is tagged `parameters`."""
    book = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell(parameters, id="p", metadata={"tags": ["parameters"]})
    rest = [nbformat.v4.new_code_cell(cell, id=f"c{number}") for number, cell in enumerate(cells)]
    book.cells = [first, *rest]
    nbformat.write(book, path)
    return path


@pytest.fixture
def environ(platform: Any, tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HUB_EXT", "JUPYTER"))}
    return {
        **kept,
        "HUB_EXT_URL": platform.url,
        "HUB_EXT_TOKEN": platform.token("clara"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


@pytest.fixture
def hub_ext(environ: dict[str, str], tmp_path: Path) -> Run:
    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={**environ, **changes}, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_publish_show_list_and_run_with_a_report_and_files(hub_ext: Run, tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "double.ipynb",
        "n: int = 2  # What to double [1..50]",
        "open('out/result.txt', 'w').write(str(n * 2)) if __import__('os').makedirs('out') is None else 0",
        "print('doubled', n * 2)",
    )
    published = hub_ext("workflows", "publish", str(path), "--name", "cli-double", "--title", "Double a number")
    assert published.returncode == 0, published.stderr
    assert published.stdout.splitlines()[0] == "clara/cli-double version 1"
    assert "clara/cli-double" in hub_ext("workflows", "list", "double").stdout
    assert "What to double" in hub_ext("workflows", "show", "clara/cli-double").stdout
    ran = hub_ext(
        "workflows", "run", "clara/cli-double", "-p", "n=21", "--report", "r.html", "--notebook", "r.ipynb",
        "--artifacts", "files", "--json",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["state"] == "succeeded"
    assert "doubled 42" in (tmp_path / "r.html").read_text()
    assert nbformat.read(tmp_path / "r.ipynb", 4).cells[-1].outputs[0].text == "doubled 42\n"
    assert (tmp_path / "files/out/result.txt").read_text() == "42"


def test_the_same_file_again_is_the_same_version(hub_ext: Run, tmp_path: Path) -> None:
    path = str(notebook(tmp_path / "cli-same.ipynb", "n = 1", "n"))
    first, second = hub_ext("workflows", "publish", path), hub_ext("workflows", "publish", path)
    assert first.stdout.splitlines()[0] == second.stdout.splitlines()[0] == "clara/cli-same version 1"


def test_a_run_that_fails_ends_with_1_and_says_why(hub_ext: Run, tmp_path: Path) -> None:
    path = notebook(tmp_path / "cli-fails.ipynb", "n = 1", "raise ValueError('the wrong kind of day')")
    assert hub_ext("workflows", "publish", str(path)).returncode == 0
    ran = hub_ext("workflows", "run", "clara/cli-fails")
    assert ran.returncode == 1
    assert "failed" in ran.stderr
    assert "the wrong kind of day" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-p", "n=51"], 2, "n"),
        (["-p", "n=many"], 2, "n"),
        (["-p", "m=1"], 2, "m"),
        (["-p", "n"], 2, "NAME=VALUE"),
        (["--parameters", "missing.json"], 2, "missing.json"),
        (["--version", "99"], 3, "version"),
        (["--profile", "machine-learning"], 3, "modellers"),
    ],
)
def test_what_cannot_run_is_refused_with_the_field(
    hub_ext: Run, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    path = notebook(tmp_path / "cli-bounds.ipynb", "n: int = 2  # A number [1..50]", "n")
    assert hub_ext("workflows", "publish", str(path)).returncode == 0
    refused = hub_ext("workflows", "run", "clara/cli-bounds", *arguments)
    assert (refused.returncode, words in refused.stderr) == (code, True), refused.stderr


def test_secrets_come_from_a_file_and_are_nowhere_in_what_is_kept(hub_ext: Run, tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "cli-secret.ipynb",
        "from pydantic import SecretStr\nkey: SecretStr",
        "print('key is', key.get_secret_value())",
    )
    assert hub_ext("workflows", "publish", str(path)).returncode == 0
    (tmp_path / "values.json").write_text('{"key": "correct-horse-battery"}')
    ran = hub_ext(
        "workflows", "run", "clara/cli-secret", "--parameters", "values.json", "--notebook", "s.ipynb", "--json"
    )
    assert ran.returncode == 0, ran.stderr
    assert "key is ••••••" in nbformat.read(tmp_path / "s.ipynb", 4).cells[-1].outputs[0].text
    assert "correct-horse" not in ran.stdout + (tmp_path / "s.ipynb").read_text()


def test_no_token_a_wrong_one_and_no_platform_are_told_apart(hub_ext: Run, environ: dict[str, str]) -> None:
    del environ["HUB_EXT_TOKEN"]
    nobody = hub_ext("workflows", "list")
    assert (nobody.returncode, "hub-ext login" in nobody.stderr) == (3, True)
    stranger = hub_ext("workflows", "list", HUB_EXT_TOKEN="not-a-token")
    assert stranger.returncode == 3
    away = hub_ext("workflows", "list", HUB_EXT_TOKEN="x", HUB_EXT_URL="http://127.0.0.1:9")
    assert (away.returncode, "does not answer" in away.stderr) == (4, True)


def test_login_keeps_a_token_that_others_cannot_read(hub_ext: Run, environ: dict[str, str], platform: Any) -> None:
    del environ["HUB_EXT_TOKEN"]
    wrong = hub_ext("login", "--name", "clara", HUB_EXT_PASSWORD="not it")
    assert (wrong.returncode, "does not accept" in wrong.stderr) == (3, True)
    right = hub_ext("login", "--name", "clara", HUB_EXT_PASSWORD=platform.password)
    assert right.returncode == 0, right.stderr
    saved = Path(environ["XDG_CONFIG_HOME"]) / "hub-ext" / "login.json"
    assert saved.stat().st_mode & 0o777 == 0o600
    assert hub_ext("workflows", "list").returncode == 0


def test_ctrl_c_cancels_the_run(hub_ext: Run, environ: dict[str, str], tmp_path: Path) -> None:
    path = notebook(tmp_path / "cli-long.ipynb", "n = 1", "import time; time.sleep(300)")
    assert hub_ext("workflows", "publish", str(path)).returncode == 0
    with subprocess.Popen([*COMMAND, "workflows", "run", "clara/cli-long"], cwd=tmp_path, env=environ) as process:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            listed = hub_ext("workflows", "show", "clara/cli-long", "--json")
            if _states(environ) & {"running"}:
                break
            assert listed.returncode == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    deadline = time.monotonic() + 60
    while "cancelled" not in _states(environ) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _states(environ) == {"cancelled"}


def _states(environ: dict[str, str]) -> set[str]:
    from hub_ext.client import Client, Login

    with Client(Login(environ["HUB_EXT_URL"], environ["HUB_EXT_TOKEN"])) as client:
        return {run["state"] for run in client.pages("workflows/clara/cli-long/runs")}


def test_access_and_budgets_from_a_terminal(hub_ext: Run, platform: Any, tmp_path: Path) -> None:
    ann = {"HUB_EXT_TOKEN": platform.token("terminal-ann")}

    def said(*arguments: str, code: int = 0, **environ: str) -> str:
        done = hub_ext(*arguments, **{"COLUMNS": "200"} | environ)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    asked = json.loads(said("access", "request", "machine-learning", "--reason", "Rivers.", "--json", **ann))
    assert "Rivers." in said("access", "requests", "--mine", **ann)
    assert asked["id"] in said("access", "requests", "--answerable", "--state", "waiting", COLUMNS="80")
    said("access", "grant", asked["id"], "--until", "30d", code=3, **ann)
    granted = said("access", "grant", asked["id"], "--until", "30d", "--words", "Welcome.")
    assert "is granted by clara: Welcome." in granted
    assert "goes with a profile" in said("access", "grant", asked["id"], "--until", "30d", "--person", "x", code=2)
    assert "terminal-ann" in said("access", "who", "machine-learning")
    assert "machine-learning  yes" in said("access", "what", **ann)
    assert "machine-learning" in said("access", "what", "terminal-ann")
    (held,) = json.loads(said("access", "list", "--mine", "--json", **ann))
    assert "until" in said("access", "shorten", held["id"], "--until", "2d", "--reason", "Less.")
    said("access", "end", held["id"], "--reason", "Over.")
    said("access", "end", held["id"], "--reason", "Over.", code=2)
    assert "Over" not in said("access", "list", "--mine", **ann)

    second = json.loads(said("access", "request", "machine-learning", "--reason", "Again.", "--json", **ann))
    assert "refused by clara: No more." in said("access", "refuse", second["id"], "--words", "No more.")
    file = tmp_path / "entitlements.csv"
    end = f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}"
    file.write_text(f"profile,kind,name,until,reason\nmachine-learning,person,terminal-bob,{end},CSV\n")
    assert "1 rows: " in said("access", "import", str(file))
    assert "terminal-bob" in said("access", "export", "--profile", "machine-learning")
    said("access", "export", "-o", str(tmp_path / "out.csv"))
    assert "terminal-bob" in (tmp_path / "out.csv").read_text()

    assert "cpu_hours 5" in said("budgets", "set", "person", "terminal-ann", "--cpu-hours", "5", "--servers", "2")
    assert "terminal-ann" in said("budgets", "list")
    assert "cpu_hours" in said("budgets", "mine", **ann)
    said("budgets", "set", "person", "terminal-ann", "--cpu-hours", "500", code=3, **ann)
    said("budgets", "usage", "--month", "2026-01")
    assert said("budgets", "usage", "--csv").startswith("month,kind,name")
    assert "It is removed." in said("budgets", "remove", "person", "terminal-ann")
    said("budgets", "remove", "person", "terminal-ann", code=3)


def test_the_doctor_finds_nothing_wrong_with_a_platform_that_runs(platform: Any, environ: dict[str, str]) -> None:
    told = environ | {"HUB_EXT_STATE": str(platform.state)}
    command = [*COMMAND, "doctor", "--json"]
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(done.stdout)
    assert [one for one in found if one["state"] == "fail"] == []
    assert {one["what"]: one["state"] for one in found}.items() >= {"Hub": "ok", "sharing service": "ok"}.items()
    assert done.returncode == 0
