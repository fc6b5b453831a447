"""`python -m benchmarks [name …]`: print the figures of all or of the named benchmarks."""

import sys
import tempfile
from pathlib import Path

from benchmarks import decide, gallery, memory, run, server_start

ALL = {
    "server_start": server_start.main,
    "run": run.main,
    "decide": decide.main,
    "gallery": gallery.main,
    "memory": memory.main,
}


def main() -> int:
    """Run them one after the other; return an exit code."""
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(ALL)}.", file=sys.stderr)
        return 2
    for name in names:
        with tempfile.TemporaryDirectory(prefix="hub-ext-bench-") as folder:
            ALL[name](Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
