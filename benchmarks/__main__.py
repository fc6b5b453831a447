"""`python -m benchmarks [name …]`: print the figures of all or of the named benchmarks."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    access,
    catalog_pages,
    crowd,
    decide,
    gallery,
    kubernetes_run,
    kubernetes_scale,
    kubernetes_start,
    memory,
    run,
    server_start,
    sign_in,
)

ALL: dict[str, Callable[[Path], None]] = {
    "server_start": server_start.main,
    "run": run.main,
    "decide": decide.main,
    "catalog_pages": catalog_pages.main,
    "gallery": gallery.main,
    "access": access.main,
    "sign_in": sign_in.main,
    "memory": memory.main,
}
ON_A_CLUSTER: dict[str, Callable[[Path], None]] = {  # only when named
    "kubernetes_start": kubernetes_start.main,
    "kubernetes_run": kubernetes_run.main,
    "kubernetes_scale": kubernetes_scale.main,
    "crowd": crowd.main,
}


def main() -> int:
    """Run them one after the other; return an exit code."""
    names = sys.argv[1:] or list(ALL)
    known = ALL | ON_A_CLUSTER
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    for name in names:
        with tempfile.TemporaryDirectory(prefix="hub-ext-bench-") as folder:
            known[name](Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
