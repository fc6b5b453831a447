"""What becomes of a notebook whose cells do what they like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from tests.executor.conftest import Launched

Launch = Callable[..., Launched]


def cell(source: str, *tags: str) -> Any:
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def test_a_notebook_that_works(launch: Launch) -> None:
    run = launch(
        nbformat.v4.new_markdown_cell("# Rain"),
        cell("start = 1", "parameters"),
        "print('from', start)",
        "start + 1",
        cell("1/0", "skip-execution"),
        injected="start = 41",
    )
    assert run.wait() == {
        "state": "succeeded",
        "reason": "",
        "error": None,
        "cells_done": 3,
        "cells_total": 3,
        "truncated": False,
    }
    kinds = [event["type"] for event in run.events()]
    assert kinds[:2] == ["begun", "run_started"]
    assert kinds[-1] == "finished"
    assert [(e["n"], e["index"], e["total"]) for e in run.events("cell_started")] == [(1, 1, 3), (2, 3, 3), (3, 4, 3)]
    assert run.streamed() == "from 41\n"
    assert run.events("output")[-1]["text"] == "42"
    notebook = run.notebook()
    nbformat.validate(notebook)
    assert [one.metadata.get("tags") for one in notebook.cells[1:3]] == [["parameters"], ["injected-parameters"]]
    assert notebook.cells[4].outputs[0].data["text/plain"] == "42"
    assert str(run.folder.root) not in run.folder.output.read_text()
    assert "42" in run.folder.report.read_text()
    assert run.processes() == []


def test_a_cell_that_raises_ends_the_run_and_is_named(launch: Launch) -> None:
    run = launch("x = 1", "def f():\n    raise ValueError('no rain')\nf()", "print('never')")
    outcome = run.wait()
    assert (outcome["state"], outcome["cells_done"]) == ("failed", 1)
    assert outcome["reason"] == "cell 2 of 3 raised ValueError: no rain"
    error = outcome["error"]
    assert (error["name"], error["message"], error["cell"]) == ("ValueError", "no rain", 1)
    assert "raise ValueError" in error["traceback"]
    assert "\x1b" not in error["traceback"]
    assert run.events("output")[-1]["kind"] == "error"
    assert "never" not in run.streamed()
    assert [one.cell_type for one in run.notebook().cells] == ["code"] * 3
    assert "ValueError" in run.folder.report.read_text()


def test_a_cell_may_raise_when_its_author_says_so(launch: Launch) -> None:
    run = launch(cell("1/0", "raises-exception"), "print('after')")
    assert run.wait()["state"] == "succeeded"
    assert run.streamed() == "after\n"


@pytest.mark.parametrize(
    ("source", "state", "reason"),
    [
        ("import sys; sys.exit()", "succeeded", "the notebook ended itself in cell 1 of 2"),
        ("exit()", "succeeded", "the notebook ended itself in cell 1 of 2"),
        ("import sys; sys.exit('no data')", "failed", "cell 1 of 2 raised SystemExit: no data"),
        ("import os; os._exit(3)", "failed", "the notebook ended its own process with exit code 3 in cell 1 of 2"),
        ("import os; os.kill(os.getpid(), 9)", "failed", "the kernel was ended by signal 9 (SIGKILL) in cell 1 of 2"),
        ("input('name? ')", "failed", "cell 1 of 2 raised StdinNotImplementedError"),
    ],
)
def test_a_cell_that_ends_its_process(launch: Launch, source: str, state: str, reason: str) -> None:
    run = launch(f"print('before', flush=True)\nimport time; time.sleep(0.2)\n{source}", "print('never')")
    outcome = run.wait()
    assert (outcome["state"], outcome["reason"][: len(reason)]) == (state, reason)
    assert run.streamed() == "before\n"
    assert run.folder.report.is_file()
    assert "before" in run.folder.output.read_text()


def test_an_interpreter_that_crashes_is_told(launch: Launch) -> None:
    outcome = launch("import ctypes; ctypes.string_at(0)").wait()
    assert outcome["reason"] == "the kernel was ended by signal 11 (SIGSEGV) in cell 1 of 1"


def test_a_kernel_that_cannot_start_is_told(launch: Launch) -> None:
    outcome = launch("1", kernel=("/bin/sh", "-c", "echo no such module >&2; exit 7")).wait()
    assert outcome["reason"] == "the kernel ended while it started, with exit code 7"
    assert outcome["error"]["traceback"] == "no such module"


def test_the_deadline_ends_a_run_that_never_ends(launch: Launch) -> None:
    run = launch(
        "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.05)",
        "print('never')",
        deadline=8.0,
        deadline_words="8 seconds",
    )
    outcome = run.wait()
    assert (outcome["state"], outcome["reason"]) == ("failed", "ran longer than its limit of 8 seconds")
    assert run.streamed() == "on\n"
    assert run.folder.report.is_file()
    assert run.processes() == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(60)",
        "import time\nfor _ in range(600):\n    try: time.sleep(0.1)\n    except KeyboardInterrupt: pass",
    ],
)
def test_a_run_is_cancelled_in_words_even_if_its_cell_does_not_listen(launch: Launch, source: str) -> None:
    run = launch("print('done')", source)
    run.until("cell_finished")
    run.until("output")
    run.cancel()
    outcome = run.wait(6.0)
    assert (outcome["state"], outcome["cells_done"]) == ("cancelled", 1)
    assert "done" in run.folder.report.read_text()
    assert run.processes() == []


def test_a_run_is_cancelled_while_its_kernel_starts(launch: Launch) -> None:
    run = launch("print('never')", kernel=("/bin/sh", "-c", "exec sleep 60"))
    run.until("run_started")
    run.cancel()
    assert run.wait(6.0)["state"] == "cancelled"


def test_too_much_memory_ends_the_run(launch: Launch) -> None:
    source = "held = []\nwhile True: held.append(bytearray(b'x' * 10_000_000)); import time; time.sleep(0.01)"
    outcome = launch(source, memory=300 * 2**20, memory_words="300 MB").wait()
    assert (outcome["state"], outcome["reason"]) == ("failed", "used more than 300 MB of memory")


def test_memory_of_child_processes_counts(launch: Launch) -> None:
    source = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', \"x = b'x' * 300_000_000; import time; time.sleep(60)\"])\n"
        "time.sleep(60)"
    )
    outcome = launch(source, memory=250 * 2**20, memory_words="250 MB").wait(20)
    assert outcome["reason"] == "used more than 250 MB of memory"


def test_nothing_that_a_notebook_starts_outlives_it(launch: Launch) -> None:
    daemon = (
        "import os, subprocess, sys\n"
        "subprocess.Popen(['sleep', '300'])\n"
        "subprocess.Popen(['env', '-i', '/bin/sleep', '301'], start_new_session=True)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        import time\n"
        "        open('daemon', 'w').write(str(os.getpid()))\n"
        "        time.sleep(300)\n"
        "    os._exit(0)\n"
    )
    wait = "import time, os\nwhile not os.path.exists('daemon') or not open('daemon').read(): time.sleep(0.01)\n"
    run = launch(daemon, wait, "print(open('daemon').read())")
    assert run.wait()["state"] == "succeeded"
    assert run.processes() == []
    assert not psutil.pid_exists(int(run.streamed()))
    assert b"/bin/sleep\x00301\x00" not in [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]


def test_the_kernel_sees_nothing_of_the_platform(launch: Launch) -> None:
    run = launch("import os, json\nprint(json.dumps([dict(os.environ), os.getcwd(), os.listdir()]))")
    assert run.wait()["state"] == "succeeded"
    environment, cwd, files = json.loads(run.streamed())
    assert cwd == str(run.folder.work)
    assert files == []
    assert environment["HOME"] == str(run.folder.home)
    ours = [name for name in environment if name.startswith(("JUPYTERHUB", "HUB_EXT")) and name != "HUB_EXT_LAUNCH"]
    assert ours == []


def test_a_run_gets_a_copy_of_the_list_of_fonts(launch: Launch, tmp_path: Path) -> None:
    cache = tmp_path / "fonts"
    cache.mkdir()
    (cache / "fontlist-v1.json").write_text("{}")
    (cache / "matplotlibrc").write_text("odd")
    source = (
        "import os\nfolder = os.environ['MPLCONFIGDIR']\nprint(sorted(os.listdir(folder)))\n"
        "open(os.path.join(folder, 'fontlist-v1.json'), 'w').write('changed')"
    )
    run = launch(source, font_cache=str(cache))
    assert run.wait()["state"] == "succeeded"
    assert run.streamed() == "['fontlist-v1.json']\n"
    assert (cache / "fontlist-v1.json").read_text() == "{}"


def test_a_launch_folder_with_a_long_path_uses_addresses_without_a_path(launch: Launch, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    run = launch("print('here')", under=deep)
    assert run.wait()["state"] == "succeeded"
    connection = json.loads((run.folder.root / "kernel.json").read_text())
    assert (connection["transport"], connection["ip"][0]) == ("ipc", "@")
    assert run.streamed() == "here\n"
