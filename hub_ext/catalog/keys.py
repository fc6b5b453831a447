"""Keys that sign: of `images.lock`, and of images. Which kinds there are, and how a signature is checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, StringConstraints

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

_KINDS = "an Ed25519, an ECDSA P-256, or an RSA key of 2048 bits or more"
_SMALLEST_RSA = 2048  # bits


class BadKey(ValueError):
    """What is no key, or none that is taken here; the message says what would be."""


@dataclass(frozen=True)
class PublicKey:
    """A public key.

    Attributes:
        name: How people call it.
        fingerprint: ``sha256:`` and the hash of the key itself, whatever it is called.
    """

    name: str
    fingerprint: str
    _key: SSlibKey

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Return whether it made a signature.

        Args:
            signature: The signature, as its kind of key writes it.
            data: What was signed.
        """
        from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
        from securesystemslib.signer import Signature

        try:
            self._key.verify_signature(Signature(self._key.keyid, signature.hex()), data)
        except (UnverifiedSignatureError, VerificationError):
            return False
        return True


@cache
def _read(pem: str) -> tuple[str, SSlibKey]:
    """Return fingerprint and key of a text in PEM.

    Raises:
        BadKey: If it is no such key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if "PRIVATE" in pem:
        raise BadKey("is a private key: it belongs to whoever signs, and into no file that others read")
    try:
        found = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(f"must be a public key in PEM: {_KINDS}") from None
    return _fingerprint(found), _of(found)


def _of(found: Any) -> SSlibKey:
    """Return a key with the scheme that cosign uses for its kind.

    Raises:
        BadKey: If it is of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from securesystemslib.signer import SSlibKey

    known = isinstance(found, Ed25519PublicKey)
    known = known or (isinstance(found, EllipticCurvePublicKey) and isinstance(found.curve, SECP256R1))
    rsa = isinstance(found, RSAPublicKey) and found.key_size >= _SMALLEST_RSA
    if not known and not rsa:
        raise BadKey(f"must be {_KINDS}")
    return SSlibKey.from_crypto(found, keyid=_fingerprint(found), scheme="rsa-pkcs1v15-sha256" if rsa else None)


def _fingerprint(found: Any) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256, Hash
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    digest = Hash(SHA256())
    digest.update(found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return "sha256:" + digest.finalize().hex()


def public_key(name: str, pem: str) -> PublicKey:
    """Return a public key.

    Args:
        name: How people call it.
        pem: The key.

    Raises:
        BadKey: If it is none that is taken here.
    """
    return PublicKey(name, *_read(pem))


def _checked(pem: str) -> str:
    _read(pem)
    return pem


Pem = Annotated[str, StringConstraints(max_length=4000, strip_whitespace=True), AfterValidator(_checked)]


def signer(pem: bytes, password: bytes | None) -> CryptoSigner:
    """Return what signs with a private key.

    Args:
        pem: The key, in PKCS #8.
        password: What opens it, None for one that is open.

    Raises:
        BadKey: If it is none that is taken here, or the password does not open it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        found: Any = load_pem_private_key(pem, password)
        return CryptoSigner(found, _of(found.public_key()))
    except TypeError:
        words = "is locked: its password is missing" if password is None else "is not locked, so it takes no password"
        raise BadKey(words) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, BadKey):
            raise
        raise BadKey(f"cannot be read with this password, or is not {_KINDS} in PEM (PKCS #8)") from None


def make_pair(password: bytes | None) -> tuple[bytes, str]:
    """Return a new Ed25519 key: private (PEM, locked where there is a password) and public (PEM)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    made = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    private = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    return private, made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
