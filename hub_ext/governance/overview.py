"""What curators look at: every version with its state, checks and use; what waits for whom; who runs what goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer, selectinload

from hub_ext.catalog.check import CheckFinding
from hub_ext.catalog.diff import ProfileDiff, diff
from hub_ext.catalog.models import Profile
from hub_ext.catalog.snapshot import TRUSTED, Catalog
from hub_ext.db.tables import PolicyException, ProfileVersion, Run, ServerStart
from hub_ext.governance.acts import Acts
from hub_ext.governance.building import STARTABLE
from hub_ext.governance.exceptions import load_exceptions
from hub_ext.governance.rows import by_number, is_name, next_number
from hub_ext.governance.views import RELEASE, Unreadable, VersionInfo, info_of

USED_WITHIN = timedelta(days=30)
SOON = timedelta(days=14)
_OPEN_SERVERS = ("starting", "ready")
_OPEN_RUNS = ("queued", "starting", "running")


@dataclass(frozen=True)
class Use:
    """How a version is used.

    Attributes:
        servers: People whose server of it runs or starts now.
        runs: People whose runs of it are queued or run now.
        starts: Starts of servers within 30 days.
        last: When a server or run of it was asked for last.
    """

    servers: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    starts: int = 0
    last: datetime | None = None

    @property
    def people(self) -> list[str]:
        """Names of who is affected now."""
        return sorted(self.servers | self.runs)

    def __or__(self, other: Use) -> Use:
        last = max((one for one in (self.last, other.last) if one is not None), default=None)
        return Use(self.servers | other.servers, self.runs | other.runs, self.starts + other.starts, last)


@dataclass(frozen=True)
class Entry:
    """One version with everything that a curator's table shows.

    Attributes:
        version: The version.
        findings: What its check finds; None while nobody has worked that out.
        use: How it is used.
    """

    version: VersionInfo
    findings: list[CheckFinding] | None
    use: Use = field(default_factory=Use)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self.version.as_dict() | {
            "findings": None if self.findings is None else [finding.as_dict() for finding in self.findings],
            "people_now": self.use.people,
            "starts": self.use.starts,
            "last_start": self.use.last.isoformat() if self.use.last else None,
        }


@dataclass(frozen=True)
class Draft:
    """A file that somebody looks at before it is proposed.

    Attributes:
        profile: What it says.
        findings: What its check finds.
        change: What servers would become.
        next: The lowest number that is free.
    """

    profile: Profile
    findings: list[CheckFinding]
    change: ProfileDiff
    next: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "name": self.profile.name,
            "version": self.profile.version,
            "title": self.profile.metadata.title,
            "digest": self.profile.digest,
            "findings": [finding.as_dict() for finding in self.findings],
            "diff": self.change.as_dict(),
            "next": self.next,
        }


class Overview(Acts):
    """Looks at versions; changes nothing. See `Acts` for its arguments."""

    def checked(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return entries with what their checks find, worked out where nobody has yet.

        Args:
            entries: From `entries`.
        """
        with self.database.read() as session:
            catalog, at = self.catalog.fresh(session)
            excepted = _by_profile(load_exceptions(session, self.catalog.now(at)))
        return [
            one
            if one.findings is not None
            else replace(one, findings=self.checks.findings(one.version.profile, catalog, _of(excepted, one)))
            for one in entries
        ]

    def entries(self, *, check: bool = False, name: str | None = None) -> list[Entry]:
        """Return every version, by name and number; those that wait for approval are among them.

        Args:
            check: Work out what is not known yet; else `findings` may be None.
            name: Of which profile; None for all.
        """
        with self.database.read() as session:
            catalog, at = self.catalog.fresh(session)
            now = self.catalog.now(at)
            versions = list(self._versions(session, catalog, now, name))
            uses = usage(session, now, name) if versions else {}
            excepted = _by_profile(load_exceptions(session, now))
        found = [
            Entry(
                one,
                self.checks.known(one.profile, catalog, excepted.get(one.name, frozenset())),
                uses.get((one.name, one.number), Use()),
            )
            for one in sorted(versions, key=lambda one: (one.name, one.number))
        ]
        return self.checked(found) if check else found

    def version(self, name: str, number: int | None = None) -> VersionInfo | None:
        """Return one version, by default the newest whatever its state; None if there is none.

        Args:
            name: Name of the profile.
            number: Number of the version.
        """
        with self.database.read() as session:
            catalog, at = self.catalog.fresh(session)
            found = self._versions(session, catalog, self.catalog.now(at), name)
            wanted = [one for one in found if number in (None, one.number)]
        return max(wanted, key=lambda one: one.number, default=None)

    def _versions(
        self, session: Session, catalog: Catalog, now: datetime, name: str | None = None
    ) -> Iterable[VersionInfo]:
        """Yield every version; the contents of those in the snapshot are not read again."""
        if name is not None and not is_name(name):
            return
        known = {(one.name, one.version): one for one in catalog.profiles if catalog.standing(one) is not TRUSTED}
        recorded = set()
        query = select(ProfileVersion).options(defer(ProfileVersion.content), selectinload(ProfileVersion.approvals))
        for row in session.scalars(query if name is None else query.where(ProfileVersion.name == name)):
            key = (row.name, row.number)
            recorded.add(key)
            content = known.get(key) if row.state in STARTABLE else None
            with suppress(ValidationError):  # `unreadable` tells it, or the snapshot's problems where it was approved
                yield info_of(row, self.required, now, content)
        for profile in catalog.profiles:
            if (profile.name, profile.version) not in recorded and name in (None, profile.name):
                yield VersionInfo(profile, profile.digest, "trusted", RELEASE)
        for profile in catalog.proposals:
            if name in (None, profile.name):
                yield VersionInfo(profile, profile.digest, "file")

    def waiting(self) -> list[VersionInfo]:
        """Return the proposals that wait for approval, the oldest first."""
        return [one for one in self._proposals() if isinstance(one, VersionInfo)]

    def unreadable(self) -> list[Unreadable]:
        """Return the proposals that this release cannot read, the oldest first."""
        return [one for one in self._proposals() if isinstance(one, Unreadable)]

    def _proposals(self) -> Iterator[VersionInfo | Unreadable]:
        with self.database.read() as session:
            query = select(ProfileVersion).where(ProfileVersion.state == "proposed")
            now = self._now(session)
            for row in session.scalars(query.order_by(ProfileVersion.proposed_at, ProfileVersion.digest)):
                try:
                    yield info_of(row, self.required, now)
                except ValidationError as error:
                    yield Unreadable.of(row, error)

    def ending_exceptions(self, within: timedelta = SOON) -> list[PolicyException]:
        """Return the exceptions that end soon, the next first."""
        with self.database.read() as session:
            now = self._now(session)
            query = select(PolicyException).where(
                PolicyException.until > now, PolicyException.until <= now + within, PolicyException.revoked_at.is_(None)
            )
            return list(session.scalars(query.order_by(PolicyException.until, PolicyException.id)))

    def affected(self, name: str, number: int | None = None) -> Use:
        """Return who uses a profile, or one version of it, now and lately.

        Args:
            name: Name of the profile.
            number: Number of the version; None for all of them.
        """
        with self.database.read() as session:
            found = usage(session, self._now(session), name)
        use = Use()
        for (_, one), more in found.items():
            use = use | more if number in (None, one) else use
        return use

    def on_deprecated(self) -> list[Entry]:
        """Return the deprecated versions that somebody runs now or started within 30 days."""
        entries = [one for one in self.entries() if one.version.state in ("deprecated", "removed")]
        return [one for one in entries if one.use.people or one.use.starts]

    def change(self, name: str, number: int) -> ProfileDiff | None:
        """Return what servers would become with a version, against the one that a start gets now.

        Args:
            name: Name of the profile.
            number: Number of the version.

        Returns:
            None if there is no such version.
        """
        found = self.version(name, number)
        if found is None:
            return None
        catalog = self.catalog.current()
        older = [one for one in catalog.versions(name) if one.version < number]
        return diff(older[-1] if older else None, found.profile, catalog)

    def draft(self, profile: Profile) -> Draft:
        """Return what a version would be that nobody has proposed.

        Args:
            profile: Its content.
        """
        with self.database.read() as session:
            catalog, at = self.catalog.fresh(session)
            excepted = _by_profile(load_exceptions(session, self.catalog.now(at), profile.name))
            number = next_number(session, catalog, profile.name)
        older = [one for one in catalog.versions(profile.name) if one.version < profile.version]
        findings = self.checks.findings(profile, catalog, excepted.get(profile.name, frozenset()))
        return Draft(profile, findings, diff(older[-1] if older else None, profile, catalog), number)

    def content(self, name: str, number: int) -> Profile | None:
        """Return the content of a version that is in the database, None if it is not."""
        with self.database.read() as session:
            row = by_number(session, name, number)
            return Profile.model_validate(row.content) if row is not None else None


def _of(excepted: Mapping[str, frozenset[str]], entry: Entry) -> frozenset[str]:
    return excepted.get(entry.version.name, frozenset())


def _by_profile(exceptions: Iterable[Any]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for one in exceptions:
        found[one.profile] = found.get(one.profile, frozenset()) | {one.rule}
    return found


def usage(session: Session, now: datetime, name: str | None = None) -> dict[tuple[str, int], Use]:
    """Return how versions are used: name and number → use.

    Args:
        session: Any transaction.
        now: The time.
        name: Of which profile; None for all.
    """
    since = now - USED_WITHIN
    found: dict[tuple[str, int], Use] = {}

    def add(rows: Iterable[Any], make: Callable[[Any], Use]) -> None:
        for row in rows:
            key = (row[0], row[1] or 0)
            found[key] = found.get(key, Use()) | make(row)

    def of(query: Any, column: Any) -> Any:
        return query if name is None else query.where(column == name)

    starts = (ServerStart.profile, ServerStart.profile_version)
    runs = (Run.profile, Run.profile_version)
    open_servers = select(*starts, ServerStart.user).where(ServerStart.outcome.in_(_OPEN_SERVERS))
    open_runs = select(*runs, Run.caller).where(Run.state.in_(_OPEN_RUNS))
    last_starts = select(*starts, func.count(), func.max(ServerStart.asked_at)).where(ServerStart.asked_at >= since)
    last_runs = select(*runs, func.max(Run.created_at)).where(Run.created_at >= since)
    add(session.execute(of(open_servers, starts[0])), lambda row: Use(servers=frozenset({row[2]})))
    add(session.execute(of(open_runs, runs[0])), lambda row: Use(runs=frozenset({row[2]})))
    add(session.execute(of(last_starts, starts[0]).group_by(*starts)), lambda row: Use(starts=row[2], last=row[3]))
    add(session.execute(of(last_runs, runs[0]).group_by(*runs)), lambda row: Use(last=row[2]))
    return found
