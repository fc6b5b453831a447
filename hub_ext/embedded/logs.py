"""Logs that do not grow for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

from hub_ext.executor.events import FULL

LARGEST = 10 * 2**20  # bytes


def keep_small(folder: Path, largest: int = LARGEST) -> list[Path]:
    """Move the content of each log that is too large to a file beside it; the one before that goes.

    The log itself is emptied, not replaced: the process that writes it has it open, to append. On a full disk its
    content is not kept.

    Args:
        folder: Folder of the logs; folders in it are looked at, too.
        largest: Most bytes that a log may have.

    Returns:
        The logs that were emptied.
    """
    emptied = []
    for path in folder.rglob("*.log"):
        if path.is_file() and path.stat().st_size > largest:
            older = path.with_suffix(".log.1")
            try:
                shutil.copyfile(path, older)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                older.unlink(missing_ok=True)  # a full disk needs the space more than anybody the log
            with path.open("r+b") as log:
                log.truncate(0)
            emptied.append(path)
    return emptied
