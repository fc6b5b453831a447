"""The images of an enclave as JSON, for who looks after the catalog."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from hub_ext.catalog.locks import check_signatures
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.image_tables import ImageVerification
from hub_ext.governance.checks import images_of
from hub_ext.governance.evidence import Looked, looked


def images_as_dict(session: Session, catalog: Catalog) -> dict[str, Any]:
    """Return the lock of the enclave, and how each of its images stands.

    Args:
        session: Any transaction.
        catalog: The snapshot.

    Returns:
        ``{"enclave", "local", "verify", "sbom", "serial", "signed_by", "signatures_needed", "items"}``; each item has
        ``name``, ``image``, ``state`` (``verified``, ``refused``, ``waiting``, ``off``), ``signed_by``, ``sbom``,
        ``sbom_signed_by``, ``doubts`` (``message``, ``denies``), ``problems``, ``since``, ``last``, ``hindered`` (why
        it could not be looked at last, or None) and ``profiles`` (``name@number`` of what is made from it).
    """
    spec, lock = catalog.enclave.spec, catalog.lock
    stands = looked(session, catalog.images.values())
    used = _used(catalog)
    return {
        "enclave": catalog.enclave.metadata.name,
        "local": spec.local,
        "verify": spec.verify,
        "sbom": spec.sbom,
        "serial": lock.metadata.serial if lock is not None else None,
        "signed_by": list(check_signatures(lock, spec.lock_keys()).by) if lock is not None else [],
        "signatures_needed": spec.signatures,
        "items": [
            {"name": name, "image": image, "profiles": used.get(name, [])} | _standing(catalog, image, stands[image])
            for name, image in catalog.images.items()
        ],
    }


def _standing(catalog: Catalog, image: str, stands: Looked) -> dict[str, Any]:
    row, last = stands.definite, stands.last
    doubts = catalog.doubts(image)
    state = "off" if catalog.enclave.spec.verify == "off" else row.outcome if row is not None else "waiting"
    if state == "verified" and any(doubt.code == "image-unverified" for doubt in doubts):
        state = "waiting"  # by a key that counts no more
    hindered = last is not None and last is not row
    return {
        "state": state,
        "signed_by": sorted(row.signers) if row is not None else [],
        "sbom": (row.sbom or None) if row is not None else None,
        "sbom_signed_by": (row.sbom_by or None) if row is not None else None,
        "doubts": [{"message": doubt.message, "denies": doubt.denies} for doubt in doubts],
        "problems": list(row.problems) if row is not None else [],
        "since": _time(row, "at"),
        "last": _time(row, "last_at"),
        "hindered": "; ".join(last.problems) if hindered and last is not None else None,
    }


def _time(row: ImageVerification | None, name: str) -> str | None:
    return getattr(row, name).isoformat() if row is not None else None


def _used(catalog: Catalog) -> dict[str, list[str]]:
    """Return which versions are made from which names."""
    found: dict[str, list[str]] = {}
    for profile in catalog.profiles:
        for name in images_of(profile, catalog, None)[0]:
            found.setdefault(name, []).append(f"{profile.name}@{profile.version}")
    return found
