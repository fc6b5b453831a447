"""What cosign signs, checked with a key and nothing else: signatures of an image, and statements about it. Pure.

- A *signature* is of a small JSON payload that names the digest ("simple signing").
- A *statement* is an in-toto statement in a DSSE envelope (an attestation), which a bundle holds, too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hub_ext.catalog.keys import PublicKey
from hub_ext.images.source import Wrong, read_json

SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle"  # with a version behind
ANNOTATION = "dev.cosignproject.cosign/signature"
SIGNED = "https://sigstore.dev/cosign/sign/v1"  # the kind of statement that is a signature

_TYPE = "cosign container image signature"
_IN_TOTO = "application/vnd.in-toto+json"
_MOST_SIGNATURES, _MOST_SUBJECTS = 20, 1000


@dataclass(frozen=True)
class Statement:
    """What somebody said of an image, and signed.

    Attributes:
        by: Whose key signed it.
        kind: The kind of statement (`predicateType`).
    """

    by: PublicKey
    kind: str


def check_signature(payload: bytes, signature: str, digest: str, keys: Sequence[PublicKey]) -> PublicKey:
    """Return the key that signed an image.

    Args:
        payload: What is signed.
        signature: Base64.
        digest: Digest of the image.
        keys: The keys that count.

    Raises:
        Wrong: If it is signed by none of them, or something else is signed.
    """
    key = _signer(_bytes(signature), payload, keys)
    if key is None:
        raise Wrong("a signature is by none of the enclave's keys, or what it signs was changed")
    critical = read_json(payload, "what is signed").get("critical")
    image = critical.get("image") if isinstance(critical, dict) else None
    if not isinstance(critical, dict) or critical.get("type") != _TYPE or not isinstance(image, dict):
        raise Wrong(f"{key.name} signed something that is no image")
    if image.get("docker-manifest-digest") != digest:
        raise Wrong(f"{key.name} signed another image")
    return key


def check_statement(content: bytes, digest: str, keys: Sequence[PublicKey]) -> Statement:
    """Return a statement about an image.

    Args:
        content: A DSSE envelope, or a bundle with one.
        digest: Digest of the image.
        keys: The keys that count.

    Raises:
        Wrong: If it is signed by none of them, or is about something else.
    """
    found = read_json(content, "a statement")
    envelope = found.get("dsseEnvelope", found)
    if not isinstance(envelope, dict) or envelope.get("payloadType") != _IN_TOTO:
        raise Wrong("a statement is in no envelope that is known here")
    payload = _bytes(envelope.get("payload"))
    key = _signer_of(envelope, payload, keys)
    if key is None:
        raise Wrong("a statement is signed by none of the enclave's keys, or was changed")
    said = read_json(payload, "a statement")
    if not _is_about(said.get("subject"), digest):
        raise Wrong(f"{key.name} signed a statement about another image")
    return Statement(key, str(said.get("predicateType", ""))[:200])


def _signer_of(envelope: dict[str, Any], payload: bytes, keys: Sequence[PublicKey]) -> PublicKey | None:
    from securesystemslib.dsse import Envelope

    data = Envelope(payload, _IN_TOTO, {}).pae()
    signatures = envelope.get("signatures")
    for one in signatures[:_MOST_SIGNATURES] if isinstance(signatures, list) else []:
        key = _signer(_bytes(one.get("sig")), data, keys) if isinstance(one, dict) else None
        if key is not None:
            return key
    return None


def _signer(signature: bytes, data: bytes, keys: Sequence[PublicKey]) -> PublicKey | None:
    return next((key for key in keys if signature and key.verifies(signature, data)), None)


def _is_about(subjects: object, digest: str) -> bool:
    wanted = digest.removeprefix("sha256:")
    for one in subjects[:_MOST_SUBJECTS] if isinstance(subjects, list) else []:
        found = one.get("digest") if isinstance(one, dict) else None
        if isinstance(found, dict) and found.get("sha256") == wanted:
            return True
    return False


def _bytes(text: object) -> bytes:
    """Return what base64 says; nothing where it is none, which no key has signed."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return b""
