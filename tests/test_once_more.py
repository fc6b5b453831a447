"""Tests that fail beside others are run once more, alone: what that hides, and what it never hides."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "once_more.py"
BESIDE_OTHERS = "import os\n\nBESIDE = 'PYTEST_XDIST_WORKER' in os.environ\n\n"


@dataclass(frozen=True)
class Ended:
    """How a run of the script went."""

    code: int
    said: str
    notes: str


@pytest.fixture
def run(tmp_path: Path) -> object:
    """`run(text of a module of tests)` runs it on two workers."""

    def runs(text: str, *arguments: str) -> Ended:
        (tmp_path / "test_it.py").write_text(BESIDE_OTHERS + text)
        notes = tmp_path / "notes"
        command = [sys.executable, str(SCRIPT), "--notes", str(notes), "-n", "2", *arguments, "test_it.py"]
        bare = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin,xdist.looponfail"}
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | bare
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        return Ended(done.returncode, done.stdout + done.stderr, notes.read_text() if notes.exists() else "")

    return runs


def test_what_passes_is_run_once(run):
    ended = run("def test_a(): pass\n")
    assert ended.code == 0
    assert ended.notes == ""
    assert ended.said.count("test session starts") == 1


def test_what_passes_alone_is_named_at_the_end_and_is_no_failure(run):
    ended = run("def test_a(): assert not BESIDE\n\ndef test_b(): pass\n")
    assert ended.code == 0
    assert ended.notes == "!!! failed beside others, passed alone: test_it.py::test_a\n"
    assert ended.said.endswith(ended.notes)
    assert "2 items" not in ended.said.partition("Running once more")[2], "the second run has the failed test alone"


def test_what_failed_may_lie_in_several_folders_with_a_conftest_each(run, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "conftest.py").touch()
    (tmp_path / "sub" / "test_more.py").write_text(BESIDE_OTHERS + "def test_b(): assert not BESIDE\n")
    ended = run("def test_a(): assert not BESIDE\n", "sub")
    assert ended.code == 0, ended.said
    assert ended.notes.count("passed alone") == 2


def test_what_fails_again_is_a_failure_and_the_rest_is_told_apart(run):
    ended = run("def test_a(): assert not BESIDE\n\ndef test_b(): assert 0\n")
    assert ended.code == 1
    assert "passed alone: test_it.py::test_a\n" in ended.notes
    assert "not passed alone: test_it.py::test_b\n" in ended.notes


def test_a_test_that_is_skipped_alone_has_not_passed(run):
    ended = run("import pytest\n\ndef test_a():\n    if not BESIDE: pytest.skip('x')\n    assert 0\n")
    assert ended.code == 1
    assert "not passed alone: test_it.py::test_a\n" in ended.notes


def test_an_end_that_fails_counts_and_names_may_have_any_characters(run):
    values = r"['a b', '::[x]', 'ä\n', '-k']"
    ended = run(
        "import pytest\n\n@pytest.fixture\ndef end():\n    yield\n    assert not BESIDE\n\n"
        f"@pytest.mark.parametrize('value', {values})\ndef test_a(value, end): pass\n"
    )
    assert ended.code == 0, ended.said
    assert ended.notes.count("failed beside others, passed alone: ") == 4


def test_many_failures_are_failures_at_once(run):
    ended = run("import pytest\n\n@pytest.mark.parametrize('n', range(6))\ndef test_a(n): assert not BESIDE\n")
    assert ended.code == 1
    assert ended.said.count("test session starts") == 1
    assert "6 tests failed" in ended.notes


@pytest.mark.parametrize(
    "text",
    ["def test_a():\n    if BESIDE: os._exit(1)\n", "def test_a():\n    if BESIDE: raise KeyboardInterrupt\n"],
    ids=["a worker that crashed", "a session that was interrupted"],
)
def test_a_session_that_broke_off_is_a_failure_at_once(run, text):
    ended = run(text)
    assert ended.code != 0
    assert ended.said.count("test session starts") == 1
    assert ended.notes == ""


@pytest.mark.parametrize(("again", "code"), [("not BESIDE", 0), ("0", 1)])
def test_the_second_run_may_be_left_for_later_and_counts_then(run, tmp_path, again, code):
    kept = tmp_path / "kept"
    text = f"def test_a(): assert not BESIDE\n\ndef test_b(): assert {again}\n"
    for name in ("test_a", "test_b"):
        ended = run(text, "--later", str(kept), "-k", name)
        assert (ended.code, ended.notes, ended.said.count("test session starts")) == (0, "", 1)
    ended = run(text, "--kept", str(kept))
    assert ended.code == code
    assert "passed alone: test_it.py::test_a\n" in ended.notes
    assert f"others, {'not ' * code}passed alone: test_it.py::test_b\n" in ended.notes


def test_nothing_kept_is_nothing_to_do(run, tmp_path):
    ended = run("", "--kept", str(tmp_path / "none"))
    assert (ended.code, ended.said, ended.notes) == (0, "", "")


def test_bad_arguments_are_a_failure_at_once(run):
    assert run("def test_a(): pass\n", "--no-such-thing").code == 4


def test_ctrl_c_reaches_the_tests_though_a_shell_in_the_background_ignores_it(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import signal\n\ndef test_a(): assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    command = f"trap '' INT; exec {sys.executable} {SCRIPT} test_it.py"
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False, capture_output=True).returncode == 0
