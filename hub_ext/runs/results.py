"""What a run leaves: its files go from the launch folder into the store."""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub_ext.catalog.quantities import human_size
from hub_ext.errors import InvalidInput
from hub_ext.executor.folder import Folder
from hub_ext.store import Store, safe_path

MOST_ARTIFACTS = 1000

_MOST_LOOKED_AT = 20_000
_NOT_KEPT = frozenset({"__pycache__", ".ipynb_checkpoints"})


@dataclass(frozen=True)
class Results:
    """What was stored.

    Attributes:
        report: Key of the report, None if there is none.
        notebook: Key of the notebook with its outputs.
        picture: Key of the picture.
        artifacts: ``path``, ``size`` and ``type`` of each file that the notebook wrote.
        left_out: Why files were not kept, in words; empty if all were.
    """

    report: str | None = None
    notebook: str | None = None
    picture: str | None = None
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    left_out: str = ""


def keys(run_id: str) -> str:
    """Return the prefix of the keys of a run."""
    return f"runs/{run_id}"


def collect(store: Store, folder: Folder, run_id: str, limit: int) -> Results:
    """Put what a run left into the store. Doing it again gives the same.

    Args:
        store: The store.
        folder: The launch folder; no process of the run is alive.
        run_id: The run.
        limit: Most bytes of all artifacts.

    Raises:
        StorageFull: If there is no space.
        Unavailable: If the store does not answer.
    """
    prefix = keys(run_id)
    stored: dict[str, str | None] = {}
    for name, path in (
        ("report.html", folder.report),
        ("notebook.ipynb", folder.output),
        ("picture.png", folder.picture),
        ("events.jsonl", folder.events),
    ):
        stored[name] = f"{prefix}/{name}" if _is_regular(path) else None
        if stored[name]:
            store.put_file(f"{prefix}/{name}", path)
    artifacts, left_out = _collect_artifacts(store, folder.work, prefix, limit)
    return Results(stored["report.html"], stored["notebook.ipynb"], stored["picture.png"], artifacts, left_out)


def _collect_artifacts(store: Store, work: Path, prefix: str, limit: int) -> tuple[list[dict[str, Any]], str]:
    artifacts: list[dict[str, Any]] = []
    total, refused = 0, _Refused()
    for found, size in _files(work):
        kept = _name(found, work)
        if kept is None:
            refused.names += 1
        elif len(artifacts) >= MOST_ARTIFACTS:
            refused.count += 1
        elif total + size > limit:
            refused.size += 1
        else:
            store.put_file(f"{prefix}/artifacts/{kept}", found)
            artifacts.append({"path": kept, "size": size, "type": _type(kept)})
            total += size
    return artifacts, refused.words(limit)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _files(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield regular files and their sizes, by name; symbolic links are neither followed nor kept."""
    looked_at = 0
    for here, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _NOT_KEPT)
        for name in sorted(names):
            looked_at += 1
            if looked_at > _MOST_LOOKED_AT:
                return
            path = Path(here, name)
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_size


def _name(path: Path, root: Path) -> str | None:
    """Return the name that an artifact is kept under; None when it cannot be shown or sent safely."""
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
        safe_path(name)
    except (UnicodeEncodeError, InvalidInput):
        return None
    return name if name.isprintable() else None


def _type(name: str) -> str:
    found, encoding = mimetypes.guess_type(name)
    return found if found and not encoding else "application/octet-stream"


@dataclass
class _Refused:
    names: int = 0
    count: int = 0
    size: int = 0

    def words(self, limit: int) -> str:
        parts = (
            (self.names, "whose name cannot be kept"),
            (self.count, f"beyond the first {MOST_ARTIFACTS}"),
            (self.size, f"over the limit of {human_size(limit)} in all"),
        )
        said = [f"{count} {'file' if count == 1 else 'files'} {why}" for count, why in parts if count]
        return f"left out: {', '.join(said)}" if said else ""
