"""Versions of profiles as curators see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from pydantic import ValidationError

from hub_ext.catalog.models import Profile
from hub_ext.catalog.snapshot import Standing, State
from hub_ext.db.tables import Approval, ProfileVersion
from hub_ext.db.types import now
from hub_ext.kubernetes.yaml_text import to_yaml

RELEASE = "this release"  # in place of an author, for what ships


@dataclass(frozen=True)
class Verdict:
    """What one person says to a version.

    Attributes:
        by: Her name.
        verdict: ``approve`` or ``refuse``.
        comment: Her words.
        at: When.
        images: Images by digest as she saw them.
    """

    by: str
    verdict: str
    comment: str
    at: datetime
    images: dict[str, str]

    @classmethod
    def of(cls, row: Approval) -> Verdict:
        """Return a row as what it says."""
        return cls(row.approver, row.verdict, row.comment, row.at, dict(row.images))


@dataclass(frozen=True)
class VersionInfo:
    """One version, wherever it is: in the database, among what ships, or in a file that nobody proposed.

    Attributes:
        profile: Its content.
        digest: Its identity.
        state: ``file`` (nobody proposed it), ``proposed``, ``withdrawn``, ``trusted`` (it ships), ``approved``,
            ``deprecated`` or ``removed``.
        author: Who proposed it; `RELEASE` for what ships, empty for a file.
        message: The author's words.
        proposed_at: When.
        approved_at: When the last approval that it needed came.
        verdicts: What people say to it.
        required: How many approvals it needs.
        successor: What to use in place of a deprecated one, as ``name@number``.
        removal_at: When a deprecated one can be started no more.
    """

    profile: Profile
    digest: str
    state: str
    author: str = ""
    message: str = ""
    proposed_at: datetime | None = None
    approved_at: datetime | None = None
    verdicts: tuple[Verdict, ...] = ()
    required: int = 0
    successor: str = ""
    removal_at: datetime | None = None

    @property
    def name(self) -> str:
        """Name of the profile."""
        return self.profile.name

    @property
    def number(self) -> int:
        """Number of the version."""
        return self.profile.version

    @property
    def refused_by(self) -> tuple[str, ...]:
        """Names of those whose refusal stands."""
        return tuple(one.by for one in self.verdicts if one.verdict == "refuse")

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Names of those who approved it."""
        return tuple(one.by for one in self.verdicts if one.verdict == "approve")

    @property
    def missing(self) -> int:
        """How many approvals a proposed version still needs."""
        return max(0, self.required - len(self.approved_by)) if self.state == "proposed" else 0

    def badge(self, today: datetime | None = None) -> str:
        """Return the state in the words of a card.

        Args:
            today: The present; the clock's by default.
        """
        if self.state in ("approved", "trusted", "deprecated"):
            state = cast("State", self.state)
            standing = Standing(state, self.approved_by, self.approved_at, {}, self.successor, self.removal_at)
            return standing.badge(today or now())
        return {"file": "nobody proposed this file"}.get(self.state, self.state)

    def as_dict(self) -> dict[str, Any]:
        """Return the version as JSON, without its content."""
        times = {name: getattr(self, name) for name in ("proposed_at", "approved_at", "removal_at")}
        return {
            "name": self.name,
            "version": self.number,
            "title": self.profile.metadata.title,
            "digest": self.digest,
            "state": self.state,
            "author": self.author,
            "message": self.message,
            **{name: value.isoformat() if value else None for name, value in times.items()},
            "approvals": [
                {"by": one.by, "verdict": one.verdict, "comment": one.comment, "at": one.at.isoformat()}
                for one in self.verdicts
            ],
            "required": self.required,
            "successor": self.successor or None,
        }


@dataclass(frozen=True)
class Unreadable:
    """A version of the database that this release cannot read: another one wrote it, or somebody changed it.

    Attributes:
        name: Name of the profile.
        number: Number of the version.
        digest: Its identity.
        state: As it was written down.
        author: Who proposed it.
        proposed_at: When.
        why: What is wrong with its content.
    """

    name: str
    number: int
    digest: str
    state: str
    author: str
    proposed_at: datetime
    why: str

    @classmethod
    def of(cls, row: ProfileVersion, error: ValidationError) -> Unreadable:
        """Return a row that cannot be read as what is known of it.

        Args:
            row: The row.
            error: What is wrong with its content.
        """
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        why = f"{field}: {first['msg']}" if field else str(first["msg"])
        return cls(row.name, row.number, row.digest, row.state, row.author, row.proposed_at, why)

    @property
    def hint(self) -> str:
        """What to do about it."""
        return (
            f"{self.author} or an admin takes it back, and it is proposed again as the next version; or the platform "
            "goes on with the release that wrote it."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON: as a version, as far as it is known."""
        return {
            "name": self.name,
            "version": self.number,
            "title": self.name,
            "digest": self.digest,
            "state": self.state,
            "author": self.author,
            "message": "",
            "proposed_at": self.proposed_at.isoformat(),
            "approved_at": None,
            "removal_at": None,
            "approvals": [],
            "required": 0,
            "successor": None,
        }


def info_of(row: ProfileVersion, required: int, at: datetime, known: Profile | None = None) -> VersionInfo:
    """Return a row as a version.

    Args:
        row: The row, with its approvals.
        required: How many approvals one needs now.
        at: The time, for what is removed by then.
        known: Its content, where that was read before.
    """
    gone = row.state == "deprecated" and row.removal_at is not None and at >= row.removal_at
    return VersionInfo(
        profile=known or Profile.model_validate(row.content),
        digest=row.digest,
        state="removed" if gone else row.state,
        author=row.author or RELEASE,
        message=row.message,
        proposed_at=row.proposed_at,
        approved_at=row.approved_at,
        verdicts=tuple(Verdict.of(one) for one in row.approvals),
        required=required,
        successor=row.successor,
        removal_at=row.removal_at,
    )


def as_file(profile: Profile) -> str:
    """Return a version as the text of its file, without what is usual; it reads back to the same digest."""
    content = profile.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return to_yaml([{"apiVersion": profile.api_version, "kind": profile.kind, **content}])
