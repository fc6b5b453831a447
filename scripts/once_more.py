"""Run pytest; where few tests failed, run those once more, alone.

The tests start real parts of a platform, several at once on few processors, so that one may miss its time because of
another. Such a failure should be seen and mended, and cost nobody a day: each test that failed beside others and
passes alone is named, and the run counts as passed. What fails again, a session that broke off, a worker that crashed,
and more than a handful of failures are failures at once.

    python scripts/once_more.py [--notes FILE] [--later FILE] ARGUMENT…
    python scripts/once_more.py [--notes FILE] --kept FILE

The arguments are pytest's. What was seen in the second run is also written to the end of the file of notes. With
`--later` the second run is left to somebody else: the few that failed are written to the end of that file, the run
counts as passed, and `--kept` runs what stands there.
"""

from __future__ import annotations

import argparse
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

_OPTIONS = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
_OPTIONS.add_argument("--notes", type=Path, default=Path("/dev/null"))
_OPTIONS.add_argument("--later", type=Path)
_OPTIONS.add_argument("--kept", type=Path)


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
        arguments: Ours and pytest's: see above.
    """
    if arguments[:1] == [INSIDE]:
        return inside(Path(arguments[1]), arguments[2:])
    # A shell's job in the background ignores Ctrl-C, as would all that the tests start to press it there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options, arguments = _OPTIONS.parse_known_args(arguments)
    if options.kept:
        failed = json_lines(options.kept)
        return once_more(failed, options.notes) if failed else 0
    code, seen = run("--max-worker-restart=0", *arguments)
    if code != pytest.ExitCode.TESTS_FAILED or seen.broken or not seen.failed:
        return code or int(seen.broken)
    if len(seen.failed) > FEW:
        tell(options.notes, [f"{len(seen.failed)} tests failed; more than {FEW} are not run once more"])
        return code
    if options.later:
        with options.later.open("a") as file:
            file.writelines(json.dumps(one) + "\n" for one in seen.failed)
        return 0
    return once_more(seen.failed, options.notes)


def json_lines(path: Path) -> list[str]:
    """Return what stands in a file, or nothing where there is none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def once_more(failed: list[str], notes: Path) -> int:
    """Run tests alone; return the exit code."""
    sys.stdout.write(f"\nRunning once more, alone: {' '.join(failed)}\n")
    sys.stdout.flush()
    code, again = run("-n", "0", *failed)
    well = set(again.passed) - set(again.failed)
    tell(notes, [f"failed beside others, {'' if one in well else 'not '}passed alone: {one}" for one in failed])
    return code or int(not well.issuperset(failed))


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
