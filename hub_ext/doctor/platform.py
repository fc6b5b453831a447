"""The parts that a platform keeps its state in: looked at one by one, each on its own, nothing changed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import func, select, text

from hub_ext.catalog.loading import PolicyFiles, ProfileFiles
from hub_ext.db import migrate
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow
from hub_ext.doctor import runs
from hub_ext.doctor.finding import Finding, ok
from hub_ext.errors import HubExtError
from hub_ext.repository.address import Source
from hub_ext.repository.git import Git, Trouble
from hub_ext.repository.reading import Reader
from hub_ext.settings import HubExt
from hub_ext.store import Store

_LITTLE = 1 << 30  # bytes of space
_SKEW = 30.0  # seconds between two clocks
_LATE = 60.0  # seconds that an act may wait to be sealed


def look(settings: HubExt, hub_url: str) -> Iterator[Finding]:
    """Look at everything but the cluster.

    Args:
        settings: All settings.
        hub_url: Address of the Hub's database; empty: the file in the state folder.
    """
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("state folder", lambda: _folder(settings.state)),
        ("keys", lambda: _keys(settings.state / "keys")),
        ("database", lambda: _database(settings)),
        ("the Hub's database", lambda: _hubs(hub_url or f"sqlite:///{settings.state / 'jupyterhub.sqlite'}")),
        ("result store", lambda: _store(settings)),
        ("profiles", lambda: _profiles(settings)),
    ]
    for what, check in checks:
        try:
            yield from check()
        except HubExtError as error:
            yield Finding(what, "fail", error.detail, error.hint)
        except Exception as error:  # noqa: BLE001  # what one look meets must not hide the others
            yield Finding(what, "fail", f"could not be looked at ({type(error).__name__})", "See the log of this part.")


def _folder(path: Path) -> Iterator[Finding]:
    if not path.is_dir():
        yield Finding("state folder", "fail", f"{path} is not there", "Set HUB_EXT_STATE, or start the platform once.")
        return
    probe = path / f".doctor-{uuid4().hex[:8]}"
    try:
        probe.write_bytes(bytes(4096))  # an empty file takes no space
        probe.unlink()
    except OSError as error:
        advice = "Make space, or give the folder to the user that the platform runs as."
        yield Finding("state folder", "fail", f"{path} cannot be written: {os.strerror(error.errno or 0)}", advice)
        return
    usage = shutil.disk_usage(path)
    free = f"{usage.free / 2**30:.1f} GB free"
    if usage.free < _LITTLE or usage.free < usage.total / 50:
        yield Finding("state folder", "warn", f"{path}: {free}", "Make space: runs fail when there is none.")
    else:
        yield ok("state folder", f"{path}: {free}")


def _keys(folder: Path) -> Iterator[Finding]:
    files = [one for one in folder.iterdir() if one.is_file()] if folder.is_dir() else []
    # A volume that is mounted with a group for all containers opens files to that group, who is nobody else.
    others = [one.name for one in files if stat.S_IMODE(one.stat().st_mode) & 0o007]
    if others:
        text_ = f"others may read {', '.join(sorted(others))}"
        yield Finding("keys", "fail", text_, f"chmod -R go= {folder}; whoever read them can act as the platform.")
    else:
        yield ok("keys", f"{len(files)} files that nobody else reads")


def _open(what: str, url: str) -> tuple[Database | None, Finding | None]:
    database = Database(url)
    if database.is_sqlite and not Path(str(database.url.database)).is_file():
        return None, Finding(what, "fail", "there is none", "Start the platform once; it makes it.")
    return database, None


def _database(settings: HubExt) -> Iterator[Finding]:
    what = "database"
    database, missing = _open(what, settings.database)
    if database is None:
        yield from [missing] if missing else []
        return
    with closing(database):
        with database.engine.execution_options(hub_ext_write=False).connect() as connection:
            revision = migrate.revision(connection)
            if not revision:
                yield Finding(what, "fail", "it is empty", "Start the platform once; it makes the tables.")
                return
            if not migrate.knows(revision):
                text_ = f"a later release brought it to {revision}"
                yield Finding(what, "fail", text_, "Install that release, or restore a backup of this one.")
                return
            there = connection.execute(select(func.now())).scalar_one() if not database.is_sqlite else None
        if found := migrate.differences(database):
            text_ = f"it is at {revision}, and {len(found)} things differ from this release"
            yield Finding(what, "fail", text_, "Start the platform: it brings the database to its release.")
        else:
            yield ok(what, f"{database.url.get_backend_name()} at {revision}")
        if there is not None:
            yield from _clocks(there)
        yield from _record(database)
        yield from runs.look(settings, database)


def _clocks(there: datetime) -> Iterator[Finding]:
    apart = abs((datetime.now(UTC) - there).total_seconds())
    if apart > _SKEW:
        text_ = f"this machine and the database are {apart:.0f} s apart"
        yield Finding("clocks", "fail", text_, "Set the clocks by a time server: leases and entitlements go by them.")
    else:
        yield ok("clocks", "this machine and the database agree")


def _record(database: Database) -> Iterator[Finding]:
    with database.read() as session:
        oldest = session.scalar(select(func.min(AuditRow.at)).where(AuditRow.digest.is_(None)))
    waits = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    if waits > _LATE:
        text_ = f"acts have waited for {waits:.0f} s to be sealed"
        yield Finding("record", "warn", text_, "Is the sharing service running? It seals them within a second.")
    else:
        yield ok("record", "sealed")


def _hubs(url: str) -> Iterator[Finding]:
    what = "the Hub's database"
    database, missing = _open(what, url)
    if database is None:
        yield from [missing] if missing else []
        return
    with closing(database), database.engine.execution_options(hub_ext_write=False).connect() as connection:
        revision = migrate.revision(connection)
        if not revision:
            yield Finding(what, "fail", "it is empty", "Start the Hub once; it makes the tables.")
            return
        people = connection.execute(text("SELECT count(*) FROM users")).scalar_one()
        yield ok(what, f"{database.url.get_backend_name()} at {revision}, {people} people")


def _store(settings: HubExt) -> Iterator[Finding]:
    store, key = Store.of(settings), f"health/doctor-{uuid4().hex[:8]}"
    store.put(key, b"is it there?")
    found = store.get(key)
    store.delete(key)
    if found != b"is it there?":
        yield Finding("result store", "fail", "it gives back something else than was put", "Look at the store itself.")
    else:
        yield ok("result store", "takes and gives back")


def _profiles(settings: HubExt) -> Iterator[Finding]:
    source = Source.of(settings)
    if source is None:
        yield from _files(settings, settings.profiles)
        return
    with TemporaryDirectory() as work:
        try:
            reader = Reader(Git(Path(work), source), source)
            commit = reader.read(*reader.tip())
        except Trouble as trouble:
            advice = "The last good commit stays in force; the page Profiles tells more."
            yield Finding("repository of profiles", "fail", trouble.words, advice)
            return
        yield ok("repository of profiles", f"{source.ref} is {commit.id[:12]}")
        folder = Path(work) / "files"
        for where, content in commit.files.items():
            (folder / where).parent.mkdir(parents=True, exist_ok=True)
            (folder / where).write_bytes(content.encode())
        yield from _files(settings, folder)


def _files(settings: HubExt, folder: Path) -> Iterator[Finding]:
    profiles, problems = ProfileFiles(folder).read()
    held = PolicyFiles(folder, str(settings.enclave)).read()
    wrong = [*problems, *held.problems]
    for one in wrong[:10]:
        yield Finding("profiles", "fail", str(one), "`hub-ext profiles check` says more.")
    if not wrong:
        rules = len(held.policy.rules)
        yield ok("profiles", f"{len(profiles)} versions, {rules} rules, enclave {held.enclave.metadata.name}")
    if not wrong and settings.runtime == "kubernetes":
        images = {profile.spec.image for profile in profiles}
        known = set(held.lock.images) if held.lock is not None else set()
        if missing := sorted(images - known):
            text_ = f"the enclave's lock does not say what {', '.join(missing)} means"
            yield Finding("images", "warn", text_, "Put them into images.lock; profiles that name them do not start.")
