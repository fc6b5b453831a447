"""`python -m benchmarks.hostile` drives both sides, keeps what stock did, and writes the page; `ours`: ours alone."""

import contextlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.hostile import ours, record, stock
from benchmarks.hostile.options import cases
from benchmarks.hostile.paths import PATHS
from benchmarks.hostile.table import PAGE, page


def main() -> int:
    """Return an exit code."""
    table, both = cases(), "ours" not in sys.argv[1:]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-ext-hostile-")))
        beside = stack.enter_context(ThreadPoolExecutor(1))
        theirs = beside.submit(stock.results, folder / "stock", table) if both else None
        found, made = ours.results(folder / "ours", table)
        if theirs is not None:
            there, made_there = theirs.result()
            if made_there != set(PATHS):
                print(f"What is allowed was not made by {set(PATHS) - made_there}.", file=sys.stderr)
                return 1
            record.save(there)
    PAGE.write_text(page(table, record.load(), found, made), encoding="utf-8")
    print(f"wrote {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
