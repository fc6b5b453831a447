"""Verifications of images as the database keeps them: recorded when they are new, confirmed when they are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.catalog.evidence import Evidence
from hub_ext.db.image_tables import ImageVerification
from hub_ext.db.types import now
from hub_ext.governance.state import changed, wait_for_others
from hub_ext.images.verifying import Verification

UNREACHABLE = "unreachable"
_LONGEST = 500  # characters of one problem that are kept


def record(session: Session, found: Iterable[Verification], by: str) -> int:
    """Keep what was found out; what decisions depend on is theirs with the commit.

    Args:
        session: A write transaction.
        found: The verifications.
        by: Who asked for them: a person, or ``service:images``.

    Returns:
        How many say something new.
    """
    wait_for_others(session)
    new = [one for one in found if not _confirmed(session, one)]
    for one in new:
        session.add(_row(one, by))
        outcome = {"verified": "allowed", "refused": "denied"}.get(one.outcome, "failed")
        audit.record(session, by, "image.verify", ("image", one.image), outcome=outcome, detail=one.as_dict())
    session.flush()
    if any(one.outcome != UNREACHABLE for one in new):
        changed(session)
    return len(new)


def _confirmed(session: Session, found: Verification) -> bool:
    """Write down that the last row of an image is still true; say whether it is."""
    last = session.scalar(
        select(ImageVerification)
        .where(ImageVerification.image == found.image)
        .order_by(ImageVerification.id.desc())
        .limit(1)
    )
    row = _row(found, "")
    same = ("outcome", "signers", "sbom", "sbom_by", "problems")
    if last is None or any(getattr(last, name) != getattr(row, name) for name in same):
        return False
    last.last_at = now()
    return True


def _row(found: Verification, by: str) -> ImageVerification:
    return ImageVerification(
        image=found.image,
        outcome=found.outcome,
        signers=dict(found.keys),
        sbom=found.sbom,
        sbom_by=found.sbom_by,
        problems=[problem[:_LONGEST] for problem in found.problems],
        source=found.source[:255],
        by=by[:255],
    )


def load_evidence(session: Session) -> dict[str, Evidence]:
    """Return what the last verification of each image found, of those that were not hindered.

    Args:
        session: Any transaction.
    """
    definite = ImageVerification.outcome != UNREACHABLE
    newest = select(func.max(ImageVerification.id)).where(definite).group_by(ImageVerification.image)
    rows = session.scalars(select(ImageVerification).where(ImageVerification.id.in_(newest)))
    return {
        row.image: Evidence(row.image, row.outcome, dict(row.signers), row.sbom, tuple(row.problems)) for row in rows
    }


@dataclass(frozen=True)
class Looked:
    """How an image stands.

    Attributes:
        definite: The last row that says something of the image, None for none.
        last: The last row at all: where the registry was away, it says so.
    """

    definite: ImageVerification | None = None
    last: ImageVerification | None = None


def looked(session: Session, images: Iterable[str]) -> dict[str, Looked]:
    """Return how images stand, by image.

    Args:
        session: Any transaction.
        images: Registry, name and digest of each.
    """
    found = {}
    for image in set(images):
        rows = select(ImageVerification).where(ImageVerification.image == image)
        last = session.scalar(rows.order_by(ImageVerification.id.desc()).limit(1))
        definite = rows.where(ImageVerification.outcome != UNREACHABLE)
        found[image] = Looked(session.scalar(definite.order_by(ImageVerification.id.desc()).limit(1)), last)
    return found
