"""Finds versions in the database by what people type."""

from __future__ import annotations

import re

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.tables import ProfileVersion

_NAME = re.compile(r"[a-z0-9-]{1,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a profile."""
    return _NAME.fullmatch(text) is not None


def by_digest(session: Session, digest: str) -> ProfileVersion | None:
    """Return the version with a digest, None for anything that is none."""
    return session.get(ProfileVersion, digest) if _DIGEST.fullmatch(digest) else None


def by_number(session: Session, name: str, number: int) -> ProfileVersion | None:
    """Return the version with a name and a number, None for anything that is none."""
    if not is_name(name) or not 0 < number < 2**31:
        return None
    query = select(ProfileVersion).where(ProfileVersion.name == name, ProfileVersion.number == number)
    return session.scalar(query)


def next_number(session: Session, catalog: Catalog, name: str) -> int:
    """Return the lowest number that no version of a profile has, nor any below it."""
    taken = list(session.scalars(select(ProfileVersion.number).where(ProfileVersion.name == name)))
    taken += [one.version for one in catalog.profiles if one.name == name]
    return max(taken, default=0) + 1
