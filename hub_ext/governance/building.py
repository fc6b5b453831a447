"""Files, and what the database says of versions → one snapshot. Pure but for `load_recorded`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext.catalog.documents import FileProblem
from hub_ext.catalog.evidence import Evidence
from hub_ext.catalog.loading import PolicyInForce
from hub_ext.catalog.models import Profile
from hub_ext.catalog.snapshot import Catalog, Standing
from hub_ext.catalog.trusted import trusted_profiles
from hub_ext.db.tables import Approval, ProfileVersion
from hub_ext.governance.evidence import load_evidence
from hub_ext.governance.state import NOTHING_AGREED, Agreed, agreed

STARTABLE = ("approved", "deprecated")


@dataclass(frozen=True)
class RecordedVersion:
    """A version as the database has it, without its content."""

    digest: str
    name: str
    number: int
    state: str
    approved_at: datetime | None
    successor: str
    removal_at: datetime | None
    approvers: tuple[str, ...] = ()
    images: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Recorded:
    """All versions of the database.

    Attributes:
        agreed: Generation and clock when they were read.
        versions: The versions.
        contents: Profiles of those that may be started, by digest; what is wrong with one that cannot be read.
        evidence: What is known of images.
    """

    agreed: Agreed = NOTHING_AGREED
    versions: tuple[RecordedVersion, ...] = ()
    contents: Mapping[str, Profile | FileProblem] | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)


def load_recorded(session: Session, before: Recorded | None = None) -> Recorded:
    """Read all versions; contents that are known already are not read again, since they never change.

    Args:
        session: Any transaction.
        before: What was read last.
    """
    now_agreed = agreed(session)
    columns = (
        ProfileVersion.digest,
        ProfileVersion.name,
        ProfileVersion.number,
        ProfileVersion.state,
        ProfileVersion.approved_at,
        ProfileVersion.successor,
        ProfileVersion.removal_at,
    )
    rows = session.execute(select(*columns)).all()
    said = _approvals(session)
    versions = tuple(RecordedVersion(*row, *said.get(row.digest, ((), {}))) for row in rows)
    known = dict((before.contents if before else None) or {})
    wanted = {version.digest for version in versions if version.state in STARTABLE} - known.keys()
    return Recorded(now_agreed, versions, known | _contents(session, wanted), load_evidence(session))


def _approvals(session: Session) -> dict[str, tuple[tuple[str, ...], dict[str, str]]]:
    query = select(Approval.digest, Approval.approver, Approval.images).where(Approval.verdict == "approve")
    found: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
    for digest, approver, images in session.execute(query.order_by(Approval.id)):
        names, seen = found.get(digest, ((), {}))
        found[digest] = ((*names, approver), seen | images)
    return found


def _contents(session: Session, digests: Iterable[str]) -> dict[str, Profile | FileProblem]:
    found: dict[str, Profile | FileProblem] = {}
    left = sorted(digests)
    while left:
        some, left = left[:500], left[500:]
        query = select(ProfileVersion.digest, ProfileVersion.content).where(ProfileVersion.digest.in_(some))
        for digest, content in session.execute(query):
            found[digest] = _profile(digest, content)
    return found


def _profile(digest: str, content: Any) -> Profile | FileProblem:
    """Return a content as a profile; one whose digest is another was changed behind our back, and is not used."""
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        return FileProblem(digest, f"cannot be read by this release: {error.errors()[0]['msg']}")
    if profile.digest != digest:
        return FileProblem(digest, "is not what was approved: its content in the database has another digest")
    return profile


def build(
    files: Iterable[Profile],
    problems: Iterable[FileProblem],
    held: PolicyInForce,
    recorded: Recorded,
    at: datetime,
    commit: str = "",
) -> Catalog:
    """Return the snapshot that follows.

    A version of the database is what was approved, whatever its file says now. A file is startable by itself only when
    it is one that ships with this release; any other is a proposal of nobody.

    Args:
        files: Profiles in files.
        problems: What is wrong with files.
        held: Policy and enclave.
        recorded: Versions of the database.
        at: The time; versions whose removal it has passed are removed.
        commit: The commit that the files are from, where they come from a repository.
    """
    agreed, standings, unreadable = _agreed_on(recorded, at)
    trusted, proposals, changed = _in_files(files, recorded)
    return Catalog(
        (*agreed, *trusted),
        (*problems, *unreadable, *changed, *held.problems),
        held.policy,
        held.enclave,
        standings,
        tuple(proposals),
        held.notes,
        held.lock,
        recorded.evidence,
        commit,
    )


def _in_files(files: Iterable[Profile], recorded: Recorded) -> tuple[list[Profile], list[Profile], list[FileProblem]]:
    """Return the files that ship with this release, those that are proposals, and what is wrong with others."""
    by_key = {(version.name, version.number): version for version in recorded.versions}
    trusted: list[Profile] = []
    proposals: list[Profile] = []
    changed: list[FileProblem] = []
    for profile in files:
        known = by_key.get((profile.name, profile.version))
        if known is not None:
            changed += [] if known.digest == profile.digest else [_changed(profile)]
        else:
            (trusted if profile.digest in trusted_profiles() else proposals).append(profile)
    return trusted, proposals, changed


def _agreed_on(
    recorded: Recorded, at: datetime
) -> tuple[list[Profile], dict[tuple[str, int], Standing], list[FileProblem]]:
    """Return the versions of the database that may be started, how each stands, and what is wrong with others."""
    startable: list[Profile] = []
    standings: dict[tuple[str, int], Standing] = {}
    unreadable: list[FileProblem] = []
    for version in recorded.versions:
        content = (recorded.contents or {}).get(version.digest)
        if version.state not in STARTABLE or content is None:
            continue
        if isinstance(content, FileProblem):
            where = f"{version.name}/{version.number}.yaml"
            unreadable.append(FileProblem(where, f"{content.path} {content.message}"))
            continue
        startable.append(content)
        standings[version.name, version.number] = _standing(version, at)
    return startable, standings, unreadable


def _standing(version: RecordedVersion, at: datetime) -> Standing:
    gone = version.removal_at is not None and at >= version.removal_at
    return Standing(
        "removed" if gone else "deprecated" if version.state == "deprecated" else "approved",
        version.approvers,
        version.approved_at,
        version.images or {},
        version.successor,
        version.removal_at,
    )


def _changed(profile: Profile) -> FileProblem:
    where = f"{profile.name}/{profile.version}.yaml"
    message = f"is not what was proposed as version {profile.version}, which never changes; give it the next number"
    return FileProblem(where, message)
