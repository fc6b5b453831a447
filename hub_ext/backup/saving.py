"""A backup is made, also while the platform runs: the database of one moment first, then what its rows refer to."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from hub_ext import __version__
from hub_ext.backup import tables
from hub_ext.backup.archive import FORMAT, MANIFEST, Writer, told
from hub_ext.db import migrate
from hub_ext.db.session import Database
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput, NotFound, Unavailable
from hub_ext.settings import HubExt
from hub_ext.store import DRAFTS, Store

HUB_FILE = "jupyterhub.sqlite"  # of the embedded default, in the state folder
KEPT = ("keys", "secrets")  # folders of the state folder that are always part of it
HOMES = "homes"
# Of processes that are gone when it is used: leases, and what keeps a start from being made twice for a moment.
PASSING = ("leases", "platform_state")
_Tell = Callable[[str], None]


@dataclass(frozen=True)
class Sources:
    """What a backup is made of.

    Attributes:
        settings: Say where database, results and state folder are.
        hub_database: SQLAlchemy address of the Hub's database; empty: the file in the state folder, where there is one.
        homes: Whether homes in the state folder are part of it.
    """

    settings: HubExt
    hub_database: str = ""
    homes: bool = True

    @property
    def hub(self) -> str:
        """The address of the Hub's database; empty where it is not known."""
        path = self.settings.state / HUB_FILE
        return self.hub_database or (f"sqlite:///{path}" if path.exists() else "")


@dataclass
class Saved:
    """What a backup holds.

    Attributes:
        rows: Rows of both databases.
        results: Files of the result store.
        files: Files of the state folder.
        changed: Files that became shorter while they were read.
        hub: Whether the Hub's database is part of it.
        bytes: Size of the file.
    """

    rows: int = 0
    results: int = 0
    files: int = 0
    changed: list[str] = field(default_factory=list)
    hub: bool = False
    bytes: int = 0


def save(sources: Sources, path: Path, tell: _Tell = lambda _name: None) -> Saved:
    """Make a backup.

    Args:
        sources: Of what.
        path: Where it will be; there must be nothing.
        tell: Called with what is being saved.

    Raises:
        Conflict: If there is something already.
        InvalidInput: If it cannot be there.
        NotFound: If there is no platform to be saved.
        StorageFull: If its disk is full; nothing is left.
        Unavailable: If a database or the store does not answer; nothing is left.
    """
    settings, saved = sources.settings, Saved(hub=bool(sources.hub))
    path = path.absolute()
    if path.is_relative_to(settings.state):
        raise InvalidInput.of("file", f"must be outside of the state folder {settings.state}")
    database = Database(settings.database)
    if database.is_sqlite and not Path(str(database.url.database)).exists():
        raise NotFound(f"There is no platform in {settings.state}.", hint="Name its folder with --state.")
    hub = Database(sources.hub) if sources.hub else None
    try:
        with told(path), Writer(path) as writer:
            writer.add_bytes(MANIFEST, json.dumps(_manifest(settings, database, hub)).encode())
            saved.rows += _tables(writer, "database", database, tell)
            if hub is not None:
                saved.rows += _tables(writer, "hub", hub, tell)
            saved.results = _results(writer, Store.of(settings), tell)
            folders = [*KEPT, *([HOMES] if sources.homes else [])]
            saved.files = sum(_folder(writer, settings.state, name, tell) for name in folders)
            saved.changed = writer.changed
    finally:
        for one in filter(None, (database, hub)):
            one.dispose()
    saved.bytes = path.stat().st_size
    return saved


def _manifest(settings: HubExt, database: Database, hub: Database | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "release": __version__,
        "made_at": now().isoformat(timespec="seconds"),
        "enclave": str(settings.enclave),
        "revision": _read(database, migrate.revision),
        "hub_revision": _read(hub, migrate.revision) if hub is not None else "",
    }


def _read(database: Database, look: Callable[[Connection], Any]) -> Any:
    try:
        with database.read() as session:
            return look(session.connection())
    except DatabaseError as error:
        raise Unavailable("The database cannot be read.", hint="Nothing was saved.") from error


def _tables(writer: Writer, folder: str, database: Database, tell: _Tell) -> int:
    """Add all tables as they are at one moment; return how many rows."""

    def add(connection: Connection) -> int:
        rows = 0
        for table in tables.reflected(connection, PASSING):
            tell(f"{folder}: {table.name}")
            with tempfile.TemporaryFile(dir=writer.path.parent) as lines:
                for line in tables.dump(connection, table):
                    lines.write(line)
                    rows += 1
                rows -= 1  # the first line is the columns
                size = lines.tell()
                lines.seek(0)
                writer.add(f"{folder}/{table.name}.jsonl", lines, size)
        return rows

    return int(_read(database, add))


def _results(writer: Writer, store: Store, tell: _Tell) -> int:
    count = 0
    for key in store.every_key():
        if key.startswith(f"{DRAFTS}/"):
            continue
        tell(f"results: {key}")
        try:
            size, stream = store.open(key)
        except NotFound:
            continue  # deleted since: no row refers to it
        with stream:
            writer.add(f"results/{key}", stream, size)
        count += 1
    return count


def _folder(writer: Writer, state: Path, name: str, tell: _Tell) -> int:
    count = 0
    for path, about in _walk(state / name):
        inside = f"state/{path.relative_to(state).as_posix()}"
        mode = stat.S_IMODE(about.st_mode)
        tell(inside.partition("/")[2])
        if stat.S_ISREG(about.st_mode):
            try:
                stream = path.open("rb")
            except FileNotFoundError:
                continue
            with stream:
                writer.add(inside, stream, os.fstat(stream.fileno()).st_size, mode)
            count += 1
        elif stat.S_ISDIR(about.st_mode) or stat.S_ISLNK(about.st_mode):
            link = os.readlink(path) if stat.S_ISLNK(about.st_mode) else None  # noqa: PTH115  # as it is, not normalised
            writer.add_entry(inside, mode, link)
    return count


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is in a folder, each folder before its content; links are not followed, what goes away is left out."""
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        try:
            about = path.lstat()
        except FileNotFoundError:
            continue
        yield path, about
        if stat.S_ISDIR(about.st_mode):
            yield from _walk(path)
