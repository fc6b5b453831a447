"""The snapshot of the catalog that a process uses: from files and database, made anew when one of them changes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from hub_ext.catalog.documents import FileProblem
from hub_ext.catalog.loading import OPERATOR, PolicyFiles, PolicyInForce, ProfileFiles
from hub_ext.catalog.locks import ImagesLock
from hub_ext.catalog.models import Profile
from hub_ext.catalog.policy import Enclave, Policy, Rule, nothing_starts
from hub_ext.catalog.snapshot import Catalog
from hub_ext.catalog.timing import slow_rules
from hub_ext.catalog.trusted import trusted_rules
from hub_ext.db.session import Database
from hub_ext.db.tables import Snapshot
from hub_ext.db.types import now
from hub_ext.errors import HubExtError
from hub_ext.governance.building import Recorded, build, load_recorded
from hub_ext.governance.state import Agreed, agreed, keep_time
from hub_ext.repository.following import NO_COMMIT, Following
from hub_ext.settings import HubExt

log = structlog.get_logger("hub_ext.governance.store")

_LOOK_EVERY = 1.0  # seconds between two looks at the files
_PATIENCE = 2.0  # seconds that somebody waits for the look of somebody else


class CatalogStore:
    """The snapshot of the catalog that this process uses.

    `current` never waits but for the first snapshot: a look at files and database happens in a thread, at most once a
    second. `fresh` is for decisions: it knows every change that was committed.

    Args:
        settings: Says which folder holds the files, and which enclave this is.
        database: Where versions and approvals are; without it, only what ships with this release can be started.
        clock: Says the time.
    """

    def __init__(
        self, settings: HubExt, database: Database | None = None, *, clock: Callable[[], datetime] = now
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._following = Following.of(settings)
        self._profile_files = ProfileFiles(settings.profiles, *([NO_COMMIT] if self._following else []))
        self._policy_files = PolicyFiles(settings.profiles, str(settings.enclave))
        self._lock_known = False
        self._timed: dict[str, str] = {}  # digest of a rule → what is wrong with it, empty for nothing
        self._files: tuple[list[Profile], list[FileProblem], PolicyInForce, str] | None = None
        self._recorded: Recorded | None = None
        self._catalog: Catalog | None = None
        self._latest: datetime | None = None
        self._ends_at: datetime | None = None
        self._looked = 0.0
        self._look = threading.Lock()  # one look at the files at a time
        self._swap = threading.Lock()  # what is known, and the snapshot of it
        self._written: set[str] = set()

    def attach(self, database: Database) -> None:
        """Use a database, if none is used yet."""
        with self._swap:
            if self._database is None:
                self._database = database
                self._looked = 0.0

    # The snapshot.

    def current(self) -> Catalog:
        """Return the snapshot; it may be a second old."""
        catalog = self._catalog
        if catalog is None:
            return self.refresh(only_first=True)
        if self._is_old():
            self.prefetch()
        return catalog

    def last(self) -> Catalog:
        """Return the snapshot of the last look, however old: for what does not change, asked often."""
        return self._catalog or self.current()

    def recent(self) -> Catalog:
        """Return the snapshot, a second old at most; waits for a look at files and database where it is older.

        Where the database does not answer, or a look takes long, the last snapshot is what there is.
        """
        if self._catalog is not None and self._is_old() and self._look.acquire(timeout=_PATIENCE):
            try:
                with contextlib.suppress(HubExtError, SQLAlchemyError):
                    return self._look_now() if self._is_old() else self._catalog
            finally:
                self._look.release()
        return self.current()

    def _is_old(self) -> bool:
        return time.monotonic() - self._looked > _LOOK_EVERY

    def prefetch(self, also: Callable[[], object] | None = None) -> None:
        """Look at files and database in a thread, if nobody does already.

        Args:
            also: Called in that thread afterwards.
        """
        if also is not None or not self._look.locked():
            threading.Thread(target=self._look_quietly, args=(also,), name="catalog", daemon=True).start()

    def refresh(self, *, only_first: bool = False) -> Catalog:
        """Look at files and database now, and return the snapshot.

        Args:
            only_first: Somebody else's look will do, if there was one meanwhile.

        Raises:
            Unavailable: If the database does not answer, and did before.
            StorageFull: If the files of a repository cannot be written, and never could be.
        """
        with self._look:
            if only_first and self._catalog is not None:
                return self._catalog
            return self._look_now()

    def fresh(self, session: Session) -> tuple[Catalog, Agreed]:
        """Return the snapshot with every change to versions that a transaction sees, and what all agree on.

        Args:
            session: The transaction of the decision.
        """
        catalog, known = self.current(), self._recorded
        at = agreed(session)
        if known is None or at.generation > known.agreed.generation or self._over(self.now(at)):
            recorded = load_recorded(session, known)
            with self._swap:
                self._recorded = recorded
                catalog = self._build()
        return catalog, at

    def now(self, at: Agreed | None = None) -> datetime:
        """Return the time that counts: a clock that jumps back does not turn it back.

        Args:
            at: What all processes agree on, where it is at hand.
        """
        known = [self._clock(), *([self._latest] if self._latest else []), *([at.clock] if at else [])]
        self._latest = max(known)
        return self._latest

    def clock(self) -> datetime:
        """Return the time of this machine's clock, which may jump back: to measure what lasts, not what has ended."""
        return self._clock()

    def _over(self, at: datetime) -> bool:
        return self._ends_at is not None and at >= self._ends_at

    # Looking.

    def _look_quietly(self, also: Callable[[], object] | None = None) -> None:
        if self._look.acquire(blocking=False):
            try:
                self._look_now()
            except (HubExtError, SQLAlchemyError, OSError) as error:
                log.warning("the catalog could not be looked at; the last snapshot stays", error=type(error).__name__)
            finally:
                self._look.release()
        if also is not None:
            also()

    def _look_now(self) -> Catalog:
        self._looked = time.monotonic()
        commit = self._follow()
        profiles, problems = self._profile_files.read()
        self._remember_lock()
        held, recorded = self._timed_policy(self._policy_files.read()), self._recorded
        if self._database is not None:
            try:
                with self._database.read() as session:
                    held = self._last_good(session, held)
                    if recorded is None or agreed(session).generation > recorded.agreed.generation:
                        recorded = load_recorded(session, recorded)
            except (HubExtError, SQLAlchemyError):
                if self._catalog is not None:
                    raise
                log.warning("the database does not answer: only what ships can be shown until it does")
        with self._swap:
            files = profiles, problems, held, commit
            newer = recorded is not self._recorded and _newer(recorded, self._recorded)
            same = self._catalog is not None and files == self._files and not newer and not self._over(self.now())
            self._files = files
            self._recorded = recorded if newer else self._recorded
            return self._catalog if same and self._catalog is not None else self._build()

    def _follow(self) -> str:
        """Read the files of the commit in force from now on, where they come from a repository; return its id."""
        if self._following is None or self._database is None:
            return ""
        folder = self._following.look(self._database)
        if folder is not None:
            self._profile_files.folder = folder
            self._policy_files.move(folder)
        return self._following.commit

    def _build(self) -> Catalog:
        """Make the snapshot of what is known; the one there is stays when it is the same."""
        assert self._files is not None  # noqa: S101  # a look came first
        profiles, problems, held, commit = self._files
        recorded = self._recorded or Recorded()
        at = self.now(recorded.agreed)
        made = build(profiles, problems, held, recorded, at, commit)
        coming = [one.removal_at for one in recorded.versions if one.removal_at is not None and one.removal_at > at]
        self._ends_at = min(coming, default=None)
        if made != self._catalog:
            if self._catalog is not None:
                log.info("the catalog has changed", snapshot=made.digest, problems=len(made.problems))
            self._catalog = made
        return self._catalog

    # The policy.

    def _timed_policy(self, held: PolicyInForce) -> PolicyInForce:
        """Return what is in force with the rules that are too slow as problems; such a policy is not used."""
        unknown = [rule for rule in held.policy.rules if rule.digest not in self._timed and _needs_timing(rule)]
        if unknown:
            wrong = slow_rules(unknown, held.enclave)
            self._timed |= {rule.digest: wrong.get(rule.id, "") for rule in unknown}
        timed = [(rule.id, self._timed.get(rule.digest)) for rule in held.policy.rules]
        slow = [FileProblem("_policy", f"the rule {name} {why}") for name, why in timed if why]
        if not slow:
            return held
        before = self._files[2] if self._files else None
        kept = before or replace(held, policy=nothing_starts("A rule of the policy is too slow.", OPERATOR))
        return replace(kept, problems=(*held.problems, *slow))

    def _last_good(self, session: Session, held: PolicyInForce) -> PolicyInForce:
        """Return the policy of the last snapshot in place of one that cannot be read at all."""
        if not held.policy.unreadable:
            return held
        content = self._last_content(session)
        if content is None:
            return held
        try:
            rules = tuple(Rule.model_validate(rule) for rule in content["rules"])
            policy, enclave = Policy(rules, content["owners"]), Enclave.model_validate(content["enclave"])
        except (ValidationError, KeyError):
            return held  # another release wrote it
        note = "The rules and the enclave of the last snapshot hold, since their files cannot be read."
        return PolicyInForce(policy, enclave, held.problems, (*held.notes, note), _lock_of(content))

    def _last_content(self, session: Session) -> dict[str, Any] | None:
        """Return the last snapshot that a decision in this enclave looked at."""
        query = select(Snapshot.content).where(Snapshot.enclave == str(self._settings.enclave))
        return session.scalar(query.order_by(Snapshot.at.desc()).limit(1))

    def _remember_lock(self) -> None:
        """Know the lock that was in force before this process began: it stays if the file breaks, or goes back."""
        if self._lock_known or self._database is None:
            return
        with contextlib.suppress(HubExtError, SQLAlchemyError), self._database.read() as session:
            lock = _lock_of(self._last_content(session) or {})
            if lock is not None:
                self._policy_files.remember(lock)
            self._lock_known = True

    # What decisions leave behind.

    def keep(self, session: Session, catalog: Catalog, at: datetime, before: Agreed, *, ended: bool) -> None:
        """Write a snapshot that a decision looked at, and the time of the decision.

        Args:
            session: The transaction of the decision.
            catalog: The snapshot.
            at: The time of the decision.
            before: What was agreed at its beginning.
            ended: An exception or a version has ended since the time that was kept last.
        """
        keep_time(session, at, before, at_once=ended)
        if catalog.digest in self._written:
            return
        if session.scalar(select(Snapshot.digest).where(Snapshot.digest == catalog.digest)) is not None:
            self._written.add(catalog.digest)
            return
        name = "" if catalog.policy.unreadable else catalog.enclave.metadata.name
        with contextlib.suppress(IntegrityError), session.begin_nested():  # another process was first
            content = catalog.content()
            session.add(Snapshot(digest=catalog.digest, content=content, enclave=name, commit_id=catalog.commit))


def _lock_of(content: Mapping[str, Any]) -> ImagesLock | None:
    """Return the lock of a snapshot, None where there is none that can be read."""
    try:
        return ImagesLock.model_validate(content.get("lock"))
    except ValidationError:
        return None


def _newer(one: Recorded | None, other: Recorded | None) -> bool:
    return one is not None and (other is None or one.agreed.generation > other.agreed.generation)


def _needs_timing(rule: Rule) -> bool:
    return rule.digest not in trusted_rules()
