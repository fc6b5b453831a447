"""What the API gives of the catalog: versions with their checks and use, what they would become, exceptions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from hub_ext.web.api.models import Given, Page

Value = str | int | float | bool
VersionState = Literal["file", "proposed", "withdrawn", "trusted", "approved", "deprecated", "removed"]


class FileFault(Given):
    """What is wrong with a file of the profiles folder."""

    path: str
    line: int | None
    message: str


class CatalogSource(Given):
    """The repository that profiles come from."""

    address: str
    ref: str
    folder: str
    commit: str = Field(description="In force; empty: none was ever good.")
    author: str = Field(description="As git says it, which proves nothing.")
    committed_at: datetime | None
    taken_at: datetime | None = Field(description="Since when it is in force.")
    synced_at: datetime | None = Field(description="When the ref was last seen to stand for it.")
    tried_at: datetime | None
    fault: Literal["", "away", "broken", "rewritten"] = Field(description="What the last sync met; empty: nothing.")
    error: str
    refused: str = Field(description="The commit that was not taken.")
    problems: list[FileFault]


class SaidOfVersion(Given):
    """What one person says to a version."""

    by: str
    verdict: Literal["approve", "refuse"]
    comment: str
    at: datetime


class CheckFinding(Given):
    """Something that the check of a version found."""

    path: str
    line: int | None = None
    rule: str
    severity: Literal["deny", "warn", "excepted"]
    message: str
    options: dict[str, Value] = Field(description="With which choice of options; empty for all of them.")


class CatalogVersion(Given):
    """A version of a profile, wherever it is."""

    name: str
    version: int
    title: str
    digest: str
    state: VersionState
    author: str
    message: str
    proposed_at: datetime | None
    approved_at: datetime | None
    removal_at: datetime | None
    approvals: list[SaidOfVersion]
    required: int
    successor: str | None


class UnreadableVersion(CatalogVersion):
    """A proposal whose content this release cannot read."""

    why: str
    hint: str = Field(description="What to do about it.")


class CatalogState(Given):
    """How the catalog itself is."""

    snapshot: str = Field(description="Digest of the catalog in force.")
    enclave: str
    required: int = Field(description="How many people must approve a version.")
    problems: list[FileFault] = Field(description="The last good content of these files stays in force.")
    notes: list[str]
    unreadable: list[UnreadableVersion] = Field(description="Proposals that this release cannot read.")
    source: CatalogSource | None = Field(description="None where profiles come from a folder.")


class CatalogEntry(CatalogVersion):
    """A version with its checks and its use."""

    findings: list[CheckFinding] | None
    people_now: list[str] = Field(description="Whose servers or runs of it go on now.")
    starts: int = Field(description="Starts of servers within 30 days.")
    last_start: datetime | None


class CatalogEntryList(Page[CatalogEntry]):
    """Versions, by name and number."""


class VersionIdentity(Given):
    """Which version."""

    name: str
    version: int
    digest: str


class LineChange(Given):
    """One line of an object that would be another."""

    object: str
    path: str
    before: Any
    after: Any
    when: list[dict[str, Value]] = Field(description="The options for which it is so; empty for all of them.")


class ProfileChange(Given):
    """What servers and runs would become."""

    before: VersionIdentity | None
    after: VersionIdentity
    access: list[str]
    options: list[str]
    about: list[str]
    changes: list[LineChange]
    further: list[str] = Field(description="In what the newer one reaches further.")


class CatalogDetail(CatalogEntry):
    """A version with all that there is about it."""

    content: dict[str, Any]
    diff: ProfileChange | None
    affected: list[str] = Field(description="Who uses any version of the profile now.")


class Proposed(CatalogVersion):
    """What proposing led to."""

    created: bool


class Draft(Given):
    """What a file would be as a proposal."""

    name: str
    version: int
    title: str
    digest: str
    findings: list[CheckFinding]
    diff: ProfileChange
    next: int = Field(description="The lowest number that is free.")


class CheckResult(Given):
    """What the check of a version found."""

    passed: bool
    findings: list[CheckFinding]


class BrokenRule(Given):
    """A rule that a start would not meet."""

    rule: str
    severity: Literal["deny", "warn"]
    title: str
    message: str


class Rendering(Given):
    """What a start would make."""

    image: str
    values: dict[str, Value]
    objects: list[dict[str, Any]]
    reasons: list[dict[str, str]] = Field(description="For each object, path of a line and why it is as it is.")
    broken: list[BrokenRule]
    yaml: str = Field(description="The objects as YAML, a reason behind each line.")


class ReasonWhyNot(Given):
    """Why a start is denied, or what it is warned of."""

    code: str
    message: str
    field: str = ""
    allowed: str = ""
    ask: str = ""
    nearest: Value | None = None
    rule: str = ""


class ExplanationPart(Given):
    """One thing that a start depends on."""

    about: Literal["group", "entitlement", "version", "option", "environment", "rule"]
    name: str
    holds: bool
    words: str
    allowed: str = ""
    ask: str = ""


class Explanation(Given):
    """How a profile stands with a person."""

    user: str
    profile: str
    version: int | None
    title: str
    allowed: bool
    sentence: str
    reasons: list[ReasonWhyNot]
    warnings: list[ReasonWhyNot]
    parts: list[ExplanationPart]


class ExplanationList(Page[Explanation]):
    """Profiles as they stand with a person, those that she may start first."""


class CatalogException(Given):
    """A rule that a profile need not meet, for some, until a time."""

    id: str
    profile: str
    rule: str
    users: list[str]
    groups: list[str]
    reason: str
    owner: str
    until: datetime
    created_by: str
    created_at: datetime
    revoked_by: str | None
    revoked_at: datetime | None


class CatalogExceptionList(Page[CatalogException]):
    """Exceptions, those that end first before the others."""


class PolicyRule(Given):
    """A rule that every server and every run must meet."""

    id: str
    title: str
    on: Literal["pod", "networkpolicy", "request"]
    severity: Literal["deny", "warn"]
    controls: list[str]
    message: str
    cel: str
    owner: str


class PolicyRuleList(Page[PolicyRule]):
    """The rules in force."""
