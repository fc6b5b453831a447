"""`images.lock`: which registry and digest each name of an image means in an enclave, and who signed that.

The file is YAML that people can review. Its signatures are DSSE signatures of the canonical form of everything else in
it, so that order, spaces and comments are free and nothing that counts is.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from hub_ext.catalog.keys import PublicKey
from hub_ext.catalog.models import ImageName, Model, Name

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

PAYLOAD_TYPE = "application/vnd.hub-ext.images-lock+json"

# Registry (with a port, maybe), name, digest: what a pod names, and what a registry is asked for.
_REFERENCE = (
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?"
    r"(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+@sha256:[a-f0-9]{64}$"
)
Reference = Annotated[str, StringConstraints(pattern=_REFERENCE, max_length=400)]


class LockMetadata(Model):
    """Whose lock it is.

    Attributes:
        enclave: Name of the enclave: a lock of another one is refused.
        serial: Grows with each change of its images: an older one, put back, is refused.
    """

    enclave: Name
    serial: Annotated[int, Field(ge=1, le=10**9, strict=True)]


class LockSignature(Model):
    """One signature.

    Attributes:
        key: Name of the key, as the enclave has it.
        signature: Base64.
    """

    key: Name
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=2000)]


class ImagesLock(Model):
    """The lock of an enclave."""

    api_version: Literal["hub-ext/v1"] = Field(alias="apiVersion")
    kind: Literal["ImagesLock"]
    metadata: LockMetadata
    images: dict[ImageName, Reference] = Field(max_length=2000)
    signatures: tuple[LockSignature, ...] = Field(default=(), max_length=20)

    @classmethod
    def of(cls, enclave: str, serial: int, images: Mapping[str, str]) -> ImagesLock:
        """Return a lock that nobody has signed yet.

        Args:
            enclave: Name of the enclave.
            serial: Its number.
            images: Name → registry, name and digest.

        Raises:
            ValidationError: If one of them is none.
        """
        about = {"enclave": enclave, "serial": serial}
        content = {"apiVersion": "hub-ext/v1", "kind": "ImagesLock", "metadata": about, "images": dict(images)}
        return cls.model_validate(content)

    def with_images(self, images: Mapping[str, str]) -> ImagesLock:
        """Return a lock of other images under the next serial, without signatures; the same one where nothing changes.

        Args:
            images: Name → registry, name and digest.

        Raises:
            ValidationError: If one of them is none.
        """
        if dict(images) == self.images:
            return self
        return ImagesLock.of(self.metadata.enclave, self.metadata.serial + 1, images)

    def payload(self) -> bytes:
        """Return what is signed: everything but the signatures, in canonical form."""
        content = self.model_dump(mode="json", by_alias=True, exclude={"signatures"})
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def envelope(self) -> Envelope:
        """Return it as a DSSE envelope without signatures, which says what is signed."""
        from securesystemslib.dsse import Envelope

        return Envelope(self.payload(), PAYLOAD_TYPE, {})

    def signed(self, name: str, by: CryptoSigner) -> ImagesLock:
        """Return it with one more signature, in place of an earlier one of the same key.

        Args:
            name: Name of the key, as the enclave has it.
            by: Signs.
        """
        made = bytes.fromhex(self.envelope().sign(by).signature)
        mine = LockSignature(key=name, signature=base64.b64encode(made).decode())
        others = [one for one in self.signatures if one.key != name]
        return self.model_copy(update={"signatures": (*others, mine)})


@dataclass(frozen=True)
class Signing:
    """How the signatures of a lock stand.

    Attributes:
        by: Names of the keys that signed it.
        problems: What is wrong, each with the number of its signature; empty for none.
    """

    by: tuple[str, ...] = ()
    problems: Mapping[int, str] = field(default_factory=dict)


def check_signatures(lock: ImagesLock, keys: Iterable[PublicKey]) -> Signing:
    """Return who signed a lock, and which signatures are wrong.

    A signature of a key that the enclave does not name counts for nothing, and is no mistake: keys come and go.

    Args:
        lock: The lock.
        keys: The enclave's keys.
    """
    known, data = {key.name: key for key in keys}, lock.envelope().pae()
    by: list[str] = []
    problems: dict[int, str] = {}
    for number, one in enumerate(lock.signatures):
        if one.key not in known:
            continue
        if known[one.key].verifies(_bytes(one.signature), data):
            by += [] if one.key in by else [one.key]
        else:
            problems[number] = f"is not a signature of {one.key} for what this file says now"
    return Signing(tuple(by), problems)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
