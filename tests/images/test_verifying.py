"""An image verifies when its digest is there and a key that counts signed that very digest; its list is found."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from hub_ext.images import cosign
from hub_ext.images.source import Source
from hub_ext.images.verifying import Verification, verify
from tests.images.conftest import KEYS, NAME, OURS, Shelf, digest_of, payload, sign, statement

Made = Callable[[], Source]
CYCLONEDX = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}).encode()
SPDX = json.dumps({"spdxVersion": "SPDX-2.3", "packages": []}).encode()
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def look(source: Made, digest: str) -> Verification:
    return verify(f"registry.low/{NAME}@{digest}", source(), OURS)


def test_an_image_that_our_key_signed_verifies(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    found = look(source, digest)
    assert (found.outcome, found.keys, found.problems) == ("verified", {"builds": KEYS["builds"].fingerprint}, ())
    assert found.sbom == ""


def test_an_index_of_several_platforms_is_signed_as_a_whole(shelf: Shelf, source: Made) -> None:
    index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": shelf.image()}]}).encode()
    digest = shelf.put(index)
    shelf.manifests.add(digest)
    shelf.signed(digest)
    assert look(source, digest).outcome == "verified"


def test_what_is_not_there_is_refused(shelf: Shelf, source: Made) -> None:
    shelf.image()
    found = look(source, digest_of(b"another"))
    assert found.outcome == "refused"
    assert "is not in" in found.problems[0]


def test_what_nobody_signed_is_refused(shelf: Shelf, source: Made) -> None:
    found = look(source, shelf.image())
    assert (found.outcome, found.problems) == ("refused", ("no signature was found",))


def test_a_stranger_counts_for_nothing(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    shelf.signed(digest, by="eve")
    found = look(source, digest)
    assert found.outcome == "refused"
    assert "by none of the enclave's keys" in found.problems[0]


def test_one_good_signature_among_others_is_enough(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    body = payload(digest)
    layers = [shelf.layer(body, cosign.SIGNATURE, **{cosign.ANNOTATION: sign(by, body)}) for by in ("eve", "builds")]
    shelf.manifest(*layers, tag=f"{digest.replace(':', '-')}.sig")
    found = look(source, digest)
    assert (found.outcome, set(found.keys), len(found.problems)) == ("verified", {"builds"}, 1)


def test_our_signature_of_another_image_is_refused(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    shelf.signed(digest, body=payload("sha256:" + "a" * 64))
    found = look(source, digest)
    assert (found.outcome, found.problems) == ("refused", ("builds signed another image",))


@pytest.mark.parametrize(
    "body",
    [
        payload("", type="something else"),
        payload("", image={}),
        b'{"critical": {"type": "cosign container image signature"}}',
        b'{"critical": []}',
        b"[]",
        b"no JSON",
        b"[" * 60_000,
        b"",
    ],
    ids=["type", "no-digest", "no-image", "list", "no-object", "text", "deep", "empty"],
)
def test_what_our_key_signed_must_be_an_image(shelf: Shelf, source: Made, body: bytes) -> None:
    digest = shelf.image()
    shelf.signed(digest, body=body)
    assert look(source, digest).outcome == "refused"


def test_a_payload_that_was_changed_is_refused(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    shelf.signed(digest, body=payload(digest), signature=sign("builds", payload("sha256:" + "b" * 64)))
    assert "what it signs was changed" in look(source, digest).problems[0]


@pytest.mark.parametrize("signature", ["", "%%%", "AAAA", base64.b64encode(b"x" * 5000).decode(), "é"])
def test_a_signature_that_is_none_is_refused(shelf: Shelf, source: Made, signature: str) -> None:
    digest = shelf.image()
    shelf.signed(digest, signature=signature)
    assert look(source, digest).outcome == "refused"


def test_without_keys_only_the_digest_is_looked_for(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    found = verify(f"registry.low/{NAME}@{digest}", source(), [])
    assert (found.outcome, found.keys) == ("verified", {})


# --- bundles and referrers -------------------------------------------------------------------------------------------


def test_a_signature_in_a_bundle_that_refers_to_the_image_counts(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    content = {"mediaType": BUNDLE, "dsseEnvelope": json.loads(statement("builds", digest, cosign.SIGNED))}
    shelf.refers(digest, json.dumps(content).encode(), BUNDLE)
    assert look(source, digest).outcome == "verified"


@pytest.mark.parametrize("by", ["eve", "builds"])
def test_a_bundle_of_a_stranger_or_about_something_else_does_not(shelf: Shelf, source: Made, by: str) -> None:
    digest = shelf.image()
    about = digest if by == "eve" else "sha256:" + "a" * 64
    content = {"mediaType": BUNDLE, "dsseEnvelope": json.loads(statement(by, about, cosign.SIGNED))}
    shelf.refers(digest, json.dumps(content).encode(), BUNDLE)
    assert look(source, digest).outcome == "refused"


def test_a_statement_about_something_else_is_no_signature(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    content = {"mediaType": BUNDLE, "dsseEnvelope": json.loads(statement("builds", digest, "https://slsa.dev/x"))}
    shelf.refers(digest, json.dumps(content).encode(), BUNDLE)
    assert look(source, digest).problems == ("no signature was found",)


def test_a_registry_that_lists_no_referrers_has_them_by_a_tag(shelf: Shelf, client: Source, registry: object) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    shelf.refers(digest, CYCLONEDX, "application/vnd.cyclonedx+json")
    index = shelf.put(json.dumps({"schemaVersion": 2, "manifests": shelf.referring}).encode())
    shelf.manifests.add(index)
    shelf.tags[digest.replace(":", "-")] = index
    registry.lists_referrers = False  # type: ignore[attr-defined]  # a registry of the tests
    assert verify(f"registry.low/{NAME}@{digest}", client, OURS).sbom == "cyclonedx"


# --- the list of its parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sbom"),
    [
        ("https://cyclonedx.org/bom", "cyclonedx"),
        ("https://cyclonedx.org/bom/v1.6", "cyclonedx"),
        ("https://spdx.dev/Document", "spdx"),
        ("https://spdx.dev/Document/v2.3", "spdx"),
        ("https://cyclonedx.org/bombast", ""),
        ("https://slsa.dev/provenance/v1", ""),
    ],
)
def test_a_list_that_was_attested(shelf: Shelf, source: Made, kind: str, sbom: str) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    shelf.attested(digest, statement("builds", digest, "https://slsa.dev/x"), statement("builds", digest, kind))
    found = look(source, digest)
    assert (found.outcome, found.sbom, found.sbom_by) == ("verified", sbom, "builds" if sbom else "")


@pytest.mark.parametrize("wrong", ["stranger", "subject", "changed", "no-envelope", "text"])
def test_a_list_that_was_attested_by_a_stranger_or_about_something_else_does_not_count(
    shelf: Shelf, source: Made, wrong: str
) -> None:
    digest, kind = shelf.image(), "https://cyclonedx.org/bom"
    good = statement("builds", digest, kind)
    shelf.signed(digest)
    changed = json.loads(good) | {"payload": base64.b64encode(b'{"predicateType": "x"}').decode()}
    shelf.attested(
        digest,
        {
            "stranger": statement("eve", digest, kind),
            "subject": statement("builds", "sha256:" + "a" * 64, kind),
            "changed": json.dumps(changed).encode(),
            "no-envelope": b"{}",
            "text": b"text",
        }[wrong],
    )
    found = look(source, digest)
    assert (found.outcome, found.sbom) == ("verified", "")
    assert found.problems


@pytest.mark.parametrize(
    ("content", "media", "sbom"),
    [
        (CYCLONEDX, "application/vnd.cyclonedx+json", "cyclonedx"),
        (SPDX, "text/spdx+json", "spdx"),
        (b"SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n", "text/spdx", "spdx"),
        (b'<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>', "application/xml", "cyclonedx"),
        (b'{"bomFormat": "CycloneDX"}', "application/vnd.cyclonedx+json", ""),
        (b"{}", "text/spdx+json", ""),
        (b"[]", "text/spdx+json", ""),
        (b"", "text/spdx", ""),
        (b"\x00\xff", "text/spdx", ""),
    ],
)
def test_a_list_that_is_attached(shelf: Shelf, source: Made, content: bytes, media: str, sbom: str) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    shelf.attached(digest, content, media)
    found = look(source, digest)
    assert (found.sbom, found.sbom_by) == (sbom, "")
    assert sbom or "neither CycloneDX nor SPDX" in found.problems[0]


def test_a_list_that_refers_to_the_image(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    shelf.refers(digest, SPDX, "application/spdx+json")
    assert look(source, digest).sbom == "spdx"


def test_a_list_that_is_signed_goes_before_one_that_is_not(shelf: Shelf, source: Made) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    shelf.attached(digest, SPDX)
    shelf.attested(digest, statement("builds", digest, "https://cyclonedx.org/bom"))
    found = look(source, digest)
    assert (found.sbom, found.sbom_by) == ("cyclonedx", "builds")
