"""Keys that sign: three kinds, told apart from everything else, and never a private one in a file that others read."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hub_ext.catalog.keys import BadKey, make_pair, public_key, signer

KINDS: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "p-256": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
}


def pem_of(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def private_of(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_is_that_of_its_key_and_its_data(kind: str) -> None:
    key = public_key("ann", pem_of(KINDS[kind]))
    made = bytes.fromhex(signer(private_of(KINDS[kind]), None).sign(b"what is signed").signature)
    assert key.verifies(made, b"what is signed")
    assert not key.verifies(made, b"something else")
    assert not key.verifies(made[:-1], b"what is signed")
    assert not key.verifies(b"", b"what is signed")
    for other in KINDS.keys() - {kind}:
        assert not public_key("bob", pem_of(KINDS[other])).verifies(made, b"what is signed")


def test_a_key_is_known_by_its_fingerprint_whatever_it_is_called() -> None:
    pem = pem_of(KINDS["p-256"])
    assert public_key("ann", pem).fingerprint == public_key("bob", f"\n{pem}\n").fingerprint
    assert public_key("ann", pem).fingerprint != public_key("ann", pem_of(KINDS["rsa"])).fingerprint


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("", "must be a public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "must be a public key"),
        (private_of(KINDS["ed25519"]).decode(), "is a private key"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "must be an Ed25519"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "must be an Ed25519"),
    ],
    ids=["empty", "cut", "private", "another-curve", "too-small"],
)
def test_what_is_no_such_key_is_told(pem: str, words: str) -> None:
    with pytest.raises(BadKey, match=words):
        public_key("ann", pem)


def test_a_new_key_is_locked_by_its_password() -> None:
    private, public = make_pair(b"open sesame")
    made = bytes.fromhex(signer(private, b"open sesame").sign(b"x").signature)
    assert public_key("ann", public).verifies(made, b"x")
    with pytest.raises(BadKey, match="its password is missing"):
        signer(private, None)
    with pytest.raises(BadKey, match="cannot be read with this password"):
        signer(private, b"sesame")
    with pytest.raises(BadKey, match="takes no password"):
        signer(make_pair(None)[0], b"x")
