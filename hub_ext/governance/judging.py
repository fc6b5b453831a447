"""Versions are approved or refused, by people who are not their author."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from hub_ext import audit
from hub_ext.catalog.check import CheckFinding, denying
from hub_ext.catalog.models import Profile
from hub_ext.catalog.options import shown
from hub_ext.db.tables import Approval
from hub_ext.errors import Conflict, NotFound, Problem
from hub_ext.governance.acts import Acts, must_be_proposed
from hub_ext.governance.checks import images_of
from hub_ext.governance.environments import local_images
from hub_ext.governance.exceptions import load_exceptions
from hub_ext.governance.rights import check_words, must_be
from hub_ext.governance.rows import by_digest
from hub_ext.governance.state import agreed
from hub_ext.governance.views import VersionInfo
from hub_ext.people import Person

_TRIES = 5  # each lost race means that somebody else's act was done


class _Raced(Exception):
    """Somebody else's act came between what was checked and what was to be written."""


@dataclass(frozen=True)
class _Said:
    """One person's word on a version, and what it rests on."""

    verdict: str
    comment: str
    generation: int | None = None
    images: dict[str, str] | None = None


class Judging(Acts):
    """Approves and refuses versions."""

    def approve(self, person: Person, digest: str, comment: str = "") -> VersionInfo:
        """Approve a version, by the digest of what was looked at.

        Args:
            person: Who approves.
            digest: Identity of the version.
            comment: Her words.

        Raises:
            Forbidden: If she is no curator, or its author under this name or another; that is audited.
            NotFound: If there is no such version.
            Conflict: If it is no proposal any more, or does not pass all checks now; `problems` name the rules.
        """
        words = check_words("comment", comment)
        label = self._may_judge(person, digest, "approve")
        for _ in range(_TRIES):
            generation, images, wrong = self.check(digest)
            if wrong:
                self._refuse_unchecked(person, label, wrong)
            with suppress(_Raced):
                return self._judge(person, digest, _Said("approve", words, generation, images))
        raise Conflict("Others change the catalog at this very moment.", hint="Try again.")

    def refuse(self, person: Person, digest: str, comment: str) -> VersionInfo:
        """Refuse a version. It cannot be approved while that stands: until she approves it, or it is withdrawn.

        Args:
            person: Who refuses.
            digest: Identity of the version.
            comment: Why; the author reads it.

        Raises:
            Forbidden: If she is no curator, or its author; that is audited.
            NotFound: If there is no such version.
            InvalidInput: If she does not say why.
            Conflict: If it is no proposal any more.
        """
        words = check_words("comment", comment, needed=True)
        self._may_judge(person, digest, "refuse")
        return self._judge(person, digest, _Said("refuse", words))

    def _may_judge(self, person: Person, digest: str, verdict: str) -> str:
        """Return what a version is called, if this person may judge it."""
        with self.database.read() as session:
            row = by_digest(session, digest)
            label = f"{row.name}@{row.number}" if row is not None else shown(digest)
            must_be(self.database, person, "curator", f"profile.{verdict}", ("profile", label))
            if row is None:
                raise NotFound("There is no version with this digest.", hint="It may have changed: look at it again.")
        if person.subject == row.author_subject or person.name == row.author:
            must_be(self.database, person, "", f"profile.{verdict}", ("profile", label))
        must_be_proposed(row)
        return label

    def check(self, digest: str) -> tuple[int, dict[str, str], list[CheckFinding]]:
        """Return what a version must pass before it can be approved.

        Args:
            digest: Identity of the version.

        Returns:
            The generation that this is true of, the images that it would be made from, and what denies it.

        Raises:
            NotFound: If there is no such version.
        """
        with self.database.read() as session:
            row = by_digest(session, digest)
            if row is None:
                raise NotFound("There is no version with this digest.")
            catalog, at = self.catalog.fresh(session)
            excepted = frozenset(one.rule for one in load_exceptions(session, self.catalog.now(at), row.name))
            profile = Profile.model_validate(row.content)
        local = local_images(self.settings, catalog.enclave)
        images, missing = images_of(profile, catalog, local)
        wrong = denying(self.checks.findings(profile, catalog, excepted))
        if missing:
            message = f"{missing} is not there, so no approval could name its digest."
            wrong.append(CheckFinding(f"{profile.name}/{profile.version}.yaml", None, "image", "deny", message))
        doubts = {doubt for image in images.values() for doubt in catalog.doubts(image) if doubt.denies}
        for doubt in sorted(doubts, key=str):
            wrong.append(
                CheckFinding(f"{profile.name}/{profile.version}.yaml", None, doubt.code, "deny", doubt.message)
            )
        return at.generation, images, wrong

    def _refuse_unchecked(self, person: Person, label: str, wrong: list[CheckFinding]) -> None:
        with self.database.write() as session:
            detail = {"rules": [finding.rule for finding in wrong]}
            audit.record(session, person.name, "profile.approve", ("profile", label), outcome="denied", detail=detail)
        raise Conflict(
            f"{label} does not pass its checks now: {'; '.join(str(finding) for finding in wrong[:5])}",
            hint="Change it, as the next version, or ask for an exception.",
            problems=[Problem(finding.rule, finding.message) for finding in wrong],
        )

    def _judge(self, person: Person, digest: str, said: _Said) -> VersionInfo:
        """Write one person's word down.

        Raises:
            _Raced: If somebody else acted since what it rests on was checked.
        """
        with self._act() as session:
            if said.generation is not None and agreed(session).generation != said.generation:
                raise _Raced
            row = by_digest(session, digest)
            if row is None:
                raise NotFound("There is no version with this digest.")
            must_be_proposed(row)
            # Also by name: what she said before the sign-in told who she is.
            known = [
                one for one in row.approvals if person.subject == one.approver_subject or one.approver == person.name
            ]
            mine = known[0] if known else Approval(digest=digest, approver_subject=person.subject)
            row.approvals += [] if known else [mine]
            mine.approver, mine.verdict, mine.comment = person.name, said.verdict, said.comment
            mine.images, mine.at = said.images or {}, self._now(session)
            verdicts = [one.verdict for one in row.approvals]
            if verdicts.count("approve") >= self.required and "refuse" not in verdicts:
                row.state, row.approved_at = "approved", mine.at
            session.flush()
            self._record(
                session,
                person,
                f"profile.{said.verdict}",
                row,
                comment=said.comment,
                images=mine.images,
                state=row.state,
            )
            return self._info(session, row)
