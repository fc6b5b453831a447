"""The catalog's acts as JSON goes in and out of them: what the REST API answers, and the command line without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub_ext.catalog.decide import Facts
from hub_ext.catalog.diff import ProfileDiff, diff
from hub_ext.catalog.explain import Explanation, explain, explain_all
from hub_ext.catalog.options import shown
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.session import Database
from hub_ext.db.tables import PolicyException
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.errors import Conflict, InvalidInput, NotFound
from hub_ext.governance.checks import Checks
from hub_ext.governance.curation import Curation, read_profile
from hub_ext.governance.environments import environment_images
from hub_ext.governance.exceptions import Exceptions, Wish
from hub_ext.governance.images import images_as_dict
from hub_ext.governance.overview import Entry, Overview
from hub_ext.governance.preview import Preview, Wanted, preview
from hub_ext.governance.rights import must_be, reads_catalog
from hub_ext.governance.shapes import exception_as_dict, read_time, rules_as_dicts
from hub_ext.governance.views import VersionInfo
from hub_ext.images.watch import verify_catalog
from hub_ext.people import Person
from hub_ext.repository.syncing import ACT, Repository
from hub_ext.settings import HubExt


class Desk:
    """What one person may do in the catalog, and what she is answered.

    Args:
        database: Where versions are.
        catalog: The snapshot of this process.
        settings: The settings.
        person: Who acts.
        checks: What is known of checks, where it is shared.
        points: The decision point, where it is shared.
        repository: Where profiles come from, where that is shared.
    """

    def __init__(
        self,
        database: Database,
        catalog: CatalogStore,
        settings: HubExt,
        person: Person,
        checks: Checks | None = None,
        points: DecisionPoint | None = None,
        repository: Repository | None = None,
    ) -> None:
        checks = checks or Checks()
        self.database = database
        self.catalog = catalog
        self.settings = settings
        self.person = person
        self.points = points or DecisionPoint(database, catalog, settings)
        self.curation = Curation(database, catalog, settings, checks)
        self.overview = Overview(database, catalog, settings, checks)
        self.exceptions_ = Exceptions(database, catalog)
        self.repository = repository or Repository(database, catalog, settings)

    # Looking.

    def state(self) -> dict[str, Any]:
        """Return how the catalog itself is: snapshot, source, what is wrong with files, and how many must approve.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
        """
        self.must_read()
        found: Catalog = self.catalog.recent()
        source = self.repository.state()
        return {
            "snapshot": found.digest,
            "enclave": found.enclave.metadata.name,
            "required": self.overview.required,
            "problems": [{"path": one.path, "line": one.line, "message": one.message} for one in found.problems],
            "notes": list(found.notes),
            "source": source.as_dict() if source is not None else None,
            "unreadable": [one.as_dict() | {"why": one.why, "hint": one.hint} for one in self.overview.unreadable()],
        }

    def sync(self, rewritten: str = "") -> dict[str, Any]:
        """Ask the repository of profiles for its newest commit now, and return how the catalog is, as `state` does.

        A commit that cannot be taken is no error: what was good stays, and `source` says why.

        Args:
            rewritten: The commit that is taken also if it is not made on top of the one in force.

        Raises:
            Forbidden: If she is no curator; that is audited.
            Conflict: If profiles come from a folder.
        """
        must_be(self.database, self.person, "curator", ACT, ("catalog", "profiles"))
        if self.repository.source is None:
            raise Conflict("Profiles come from a folder here.", hint="An admin can set profiles_repository.")
        self.repository.sync(self.person.name, rewritten=rewritten)
        return self.state()

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules in force, each with whom to ask about it.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
        """
        self.must_read()
        return rules_as_dicts(self.catalog.current().policy)

    def versions(
        self, *, name: str | None = None, after: tuple[str, int] | None = None, most: int | None = None
    ) -> list[dict[str, Any]]:
        """Return versions with their checks and their use, by name and number.

        Args:
            name: Of which profile; None for all.
            after: Name and number of the last one that is known already.
            most: How many at most.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
        """
        self.must_read()
        found = self.overview.entries(name=name)
        left = [one for one in found if after is None or (one.version.name, one.version.number) > after]
        return [entry.as_dict() for entry in self.overview.checked(left[:most])]

    def entry(self, name: str, number: int | None = None) -> Entry:
        """Return one version with its checks and its use.

        Args:
            name: Name of the profile.
            number: Number of the version; None for the newest, whatever its state.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
            NotFound: If there is no such version.
        """
        self.must_read()
        found = [one for one in self.overview.entries(name=name) if number in (None, one.version.number)]
        if not found:
            raise NotFound(f"There is no version {shown(name)}@{'' if number is None else shown(number)}.")
        return self.overview.checked(found[-1:])[0]

    def change(self, entry: Entry, against: int | None = None) -> ProfileDiff | None:
        """Return what servers would become with a version.

        Args:
            entry: The version.
            against: Number of another one to compare it with; None for the one that a start gets.

        Raises:
            NotFound: If there is no such other one.
        """
        one = entry.version
        if against is None:
            return self.overview.change(one.name, one.number)
        other = self.overview.version(one.name, against)
        if other is None:
            raise NotFound(f"There is no version {shown(one.name)}@{shown(against)}.")
        return diff(other.profile, one.profile, self.catalog.current())

    def version(self, name: str, number: int | None = None, *, against: int | None = None) -> dict[str, Any]:
        """Return one version with its content, its checks, and how it differs from another.

        Args:
            name: Name of the profile.
            number: Number of the version; None for the newest, whatever its state.
            against: Number of the other; None for the one that a start gets.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
            NotFound: If there is no such version.
        """
        entry = self.entry(name, number)
        change = self.change(entry, against)
        return entry.as_dict() | {
            "content": entry.version.profile.model_dump(mode="json", by_alias=True),
            "diff": change.as_dict() if change else None,
            "affected": self.overview.affected(entry.version.name).people,
        }

    def draft(self, text: str) -> dict[str, Any]:
        """Return what a file would be as a proposal: its checks, and what servers would become. Nothing is kept.

        Args:
            text: The file.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
            InvalidInput: If it is no profile; `problems` name fields and lines.
        """
        self.must_read()
        return self.overview.draft(read_profile(text)).as_dict()

    def preview(self, name: str, number: int, wanted: Wanted) -> Preview:
        """Return what a start of a version would make.

        Args:
            name: Name of the profile.
            number: Number of the version.
            wanted: The start.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
            NotFound: If there is no such version.
            InvalidInput: If the options cannot be; `problems` name them.
        """
        self.must_read()
        found = self.overview.version(name, number)
        if found is None:
            raise NotFound(f"There is no version {shown(name)}@{shown(number)}.")
        catalog = self.catalog.current()
        environments = environment_images(self.settings) if catalog.enclave.spec.local else None
        return preview(found.profile, wanted, catalog, environments, self.catalog.now())

    # Versions.

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

    def explain(self, user: str, groups: Iterable[str], profile: str | None = None) -> list[dict[str, Any]]:
        """Explain what a person may start as JSON; see `explanations`."""
        return [one.as_dict() for one in self.explanations(user, groups, profile)]

    def explanations(
        self,
        user: str,
        groups: Iterable[str],
        profile: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> list[Explanation]:
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
            self.must_read()
        with self.database.read() as session:
            facts: Facts = self.points.facts_now(
                session, groups, None if profile is None else shown(profile), user=user
            )
        if profile is None:
            return explain_all(facts, user)
        return [explain(facts, user, profile, options=options)]

    # Images.

    def images(self) -> dict[str, Any]:
        """Return the images of the enclave: what each name means, who signed it, and which profiles are made from it.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
        """
        self.must_read()
        with self.database.read() as session:
            return images_as_dict(session, self.catalog.fresh(session)[0])

    def verify_images(self) -> dict[str, Any]:
        """Verify the images of the enclave now, and return them as `images` does; asking registries takes time.

        Raises:
            Forbidden: If she is no curator; that is audited.
            InvalidInput: If the file with the passwords of registries cannot be read.
        """
        must_be(self.database, self.person, "curator", "image.verify", ("catalog", "images"))
        verify_catalog(self.database, self.catalog.refresh(), self.settings, self.person.name)
        return self.images()

    # Exceptions.

    def exceptions(self, *, ended: bool = False) -> list[dict[str, Any]]:
        """Return the exceptions as JSON; see `exceptions_list`."""
        return [exception_as_dict(row) for row in self.exceptions_list(ended=ended)]

    def exceptions_list(self, *, ended: bool = False) -> list[PolicyException]:
        """Return the exceptions, those that end first before the others.

        Args:
            ended: Also those that are over.

        Raises:
            Forbidden: If she has none of the roles that look after the catalog.
        """
        self.must_read()
        return self.exceptions_.listing(ended=ended)

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

    def must_read(self) -> None:
        """Refuse who does not look after the catalog; that is audited.

        Raises:
            Forbidden: If she has none of the roles that do.
        """
        if not reads_catalog(self.person):
            must_be(self.database, self.person, "curator", "profile.look", ("catalog", "versions"))
