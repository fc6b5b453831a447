"""A backup is put back, into what is empty: checked to its end first, then files, results, and last the databases."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from hub_ext.backup import tables
from hub_ext.backup.archive import Member, check, members, told
from hub_ext.backup.saving import HOMES, HUB_FILE, KEPT, PASSING, Saved
from hub_ext.db import migrate
from hub_ext.db.session import Database
from hub_ext.errors import Conflict, InvalidInput, Unavailable
from hub_ext.settings import HubExt
from hub_ext.store import Store

_PARTIAL = "restore.partial"
_Tell = Callable[[str], None]


def restore(settings: HubExt, path: Path, hub_database: str = "", tell: _Tell = lambda _name: None) -> Saved:
    """Put a backup back.

    Args:
        settings: Say where database, results and state folder will be.
        path: The backup.
        hub_database: SQLAlchemy address of the Hub's database; empty: the file in the state folder.
        tell: Called with what is being done.

    Raises:
        InvalidInput: If the file is no whole backup, or one that this release cannot take; nothing was changed.
        Conflict: If there is a platform already; nothing was changed.
        StorageFull: If a disk is full.
        Unavailable: If a database or the store does not answer, or the folder cannot be written.
    """
    tell("checking the whole file")
    manifest = check(path)
    _known(manifest)
    state = settings.state
    with told(state):
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = _Target(settings, hub_database)
    try:
        target.must_be_empty()
        with told(state):
            shutil.rmtree(state / _PARTIAL, ignore_errors=True)
            return target.fill(path, manifest, tell)
    finally:
        target.close()


def _known(manifest: dict[str, Any]) -> None:
    if not migrate.knows(str(manifest.get("revision"))):
        told_ = str(manifest.get("release"))[:40]
        raise InvalidInput.of("file", f"was made by release {told_}, which is newer: restore it with that one")


class _Target:
    """Where a backup is put.

    Args:
        settings: All settings.
        hub_database: As for `restore`.
    """

    def __init__(self, settings: HubExt, hub_database: str) -> None:
        self._state = settings.state
        self._store = Store.of(settings)
        self._urls = {"database": settings.database, "hub": hub_database or f"sqlite:///{self._state / HUB_FILE}"}
        self._saved = Saved()

    def close(self) -> None:
        """Remove what is half-made in the state folder."""
        shutil.rmtree(self._state / _PARTIAL, ignore_errors=True)

    def must_be_empty(self) -> None:
        """Refuse to mix a platform with another.

        Raises:
            Conflict: If there is something.
        """
        there = [name for name in (*KEPT, HOMES) if any((self._state / name).glob("*"))]
        if there:
            hint = "Restore into an empty folder (--state), or move what is there out of the way."
            raise Conflict(f"{self._state} is in use: it has {' and '.join(there)}.", hint=hint)
        for what, url in self._urls.items():
            path = make_url(url).database if url.startswith("sqlite") else None
            if path is not None and not Path(path).exists():
                continue
            with _database(url) as database:
                if not tables.is_empty(database.engine):
                    whose = "The Hub's database" if what == "hub" else "The database"
                    raise Conflict(f"{whose} is not empty.", hint="Restore into an empty one.")

    def fill(self, path: Path, manifest: dict[str, Any], tell: _Tell) -> Saved:
        """Put everything where it belongs; the databases last, each in one transaction."""
        partial = self._state / _PARTIAL
        partial.mkdir(mode=0o700)
        found: dict[str, dict[str, IO[bytes]]] = {"database": {}, "hub": {}}
        with contextlib.ExitStack() as stack:
            for member in members(path):
                kind, _, name = member.name.partition("/")
                if kind in found and member.stream is not None:
                    lines = stack.enter_context(tempfile.TemporaryFile(dir=partial))
                    shutil.copyfileobj(member.stream, lines)
                    lines.seek(0)
                    found[kind][name.removesuffix(".jsonl")] = lines
                elif kind == "results" and member.stream is not None:
                    tell(f"results: {name}")
                    self._result(name, member.stream, partial)
                elif kind == "state":
                    self._saved.files += _extract(partial / "state", name, member)
            self._move(partial / "state")
            if found["hub"]:
                self._hub(found["hub"], str(manifest.get("hub_revision")), tell)
            self._database(found["database"], str(manifest["revision"]), tell)
        return self._saved

    def _result(self, key: str, stream: IO[bytes], partial: Path) -> None:
        with tempfile.NamedTemporaryFile(dir=partial) as copy:
            shutil.copyfileobj(stream, copy)
            copy.flush()
            self._store.put_file(key, Path(copy.name))
        self._saved.results += 1

    def _move(self, made: Path) -> None:
        for folder in sorted(made.iterdir()) if made.exists() else []:
            target = self._state / folder.name
            if target.exists():
                target.rmdir()  # it is empty, as was seen
            folder.rename(target)

    def _database(self, found: dict[str, IO[bytes]], revision: str, tell: _Tell) -> None:
        with _database(self._urls["database"]) as database:
            migrate.upgrade(database, revision)
            self._load(database, found, tell, "database")
            migrate.upgrade(database)

    def _hub(self, found: dict[str, IO[bytes]], revision: str, tell: _Tell) -> None:
        from jupyterhub.orm import new_session_factory

        self._saved.hub = True
        with _database(self._urls["hub"]) as database:
            with contextlib.redirect_stderr(io.StringIO()):  # Alembic's notes, as JupyterHub sets them up
                new_session_factory(database.url.render_as_string(hide_password=False)).kw["bind"].dispose()
            with database.engine.connect() as connection:
                ours = migrate.revision(connection)
            if ours != revision:
                message = f"was made beside another release of JupyterHub (its tables are {revision}, here {ours})"
                raise InvalidInput.of("file", message)
            self._load(database, found, tell, "hub")

    def _load(self, database: Database, found: dict[str, IO[bytes]], tell: _Tell, what: str) -> None:
        def put(connection: Connection) -> None:
            there = tables.reflected(connection, PASSING)
            missing = set(found) - {table.name for table in there}
            if missing:
                raise InvalidInput.of("file", f"holds the table {min(missing)[:80]!r}, which there is not")
            tables.clear(connection, there)
            for table in there:
                if table.name in found:
                    tell(f"{what}: {table.name}")
                    self._saved.rows += tables.load(connection, table, found[table.name])
            tables.count_on(connection, there)

        try:
            with database.write() as session:
                put(session.connection())
        except (ValueError, DatabaseError) as error:
            raise InvalidInput.of("file", f"does not fit the tables of this release ({type(error).__name__})") from None


@contextlib.contextmanager
def _database(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    except SQLAlchemyError as error:
        raise Unavailable("The database does not answer.", hint="Nothing of it was changed.") from error
    finally:
        database.dispose()


def _extract(folder: Path, name: str, member: Member) -> int:
    """Write a member below a folder; never through a link that an earlier one made. Return how many files."""
    target = folder / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(folder.resolve()) or target.is_symlink():
        raise InvalidInput.of("file", f"holds {name[:200]!r}, which is behind a link")
    if member.target is not None:
        target.symlink_to(member.target)
        return 0
    if member.stream is None:
        target.mkdir(mode=0o700, exist_ok=True)
        target.chmod(member.mode | 0o700)
        return 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(target, flags, 0o600), "wb") as stream:
        shutil.copyfileobj(member.stream, stream)
        os.fchmod(stream.fileno(), member.mode)
    return 1
