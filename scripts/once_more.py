"""Run pytest; where few tests failed, run those once more, alone.

The tests start real parts of a platform, several at once on few processors, so that one may miss its time because of
another. Such a failure should be seen and mended, and cost nobody a day: each test that failed beside others and
passes alone is named, and the run counts as passed. What fails again, a session that broke off, a worker that crashed,
and more than a handful of failures are failures at once.

    python scripts/once_more.py [--notes FILE] ARGUMENT…

The arguments are pytest's. What was seen in the second run is also written to the end of FILE.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FEW = 5
INSIDE = "--inside"  # how this script calls itself: one run of pytest, watched


@dataclass(eq=False)  # pytest puts plugins into sets
class Watching:
    """A plugin of pytest that keeps what became of each test.

    Attributes:
        passed: The tests that ran and passed.
        failed: The tests that failed, also at what is before or after them.
        broken: Whether something else went wrong: tests that cannot be read, a worker that is gone.
    """

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    broken: bool = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how one test, or what is before or after it, went."""
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)
        if report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """See whether the tests of a file could be read."""
        self.broken |= report.failed

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """See whether a worker crashed: what it had started is still there then, and the rest is undone."""
        del node
        self.broken |= error is not None


def main(arguments: list[str]) -> int:
    """Run the tests; return the exit code.

    Args:
        arguments: `--notes FILE`, where it is wanted, and pytest's.
    """
    if arguments[:1] == [INSIDE]:
        return inside(Path(arguments[1]), arguments[2:])
    # A shell's job in the background ignores Ctrl-C, as would all that the tests start to press it there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    notes = Path("/dev/null")
    if arguments[:1] == ["--notes"]:
        notes, arguments = Path(arguments[1]), arguments[2:]
    code, seen = run("--max-worker-restart=0", *arguments)
    if code != pytest.ExitCode.TESTS_FAILED or seen.broken or not seen.failed:
        return code or int(seen.broken)
    if len(seen.failed) > FEW:
        tell(notes, [f"{len(seen.failed)} tests failed; more than {FEW} are not run once more"])
        return code
    sys.stdout.write(f"\nRunning once more, alone: {' '.join(seen.failed)}\n")
    sys.stdout.flush()
    code, again = run("-n", "0", *seen.failed)
    well = set(again.passed) - set(again.failed)
    tell(notes, [f"failed beside others, {'' if one in well else 'not '}passed alone: {one}" for one in seen.failed])
    return code or int(not well.issuperset(seen.failed))


def run(*arguments: str) -> tuple[int, Watching]:
    """Run pytest in a process of its own; return its exit code and what was seen."""
    with tempfile.NamedTemporaryFile("r") as file:
        command = [sys.executable, __file__, INSIDE, file.name, *arguments]
        code = subprocess.run(command, check=False).returncode
        text = file.read()
    return code, Watching(**json.loads(text)) if text else Watching(broken=True)


def inside(file: Path, arguments: list[str]) -> int:
    """Run pytest in this process, as `python -m pytest` would, and write down what was seen."""
    sys.path[0] = str(Path.cwd())
    watching = Watching()
    code = pytest.main(arguments, plugins=[watching])
    file.write_text(json.dumps(vars(watching)))
    return code


def tell(notes: Path, lines: list[str]) -> None:
    """Say something where nobody overlooks it, and keep it for the end."""
    text = "".join(f"!!! {line}\n" for line in lines)
    sys.stdout.write(f"\n{text}")
    sys.stdout.flush()
    with notes.open("a") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
