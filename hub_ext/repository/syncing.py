"""A repository as a source of profiles: asked for its newest commit, which is checked whole and put in force, or not.

What was good stays in force whatever happens: a repository that is away, a ref that is gone, a history that was written
anew, a commit with a file that cannot be read. Files are proposals; no commit approves anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.catalog.documents import FileProblem
from hub_ext.catalog.loading import PolicyFiles, ProfileFiles
from hub_ext.catalog.timing import slow_rules
from hub_ext.catalog.trusted import trusted_rules
from hub_ext.db.session import Database
from hub_ext.db.tables import ProfilesSource
from hub_ext.db.types import now
from hub_ext.errors import HubExtError
from hub_ext.governance.acts import TOPIC
from hub_ext.governance.store import CatalogStore
from hub_ext.leases import OwnLease
from hub_ext.looking import Looking
from hub_ext.repository.address import Source
from hub_ext.repository.folder import Folders, packed
from hub_ext.repository.git import Git, Trouble
from hub_ext.repository.reading import Commit, Reader, working
from hub_ext.settings import HubExt

LEASE = "profiles"
ACTOR = "service:profiles"
ACT = "catalog.sync"

_LEASE = 120.0  # seconds, beside the pause: longer than a sync
_MOST_PROBLEMS = 50

log = structlog.get_logger("hub_ext.repository.syncing")


@dataclass(frozen=True)
class SourceState:
    """How a repository stands.

    Attributes:
        address: Where it is.
        ref: Branch, tag or commit that is followed.
        folder: Folder inside it.
        commit: The commit in force; empty: none was ever good.
        author: Its author, as git says it, which proves nothing.
        committed_at: When it was made, as git says it.
        taken_at: Since when it is in force.
        synced_at: When the ref was last seen to stand for it.
        tried_at: When the repository was asked last.
        fault: What the last sync met: empty, ``away``, ``broken`` or ``rewritten``.
        error: That in words.
        refused: The commit that was not taken.
        problems: What is wrong with its files: path, line and message.
    """

    address: str
    ref: str
    folder: str
    commit: str = ""
    author: str = ""
    committed_at: datetime | None = None
    taken_at: datetime | None = None
    synced_at: datetime | None = None
    tried_at: datetime | None = None
    fault: str = ""
    error: str = ""
    refused: str = ""
    problems: tuple[FileProblem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        found = asdict(self) | {"problems": [asdict(one) for one in self.problems]}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


class Repository:
    """The repository that settings name.

    Args:
        database: Says which commit is in force.
        catalog: The catalog of this process.
        settings: Name it.
        clock: Says the time.
    """

    def __init__(
        self, database: Database, catalog: CatalogStore, settings: HubExt, *, clock: Callable[[], datetime] = now
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._settings = settings
        self._clock = clock
        self.source = Source.of(settings)
        self._one = threading.Lock()  # a sync at a time
        self._git: Git | None = None
        self._profiles = ProfileFiles(settings.profiles)  # of the last commit: what is the same is not read again
        self._knows_better = True  # what was refused before may be taken by this release, or in this enclave

    def state(self) -> SourceState | None:
        """Return how it stands, None where profiles come from a folder.

        Raises:
            Unavailable: If the database does not answer.
        """
        if self.source is None:
            return None
        with self._database.read() as session:
            row = session.get(ProfilesSource, self.source.id)
        return _state(self.source, row)

    def sync(self, by: str = ACTOR, *, rewritten: str = "") -> None:
        """Ask the repository for its newest commit, and put it in force if all of it can be read.

        Args:
            by: Who wants it.
            rewritten: The commit that is taken also if it is not made on top of the one in force.

        Raises:
            Unavailable: If the database does not answer.
        """
        source = self.source
        if source is None:
            return
        with self._one:
            before = self.state() or _state(source, None)
            asked, self._knows_better = by != ACTOR or self._knows_better, False
            try:
                self._sync(source, before, by, asked=asked, rewritten=rewritten)
            except Trouble as trouble:
                if trouble.kind != "stopped":
                    self._failed(source, before, trouble, by)
            except OSError as error:
                words = f"The state folder cannot be written: {error.strerror or type(error).__name__}."
                self._failed(source, before, Trouble("away", words), by)
            finally:
                self._git = None
        with suppress(HubExtError, SQLAlchemyError):  # it is done; who decides looks again
            self._catalog.refresh()

    def stop(self) -> None:
        """End a sync that goes on; may be called in any thread."""
        git = self._git
        if git is not None:
            git.stop()

    def _sync(self, source: Source, before: SourceState, by: str, *, asked: bool, rewritten: str) -> None:
        folders = Folders(self._settings, source.id)
        with working(folders.root) as work:
            self._git = Git(work, source)
            reader = Reader(self._git, source)
            ref, tip = reader.tip()
            if tip == before.commit:
                self._found_same(source, before, by)
                return
            if tip == before.refused and not asked:
                raise Trouble(before.fault, before.error, tip, before.problems)
            commit = reader.read(ref, tip, "" if rewritten == tip else before.commit)
        problems = self._problems(folders.make(commit.id, commit.files))
        if problems:
            folders.remove(commit.id)
            words = f"Commit {commit.id[:12]} holds files that cannot be taken, so none of it is."
            raise Trouble("broken", words, commit.id, problems)
        self._take(source, before, commit, by)

    def _problems(self, folder: Path) -> list[FileProblem]:
        """Return what is wrong with the files of a commit, held against the lock that is in force."""
        files = PolicyFiles(folder, str(self._settings.enclave))
        lock = self._catalog.current().lock
        if lock is not None:
            files.remember(lock)
        held = files.read()
        self._profiles.folder = folder
        found = [*self._profiles.read()[1], *held.problems]
        unknown = [rule for rule in held.policy.rules if rule.digest not in trusted_rules()]
        slow = slow_rules(unknown, held.enclave) if unknown and not found else {}
        return [*found, *(FileProblem("_policy", f"the rule {name} {why}") for name, why in slow.items())]

    # What is written down.

    def _take(self, source: Source, before: SourceState, commit: Commit, by: str) -> None:
        at = self._clock()
        with suppress(IntegrityError), self._database.write() as session:  # another process was the first of all
            row = _row(session, source)
            if row.commit_id != before.commit:
                return  # another process was faster
            row.commit_id, row.author, row.committed_at = commit.id, commit.author, commit.at
            row.content, row.taken_at = packed(commit.files), at
            _well(row, at)
            detail = {"commit": commit.id, "before": before.commit, "ref": source.ref}
            audit.record(session, by, ACT, ("catalog", "profiles"), detail=detail)
            audit.announce(session, TOPIC, {"commit": commit.id})
            log.info("a commit is in force", commit=commit.id, files=len(commit.files))

    def _found_same(self, source: Source, before: SourceState, by: str) -> None:
        with self._database.write() as session:
            _well(_row(session, source), self._clock())
            if by != ACTOR:
                audit.record(session, by, ACT, ("catalog", "profiles"), detail={"commit": before.commit})
            if before.fault or by != ACTOR:
                audit.announce(session, TOPIC, {"commit": before.commit})

    def _failed(self, source: Source, before: SourceState, trouble: Trouble, by: str) -> None:
        new = (trouble.kind, trouble.words, trouble.commit) != (before.fault, before.error, before.refused)
        with suppress(IntegrityError), self._database.write() as session:
            row = _row(session, source)
            if row.commit_id != before.commit:
                return
            row.fault, row.error, row.refused = trouble.kind, trouble.words, trouble.commit
            row.problems = [[one.path, one.line, one.message] for one in trouble.problems[:_MOST_PROBLEMS]]
            row.tried_at = self._clock()
            if new or by != ACTOR:
                detail = {"error": trouble.words, "commit": trouble.commit, "in_force": before.commit}
                audit.record(session, by, ACT, ("catalog", "profiles"), outcome="failed", detail=detail)
                audit.announce(session, TOPIC, {"commit": before.commit})
        if new:
            log.warning("no commit could be taken; the last good one stays", why=trouble.words)


class RepositoryWatch(Looking):
    """Syncs again and again, in one process of all.

    Args:
        database: Where the lease is.
        repository: What is synced.
        settings: Say how often.
    """

    job = "a sync of the repository of profiles"

    def __init__(self, database: Database, repository: Repository, settings: HubExt) -> None:
        pause = float(settings.profiles_sync_every)
        super().__init__(OwnLease(database, LEASE, _LEASE + 1.5 * pause), pause, patient=False)
        self._repository = repository

    def look(self) -> None:
        """Sync, if the lease is ours."""
        if self.lease.hold():
            self._repository.sync()

    async def stop(self) -> None:
        """End at once: a repository may be slow."""
        await super().stop()
        self._repository.stop()


def _row(session: Session, source: Source) -> ProfilesSource:
    """Return the row of a source, locked; made if there is none."""
    row = session.get(ProfilesSource, source.id, with_for_update=True)
    if row is None:
        row = ProfilesSource(id=source.id, commit_id="", author="", fault="", error="", refused="", problems=[])
        session.add(row)
        session.flush()
    return row


def _well(row: ProfilesSource, at: datetime) -> None:
    row.synced_at = row.tried_at = at
    row.fault = row.error = row.refused = ""
    row.problems = []


def _state(source: Source, row: ProfilesSource | None) -> SourceState:
    about = (source.address, source.ref, source.folder)
    if row is None:
        return SourceState(*about)
    return SourceState(
        *about,
        commit=row.commit_id,
        author=row.author,
        committed_at=row.committed_at,
        taken_at=row.taken_at,
        synced_at=row.synced_at,
        tried_at=row.tried_at,
        fault=row.fault,
        error=row.error,
        refused=row.refused,
        problems=tuple(FileProblem(path, message, line) for path, line, message in row.problems),
    )
