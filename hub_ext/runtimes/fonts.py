"""Finds the fonts of this machine once for all runs: `python -m hub_ext.runtimes.fonts FOLDER`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from hub_ext.executor.processes import die_with_parent


def main(folder: Path) -> None:
    """Let matplotlib write its list of fonts into a folder, all or nothing, at the lowest priority.

    Args:
        folder: Where the list goes.
    """
    die_with_parent()
    os.nice(19)
    for left in folder.glob("new-*"):  # by one that was ended too early
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="new-") as made:
        os.environ["MPLCONFIGDIR"] = made
        import matplotlib.font_manager  # noqa: F401  # it writes the list when it is imported

        for path in Path(made).glob("fontlist-*.json"):
            path.replace(folder / path.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
