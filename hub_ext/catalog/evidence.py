"""What is known of an image's signature and of its list of parts, and whether an enclave is content with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hub_ext.catalog.policy import Enclave

Severity = Literal["required", "warn", "off"]


@dataclass(frozen=True)
class Evidence:
    """What the last verification of an image found, that was not hindered.

    Attributes:
        image: Registry, name and digest.
        outcome: ``verified`` or ``refused``.
        keys: Who signed it: name of the key → fingerprint.
        sbom: Kind of its list of parts, empty for none.
        problems: What was wrong.
    """

    image: str
    outcome: str
    keys: Mapping[str, str] = field(default_factory=dict)
    sbom: str = ""
    problems: tuple[str, ...] = ()

    def entry(self) -> list[Any]:
        """Return it as a snapshot has it."""
        return [self.image, self.outcome, sorted(self.keys.values()), self.sbom]


@dataclass(frozen=True)
class Doubt:
    """Why an enclave is not content with an image.

    Attributes:
        code: ``image-unverified`` or ``image-unlisted``.
        message: In one sentence.
        allowed: What would be allowed.
        denies: Whether nothing may be made from it.
    """

    code: str
    message: str
    allowed: str
    denies: bool


def doubts(image: str, enclave: Enclave, known: Mapping[str, Evidence]) -> list[Doubt]:
    """Return why an enclave is not content with an image.

    Args:
        image: Registry, name and digest; where processes stand for images, none is asked about.
        enclave: Says what it asks for, and whose keys count.
        known: Evidence by image.
    """
    spec = enclave.spec
    if spec.verify == "off" or spec.local:
        return []
    evidence = known.get(image)
    found = []
    why = _unverified(evidence, enclave)
    if why:
        signers = " or ".join(spec.image_keys)
        message = f"The image {_short(image)} {why}."
        found.append(Doubt("image-unverified", message, f"images signed by {signers}", spec.verify == "required"))
    if spec.sbom != "off" and evidence is not None and not evidence.sbom:
        message = f"The image {_short(image)} has no list of its parts (SBOM)."
        found.append(Doubt("image-unlisted", message, "images with CycloneDX or SPDX", spec.sbom == "required"))
    return found


def _unverified(evidence: Evidence | None, enclave: Enclave) -> str:
    if evidence is None:
        return "has not been verified yet"
    if evidence.outcome != "verified":
        return f"could not be verified: {'; '.join(evidence.problems[:3]) or 'nobody signed it'}"
    current = {key.fingerprint for key in enclave.spec.verifying_keys()}
    if not current.intersection(evidence.keys.values()):
        return "was verified with a key that this enclave names no more, and has to be verified anew"
    return ""


def _short(image: str) -> str:
    """Return an image as people can read it."""
    name, at, digest = image.partition("@")
    return f"{name}{at}{digest[:19]}…" if at else name
