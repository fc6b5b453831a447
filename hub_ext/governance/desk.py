"""The catalog's acts as JSON goes in and out of them: what the REST API answers, and the command line without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from hub_ext.catalog.decide import Facts
from hub_ext.catalog.explain import explain, explain_all
from hub_ext.catalog.options import shown
from hub_ext.db.session import Database
from hub_ext.db.tables import PolicyException
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.errors import InvalidInput, NotFound
from hub_ext.governance.checks import Checks
from hub_ext.governance.curation import Curation
from hub_ext.governance.exceptions import Exceptions, Wish
from hub_ext.governance.overview import Entry, Overview
from hub_ext.governance.rights import must_be
from hub_ext.governance.views import VersionInfo
from hub_ext.people import Person
from hub_ext.settings import HubExt

_READERS = ("curator", "reviewer", "auditor", "admin")


class Desk:
    """What one person may do in the catalog, and what she is answered.

    Args:
        database: Where versions are.
        catalog: The snapshot of this process.
        settings: The settings.
        person: Who acts.
        checks: What is known of checks, where it is shared.
    """

    def __init__(
        self,
        database: Database,
        catalog: CatalogStore,
        settings: HubExt,
        person: Person,
        checks: Checks | None = None,
    ) -> None:
        checks = checks or Checks()
        self.database = database
        self.person = person
        self.points = DecisionPoint(database, catalog, settings)
        self.curation = Curation(database, catalog, settings, checks)
        self.overview = Overview(database, catalog, settings, checks)
        self.exceptions_ = Exceptions(database, catalog)

    # Versions.

    def versions(self) -> list[dict[str, Any]]:
        """Return every version with its checks and its use.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
        """
        self._must_read()
        return [entry.as_dict() for entry in self.overview.entries(check=True)]

    def version(self, name: str, number: int | None = None) -> dict[str, Any]:
        """Return one version with its content, its checks, and how it differs from the one before.

        Args:
            name: Name of the profile.
            number: Number of the version; None for the newest, whatever its state.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
            NotFound: If there is no such version.
        """
        self._must_read()
        found = [one for one in self.overview.entries(check=True, name=name) if number in (None, one.version.number)]
        if not found:
            raise NotFound(f"There is no version {shown(name)}@{'' if number is None else shown(number)}.")
        entry: Entry = found[-1]
        change = self.overview.change(entry.version.name, entry.version.number)
        return entry.as_dict() | {
            "content": entry.version.profile.model_dump(mode="json", by_alias=True),
            "diff": change.as_dict() if change else None,
            "affected": self.overview.affected(entry.version.name).people,
        }

    def propose(self, text: str, message: str = "") -> tuple[dict[str, Any], bool]:
        """Propose a version; see `Proposing.propose`.

        Returns:
            The version, and whether it is new.
        """
        done = self.curation.propose(self.person, text, message)
        return done.version.as_dict(), done.created

    def judge(self, name: str, number: int, verdict: str, digest: str, comment: str = "") -> dict[str, Any]:
        """Approve or refuse a version by its digest; see `Judging`.

        Raises:
            InvalidInput: If the digest is not that of this version, or the verdict is none.
        """
        if verdict not in ("approve", "refuse"):
            raise InvalidInput.of("verdict", "must be approve or refuse")
        known = self.overview.version(name, number)
        if known is None:
            raise NotFound(f"There is no version {shown(name)}@{shown(number)}.")
        if known.digest != digest:
            raise InvalidInput.of("digest", f"is not that of {name}@{number}, which is {known.digest}")
        act = self.curation.approve if verdict == "approve" else self.curation.refuse
        return act(self.person, digest, comment).as_dict()

    def withdraw(self, name: str, number: int) -> dict[str, Any]:
        """Take a proposal back; see `Proposing.withdraw`."""
        return self.curation.withdraw(self.person, name, number).as_dict()

    def deprecate(self, name: str, number: int, removal: str, successor: str = "") -> dict[str, Any]:
        """Deprecate a version; see `Ending.deprecate`.

        Args:
            name: Name of the profile.
            number: Number of the version.
            removal: When it is removed: a date, or a time with its zone (ISO 8601).
            successor: What to use in its place.
        """
        at = read_time("removal", removal)
        found: VersionInfo = self.curation.deprecate(self.person, name, number, removal=at, successor=successor)
        return found.as_dict()

    # Explaining.

    def explain(
        self,
        user: str,
        groups: Iterable[str],
        profile: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Explain what a person may start, and why not the rest.

        Args:
            user: Her name.
            groups: Her groups, as the Hub says them now.
            profile: Name of one profile; None for all.
            options: What she would choose, with one profile.

        Raises:
            Forbidden: If it is about somebody else, and she has none of the roles that look after the catalog.
        """
        if user != self.person.name:
            self._must_read()
        with self.database.read() as session:
            facts: Facts = self.points.facts_now(session, groups, profile)
        if profile is None:
            return [one.as_dict() for one in explain_all(facts, user)]
        return [explain(facts, user, profile, options=options).as_dict()]

    # Exceptions.

    def exceptions(self, *, ended: bool = False) -> list[dict[str, Any]]:
        """Return the exceptions, those that end first before the others.

        Args:
            ended: Also those that are over.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
        """
        self._must_read()
        return [exception_as_dict(row) for row in self.exceptions_.listing(ended=ended)]

    def grant(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Grant an exception; see `Exceptions.grant`.

        Args:
            wish: ``profile``, ``rule``, ``reason``, ``until``, and maybe ``users``, ``groups`` and ``owner``.
        """
        until = read_time("until", str(wish.get("until", "")))
        texts = {name: str(wish.get(name) or "") for name in ("profile", "rule", "reason", "owner")}
        users, groups = ([str(one) for one in wish.get(name) or ()] for name in ("users", "groups"))
        return exception_as_dict(
            self.exceptions_.grant(self.person, Wish(until=until, users=users, groups=groups, **texts))
        )

    def revoke(self, exception_id: str, reason: str) -> dict[str, Any]:
        """End an exception now; see `Exceptions.revoke`."""
        return exception_as_dict(self.exceptions_.revoke(self.person, exception_id, reason))

    def _must_read(self) -> None:
        if not any(self.person.has_role(role) for role in _READERS):
            must_be(self.database, self.person, "curator", "profile.look", ("catalog", "versions"))


def exception_as_dict(row: PolicyException) -> dict[str, Any]:
    """Return an exception as JSON."""
    return {
        "id": row.id,
        "profile": row.profile,
        "rule": row.rule,
        "users": row.users,
        "groups": row.groups,
        "reason": row.reason,
        "owner": row.owner,
        "until": row.until.isoformat(),
        "created_by": row.created_by,
        "created_at": row.created_at.isoformat(),
        "revoked_by": row.revoked_by,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }


def read_time(field: str, text: str) -> datetime:
    """Return a time.

    Args:
        field: What the error calls it.
        text: A date (its beginning, UTC), or a time with its zone, as ISO 8601 has them.

    Raises:
        InvalidInput: If it is neither.
    """
    try:
        found = datetime.fromisoformat(f"{text}T00:00+00:00" if len(text) == len("2026-01-31") else text)
    except ValueError:
        found = datetime.min  # noqa: DTZ901  # it has no zone, and so is refused
    if found.tzinfo is None:
        raise InvalidInput.of(field, "must be a date such as 2027-01-31, or a time with its zone")
    return found
