"""Versions are proposed, and proposals taken back."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub_ext.catalog.loading import parse_profile
from hub_ext.catalog.models import Profile
from hub_ext.catalog.options import shown
from hub_ext.catalog.trusted import trusted_profiles
from hub_ext.db.tables import ProfileVersion
from hub_ext.errors import Conflict, InvalidInput, NotFound, Problem
from hub_ext.governance.acts import Acts, must_be_proposed
from hub_ext.governance.rights import check_words, must_be
from hub_ext.governance.rows import by_number, next_number
from hub_ext.governance.views import Unreadable, VersionInfo, info_of
from hub_ext.people import Person


@dataclass(frozen=True)
class Proposed:
    """What proposing led to.

    Attributes:
        version: The version that holds the content.
        created: Whether it is new; the same content again answers with what is there.
    """

    version: VersionInfo
    created: bool


class Proposing(Acts):
    """Proposes versions, and withdraws proposals."""

    def propose(self, person: Person, source: str | Profile, message: str = "") -> Proposed:
        """Propose a version.

        Args:
            person: Who proposes, and so is its author.
            source: The text of its file, or what was read from it.
            message: Her words to who approves it.

        Raises:
            Forbidden: If she is no curator; that is audited.
            InvalidInput: If it is no profile; `problems` name fields and lines.
            Conflict: If the name and number mean another content already, or it ships with this release.
        """
        label = f"{source.name}@{source.version}" if isinstance(source, Profile) else "new"
        must_be(self.database, person, "curator", "profile.propose", ("profile", label))
        profile = source if isinstance(source, Profile) else read_profile(source)
        words = check_words("message", message)
        try:
            return self._propose(person, profile, words)
        except IntegrityError:  # two at once: the other one's row is there now
            return self._propose(person, profile, words)

    def _propose(self, person: Person, profile: Profile, message: str) -> Proposed:
        digest, label = profile.digest, f"{profile.name}@{profile.version}"
        if digest in trusted_profiles():
            raise Conflict(f"{label} ships with this release and is trusted with it.", hint="It needs no approval.")
        with self._act() as session:
            row = by_number(session, profile.name, profile.version)
            self._check_free(session, profile, row)
            if row is not None and row.state != "withdrawn":
                return Proposed(self._info(session, row), created=False)
            if row is None:
                content = profile.model_dump(mode="json", by_alias=True)
                row = ProfileVersion(digest=digest, name=profile.name, number=profile.version, content=content)
                row.author, row.author_subject = person.name, person.subject
                session.add(row)
            elif row.author_subject != person.subject:
                raise Conflict(f"{label} was withdrawn by {row.author}.", hint="Only its author proposes it again.")
            row.state, row.message, row.proposed_at = "proposed", message, self._now(session)
            session.flush()
            self._record(session, person, "profile.propose", row, message=message, commit=self._commit_of(profile))
            return Proposed(self._info(session, row), created=True)

    def _commit_of(self, profile: Profile) -> str:
        """Return the commit in force if the version stands in it as a file, else nothing."""
        catalog = self.catalog.current()
        known = [one for one in catalog.proposals if (one.name, one.version) == (profile.name, profile.version)]
        return catalog.commit if known and known[0].digest == profile.digest else ""

    def _check_free(self, session: Session, profile: Profile, row: ProfileVersion | None) -> None:
        """Refuse a name and number that mean another content."""
        digest = profile.digest
        shipped = [one for one in self.catalog.current().versions(profile.name) if one.version == profile.version]
        if (row.digest if row is not None else shipped[0].digest if shipped else digest) == digest:
            return
        number = next_number(session, self.catalog.current(), profile.name)
        raise Conflict(
            f"Version {profile.version} of {profile.name} has another content; a version never changes.",
            hint=f"Make this one version {number}.",
            problems=[Problem("metadata.version", f"must be {number} or more")],
        )

    def withdraw(self, person: Person, name: str, number: int) -> VersionInfo | Unreadable:
        """Take a proposal back; its author does, or an admin. It may be one that this release cannot read.

        Args:
            person: Who.
            name: Name of the profile.
            number: Number of the version.

        Raises:
            Forbidden: If she is neither; that is audited.
            NotFound: If there is no such proposal.
            Conflict: If it is no proposal any more.
        """
        with self.database.read() as session:
            author = _existing(session, name, number).author_subject
        if author != person.subject or not person.may_administer:
            must_be(self.database, person, "admin", "profile.withdraw", ("profile", f"{name}@{number}"))
        with self._act() as session:
            row = _existing(session, name, number)
            must_be_proposed(row)
            row.state = "withdrawn"
            self._record(session, person, "profile.withdraw", row)
            try:
                return info_of(row, self.required, self._now(session))
            except ValidationError as error:
                return Unreadable.of(row, error)


def read_profile(text: str) -> Profile:
    """Return the profile that a text is.

    Args:
        text: YAML.

    Raises:
        InvalidInput: If it is none; `problems` name fields and lines.
    """
    found = parse_profile(text, "profile")
    if isinstance(found, Profile):
        return found
    problems = [Problem(one.message.partition(": ")[0], one.message, one.line) for one in found]
    raise InvalidInput("; ".join(str(one) for one in found[:10]), problems=problems)


def _existing(session: Session, name: str, number: int) -> ProfileVersion:
    row = by_number(session, name, number)
    if row is None:
        raise NotFound(f"Nobody proposed {shown(name)}@{shown(number)}.")
    return row
