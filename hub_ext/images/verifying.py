"""One image, verified: is its digest there, who signed it, has it a list of its parts?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from hub_ext.catalog.keys import PublicKey
from hub_ext.images import cosign, sbom
from hub_ext.images.source import MOST_ATTACHED, Absent, Document, Named, Source, SourceError, Unreachable, Wrong

Outcome = Literal["verified", "refused", "unreachable"]

_LARGEST_PAYLOAD = 64 * 1024  # bytes of what a signature is of
_REFERRED = "application/vnd.dev.cosign.artifact.sig.v1+json"
_MOST_PROBLEMS = 10


@dataclass(frozen=True)
class Verification:
    """What was found out about an image.

    Attributes:
        image: Registry, name and digest.
        outcome: ``verified``: there, and signed by a key that counts; ``refused``; ``unreachable``: nobody could say.
        keys: Who signed it: name of the key → fingerprint.
        sbom: Kind of its list of parts, empty for none.
        sbom_by: Who signed the list, empty for one that is not signed.
        problems: What is wrong, in words.
        source: Where it was looked at.
    """

    image: str
    outcome: Outcome
    keys: dict[str, str] = field(default_factory=dict)
    sbom: str = ""
    sbom_by: str = ""
    problems: tuple[str, ...] = ()
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "image": self.image,
            "outcome": self.outcome,
            "keys": dict(self.keys),
            "sbom": self.sbom or None,
            "sbom_signed_by": self.sbom_by or None,
            "problems": list(self.problems),
            "source": self.source,
        }


def verify(reference: str, source: Source, keys: Sequence[PublicKey]) -> Verification:
    """Verify an image.

    Args:
        reference: Registry, name and digest.
        source: Where to look.
        keys: The keys that count; none: only whether the digest is there.
    """
    look = _Look(Named.of(reference), source, keys)
    problems: list[str] = []
    try:
        source.image(look.image)
        signed, problems = look.signers()
        listed = look.listed(problems)
    except Unreachable as error:
        return Verification(reference, "unreachable", problems=(str(error),), source=source.where)
    except SourceError as error:
        return Verification(reference, "refused", problems=(str(error),), source=source.where)
    if keys and not signed:
        problems = problems or ["no signature was found"]
    outcome: Outcome = "verified" if signed or not keys else "refused"
    kind, by = listed or ("", "")
    return Verification(reference, outcome, signed, kind, by, tuple(problems[:_MOST_PROBLEMS]), source.where)


@dataclass
class _Look:
    """One look at one image."""

    image: Named
    source: Source
    keys: Sequence[PublicKey]
    _referrers: list[Document] | None = None

    def referrers(self) -> list[Document]:
        if self._referrers is None:
            self._referrers = self.source.referrers(self.image)
        return self._referrers

    # Signatures.

    def signers(self) -> tuple[dict[str, str], list[str]]:
        """Return who signed the image, and what is wrong with what else is there."""
        signed: dict[str, str] = {}
        problems: list[str] = []
        for check in self._signatures() if self.keys else ():
            try:
                key = check()
            except (Wrong, Absent) as error:
                problems += [str(error)] if str(error) not in problems else []
            else:
                signed |= {key.name: key.fingerprint} if key is not None else {}
        return signed, problems

    def _signatures(self) -> Iterator[Callable[[], PublicKey | None]]:
        attached = self.source.attached(self.image, "sig")
        for manifest in [*attached, *(one for one in self.referrers() if one.kind == _REFERRED)]:
            for layer in _layers(manifest, cosign.SIGNATURE):
                yield partial(self._signature, layer)
        for layer in self._bundles():
            yield partial(self._signed_bundle, layer)

    def _signature(self, layer: dict[str, Any]) -> PublicKey:
        marks = layer.get("annotations")
        signature = str(marks.get(cosign.ANNOTATION, "")) if isinstance(marks, dict) else ""
        payload = self._blob(layer, _LARGEST_PAYLOAD)
        return cosign.check_signature(payload, signature, self.image.digest, self.keys)

    def _signed_bundle(self, layer: dict[str, Any]) -> PublicKey | None:
        found = cosign.check_statement(self._blob(layer, sbom.LARGEST), self.image.digest, self.keys)
        return found.by if found.kind == cosign.SIGNED else None

    def _bundles(self) -> list[dict[str, Any]]:
        bundles = [one for one in self.referrers() if one.kind.startswith(cosign.BUNDLE)]
        return [layer for one in bundles for layer in one.parts("layers")[:MOST_ATTACHED]]

    # Its list of parts.

    def listed(self, problems: list[str]) -> tuple[str, str] | None:
        """Return the kind of the image's list and who signed it: a signed one before one that is not."""
        found: tuple[str, str] | None = None
        for check in (*self._statements(), *self._lists()):
            try:
                one = check()
            except (Wrong, Absent) as error:
                problems += [str(error)] if str(error) not in problems else []
                continue
            if one is not None and one[1]:
                return one
            found = found or one
        return found

    def _statements(self) -> Iterator[Callable[[], tuple[str, str] | None]]:
        if not self.keys:
            return
        attached = [layer for one in self.source.attached(self.image, "att") for layer in _layers(one, cosign.ENVELOPE)]
        for layer in [*attached, *self._bundles()]:
            yield partial(self._statement, layer)

    def _statement(self, layer: dict[str, Any]) -> tuple[str, str] | None:
        found = cosign.check_statement(self._blob(layer, sbom.LARGEST), self.image.digest, self.keys)
        kind = sbom.kind_of_statement(found.kind)
        return (kind, found.by.name) if kind is not None else None

    def _lists(self) -> Iterator[Callable[[], tuple[str, str] | None]]:
        attached = self.source.attached(self.image, "sbom")
        for manifest in [*attached, *(one for one in self.referrers() if sbom.may_be_list(one.kind))]:
            for layer in manifest.parts("layers")[:MOST_ATTACHED]:
                yield partial(self._list, layer)

    def _list(self, layer: dict[str, Any]) -> tuple[str, str] | None:
        kind = sbom.kind_of(self._blob(layer, sbom.LARGEST))
        if kind is None:
            raise Wrong("what is attached as a list of parts is neither CycloneDX nor SPDX")
        return kind, ""

    def _blob(self, layer: dict[str, Any], largest: int) -> bytes:
        return self.source.blob(self.image, str(layer.get("digest")), largest)


def _layers(manifest: Document, media: str) -> list[dict[str, Any]]:
    return [one for one in manifest.parts("layers")[:MOST_ATTACHED] if one.get("mediaType") == media]
