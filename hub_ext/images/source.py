"""Where images are looked at: a registry, or a folder that was carried over (`Source`), and what may go wrong there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Suffix = Literal["sig", "att", "sbom"]  # what cosign hangs onto an image, by a tag of its own

LARGEST_MANIFEST = 4 * 2**20  # bytes, as the OCI distribution specification has it
MOST_ATTACHED = 50  # signatures, attestations or lists that are looked at for one image


class SourceError(Exception):
    """What keeps something from being looked at; its text is for people."""


class Absent(SourceError):
    """It is not there."""


class Unreachable(SourceError):
    """Nobody answers, or not now: whether it is there is not known."""


class Wrong(SourceError):
    """What is there is not what it should be: another content, too large, no such format."""


@dataclass(frozen=True)
class Named:
    """An image as a lock has it.

    Attributes:
        host: Host of the registry, with its port where it has one.
        name: Its name there.
        digest: ``sha256:`` and the hash of its manifest.
    """

    host: str
    name: str
    digest: str

    @classmethod
    def of(cls, reference: str) -> Named:
        """Return the parts of registry, name and digest (`locks.Reference`)."""
        place, _, digest = reference.partition("@")
        host, _, name = place.partition("/")
        return cls(host, name, digest)

    @property
    def hash(self) -> str:
        """The digest without its kind."""
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True)
class Document:
    """A manifest or index, as it came.

    Attributes:
        content: Its JSON.
        digest: Its digest.
        kind: What it says that it is (`artifactType`), empty for nothing.
    """

    content: dict[str, Any]
    digest: str
    kind: str = ""

    def parts(self, key: str) -> list[dict[str, Any]]:
        """Return what it lists (``layers``, ``manifests``), without what is no entry of such a list."""
        found = self.content.get(key)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


class Source(Protocol):
    """What holds images."""

    @property
    def where(self) -> str:
        """How it is called."""

    def image(self, image: Named) -> Document:
        """Return the manifest, or index, of an image.

        Raises:
            SourceError: If it is not there, or not what its digest says.
        """

    def attached(self, image: Named, suffix: Suffix) -> list[Document]:
        """Return what cosign hung onto an image.

        Raises:
            SourceError: If that cannot be known.
        """

    def referrers(self, image: Named) -> list[Document]:
        """Return the manifests that name an image as their subject.

        Raises:
            SourceError: If that cannot be known.
        """

    def blob(self, image: Named, digest: str, largest: int) -> bytes:
        """Return a content.

        Args:
            image: The image that it belongs to.
            digest: Its digest.
            largest: Most bytes that are taken.

        Raises:
            SourceError: If it is not there, is larger, or is not what its digest says.
        """


def read_json(content: bytes, what: str) -> dict[str, Any]:
    """Return a content as a JSON object.

    Raises:
        Wrong: If it is none.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise Wrong(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise Wrong(f"{what} is no JSON object")
    return found


def document(content: bytes, what: str) -> Document:
    """Return a content as a manifest.

    Raises:
        Wrong: If it is none.
    """
    found = read_json(content, what)
    kind = found.get("artifactType")
    return Document(found, digest_of(content), kind if isinstance(kind, str) else "")


def digest_of(content: bytes) -> str:
    """Return the digest of a content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def check_digest(content: bytes, digest: str, what: str) -> bytes:
    """Return a content that is what its digest says.

    Raises:
        Wrong: If it is another one.
    """
    if digest_of(content) != digest:
        raise Wrong(f"{what} is not what its digest says")
    return content


def is_digest(text: object) -> bool:
    """Return whether something is a digest that is understood here."""
    if not isinstance(text, str) or not text.startswith("sha256:"):
        return False
    rest = text.removeprefix("sha256:")
    return len(rest) == 64 and set(rest) <= set("0123456789abcdef")
