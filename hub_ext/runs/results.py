"""What a run leaves: its files go from the launch folder into the store."""

from __future__ import annotations

import mimetypes
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub_ext.catalog.quantities import human_size
from hub_ext.errors import InvalidInput
from hub_ext.executor.folder import Folder
from hub_ext.store import Store, safe_path

MOST_ARTIFACTS = 1000


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
    found = {path.relative_to(folder.work).as_posix(): (path, size) for path, size in folder.files()}
    chosen = choose(((name, size) for name, (_, size) in found.items()), limit)
    for name, _ in chosen.kept:
        store.put_file(f"{prefix}/artifacts/{name}", found[name][0])
    artifacts = [{"path": name, "size": size, "type": _type(name)} for name, size in chosen.kept]
    left_out = "; ".join(filter(None, (_left_out_before(folder), chosen.left_out)))
    return Results(stored["report.html"], stored["notebook.ipynb"], stored["picture.png"], artifacts, left_out)


@dataclass(frozen=True)
class Chosen:
    """Which files are kept.

    Attributes:
        kept: Their names and sizes.
        left_out: Why others are not, in words; empty if all are.
    """

    kept: list[tuple[str, int]]
    left_out: str


def choose(files: Iterable[tuple[str, int]], limit: int) -> Chosen:
    """Choose the files that become artifacts.

    Args:
        files: Path below the working folder, and size.
        limit: Most bytes of all.
    """
    kept: list[tuple[str, int]] = []
    total, refused = 0, _Refused()
    for name, size in files:
        if not _can_be_kept(name):
            refused.names += 1
        elif len(kept) >= MOST_ARTIFACTS:
            refused.count += 1
        elif total + size > limit:
            refused.size += 1
        else:
            kept.append((name, size))
            total += size
    return Chosen(kept, refused.words(limit))


def _left_out_before(folder: Folder) -> str:
    """Return what was left out already before it came here (`hub_ext.runs.mirror`)."""
    try:
        return folder.left_out.read_text(encoding="utf-8")
    except OSError:
        return ""


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _can_be_kept(name: str) -> bool:
    """Return whether a file can be shown and sent safely under its name."""
    try:
        name.encode()
        safe_path(name)
    except (UnicodeEncodeError, InvalidInput):
        return False
    return name.isprintable()


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
