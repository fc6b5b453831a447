"""What cells put out: streamed, limited, masked, kept."""

from __future__ import annotations

import base64
import resource
import time
from collections.abc import Callable

import nbformat
import psutil
import pytest

from tests.executor.conftest import Launched

Launch = Callable[..., Launched]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize(
    "source",
    [
        "for _ in range(250): print('x' * 1_000_000)",
        "print('x' * 200_000_000)",
        "import subprocess; subprocess.run('yes | head -c 200000000', shell=True)",
    ],
    ids=["many prints", "one print", "a child process"],
)
def test_output_over_the_limit_fills_neither_disk_nor_memory(launch: Launch, source: str) -> None:
    run = launch(source, "print('after')", output_limit=100_000)
    most = 0
    while run.process.poll() is None:
        try:
            most = max(most, psutil.Process(run.process.pid).memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.02)
    outcome = run.wait()
    assert (outcome["state"], outcome["truncated"]) == ("succeeded", True)
    assert len(run.events("truncated")) == 1
    assert run.folder.events.stat().st_size < 200_000
    assert run.folder.output.stat().st_size < 200_000
    assert run.folder.output.read_text().count("Output over the limit of 98 KB was dropped") == 1
    assert most < 900 * 2**20


def test_streams_are_told_as_they_come_and_not_a_thousand_times_a_second(launch: Launch) -> None:
    run = launch("import time\nfor n in range(300):\n    print(n, flush=True)\n    time.sleep(0.002)")
    run.until("output")
    assert run.process.poll() is None
    assert run.wait()["state"] == "succeeded"
    assert run.streamed() == "".join(f"{n}\n" for n in range(300))
    times = [event["t"] for event in run.events("output")]
    assert len(times) < 40
    assert len(run.notebook().cells[0].outputs) == 1


def test_a_progress_bar_keeps_its_last_line_alone(launch: Launch) -> None:
    # A kernel holds no more than a thousand messages for those that are slow to take them, and drops the rest.
    run = launch("import sys\nfor n in range(501): sys.stderr.write(f'\\r{n / 5:.0f} %'); sys.stderr.flush()")
    assert run.wait()["state"] == "succeeded"
    assert run.notebook().cells[0].outputs[0].text == "100 %"


def test_displays_are_updated_in_place_and_cleared(launch: Launch) -> None:
    run = launch(
        "from IPython.display import display, clear_output, HTML\nh = display('one', display_id=True)\nh.update('two')",
        "print('old'); clear_output(); print('new')",
        "print('old'); clear_output(wait=True); display(HTML('<b>new</b>'))",
    )
    assert run.wait()["state"] == "succeeded"
    first, second, third = (cell.outputs for cell in run.notebook().cells)
    assert [one.data["text/plain"] for one in first] == ["'two'"]
    assert [one.text for one in second] == ["new\n"]
    assert [one.data["text/html"] for one in third] == ["<b>new</b>"]
    assert [event["kind"] for event in run.events("output") if event["cell"] == 2][-2:] == ["cleared", "html_omitted"]


def test_an_animation_is_no_flood(launch: Launch) -> None:
    run = launch(
        "from IPython.display import display\nh = display('', display_id=True)\n"
        "for n in range(200): h.update('x' * 5000 + str(n))",
        output_limit=100_000,
    )
    assert run.wait()["truncated"] is False
    assert run.notebook().cells[0].outputs[0].data["text/plain"].endswith("199'")


def test_the_picture_of_a_run_is_that_of_the_tagged_cell(launch: Launch) -> None:
    show = "from IPython.display import Image, display; import base64\n"
    tagged = nbformat.v4.new_code_cell(
        f"{show}display(Image(base64.b64decode('{PNG}')))", metadata={"tags": ["picture"]}
    )
    other = f"{show}display(Image(base64.b64decode('{PNG}') + b'other'))"
    run = launch(tagged, other)
    assert run.wait()["state"] == "succeeded"
    assert run.folder.picture.read_bytes() == base64.b64decode(PNG)
    pictures = [base64.b64decode(event["data"]) for event in run.events("output") if event["kind"] == "png"]
    assert pictures == [base64.b64decode(PNG), base64.b64decode(PNG) + b"other"]


def test_secrets_reach_the_kernel_and_nothing_that_is_kept(launch: Launch) -> None:
    secret = "s3cr3t-värdé'\"<&>"
    run = launch(
        "import os, sys, time\nkey = os.environ['KEY']\nprint('key is', key)\n"
        "sys.stderr.write(key[:4]); sys.stderr.flush(); time.sleep(0.3); sys.stderr.write(key[4:] + '\\n')",
        "from IPython.display import display, HTML\n"
        "display({'application/json': {'a': [key]}, 'text/plain': key}, raw=True)\n"
        "display(HTML(f'<p>{key}</p>'))\nh = display('x', display_id=True); h.update(key)\nkey",
        "open('mine.txt', 'w').write(key)\nimport warnings; warnings.warn(key)\nprint('sec' + chr(8) + key[3:])",
        "raise RuntimeError(f'bad key {key}')",
        secrets={"KEY": secret},
    )
    outcome = run.wait()
    assert outcome["reason"] == "cell 4 of 4 raised RuntimeError: bad key ••••••"
    assert run.streamed().startswith("key is ••••••\n")
    assert run.streamed("stderr").startswith("••••••\n")
    for path in run.folder.root.rglob("*"):
        if path.is_file() and not path.is_relative_to(run.folder.work):
            assert secret not in path.read_text(errors="replace"), path
    assert secret not in str(outcome)
    assert run.folder.report.read_text().count("••••••") >= 6
    assert (run.folder.work / "mine.txt").read_text() == secret


def test_a_full_disk_is_told(launch: Launch) -> None:
    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    run = launch("print('x' * 150_000)", "print('y' * 150_000)", before_exec=little_space)
    outcome = run.wait()
    assert (outcome["state"], outcome["cells_done"]) == ("failed", 2)
    assert outcome["reason"] == "there was no space left on the disk to keep its results"


def test_a_notebook_that_meets_a_full_disk_says_so_itself(launch: Launch) -> None:
    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    run = launch("with open('big', 'wb') as f:\n    f.write(b'x' * 3_000_000)", before_exec=little_space)
    assert run.wait()["reason"] == "cell 1 of 1 raised OSError: [Errno 27] File too large"
    assert run.folder.report.is_file()


def test_many_outputs_and_odd_characters_are_kept(launch: Launch) -> None:
    run = launch(
        "from IPython.display import display\nfor n in range(500): display(n)",
        "print('é€😀\\x00\\x1b[31mred\\x1b[0m')",
    )
    assert run.wait()["state"] == "succeeded"
    notebook = run.notebook()
    assert [one.data["text/plain"] for one in notebook.cells[0].outputs] == [str(n) for n in range(500)]
    assert notebook.cells[1].outputs[0].text == "é€😀\x00\x1b[31mred\x1b[0m\n"
