"""`images.lock`: taken only when it is signed as the enclave asks, is that of the enclave, and does not go back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from hub_ext.catalog.keys import make_pair, public_key, signer
from hub_ext.catalog.lock_file import LockFile, LockInForce
from hub_ext.catalog.locks import ImagesLock, check_signatures
from hub_ext.catalog.policy import Enclave
from hub_ext.kubernetes.yaml_text import to_yaml

PAIRS = {name: make_pair(None) for name in ("ann", "bob", "eve")}
SIGNERS = {name: signer(private, None) for name, (private, _) in PAIRS.items()}
ONE, TWO = (f"registry.low/notebooks/standard@sha256:{digit * 64}" for digit in "12")
HEAD = "apiVersion: hub-ext/v1\nkind: ImagesLock\n"
SIGNED = "signatures:\n  - {key: ann, signature: '%%'}\n"
Put = Callable[[ImagesLock | str], None]


def enclave(*names: str, **spec: Any) -> Enclave:
    """Return a network whose signers are ann and bob, or who is named."""
    keys = {name: PAIRS[name][1] for name in names or ("ann", "bob")}
    content = {"domain": "open", "registries": ["registry.low"], "largest": {"cpu": 1, "memory": "1Gi"}}
    content |= {"signers": keys}
    about = {"name": "low", "title": "Low side", "owner": "platform-team"}
    return Enclave.model_validate(
        {"apiVersion": "hub-ext/v1", "kind": "Enclave", "metadata": about, "spec": content | spec}
    )


def lock(serial: int = 1, image: str = ONE, *by: str, name: str = "low") -> ImagesLock:
    made = ImagesLock.of(name, serial, {"notebooks/standard": image})
    for one in by:
        made = made.signed(one, SIGNERS[one])
    return made


@pytest.fixture
def file(tmp_path: Path) -> LockFile:
    """The lock of a folder."""
    (tmp_path / "_enclaves").mkdir()
    return LockFile(tmp_path, "low")


@pytest.fixture
def put(file: LockFile) -> Put:
    """Write the file."""

    def put(what: ImagesLock | str) -> None:
        path = file.folder / file.where
        new = path.with_suffix(".new")
        new.write_text(what if isinstance(what, str) else to_yaml([what.model_dump(mode="json", by_alias=True)]))
        new.replace(path)

    return put


def told(found: LockInForce) -> list[str]:
    return [str(problem) for problem in found.problems]


def test_a_signed_lock_says_what_names_mean(file: LockFile, put: Put) -> None:
    put(lock(1, ONE, "ann"))
    found = file.read(enclave())
    assert (found.images, told(found)) == ({"notebooks/standard": ONE}, [])
    assert "Signatures of images are not verified in this enclave." in found.notes


def test_order_comments_and_form_of_the_file_do_not_matter(file: LockFile, put: Put) -> None:
    content = lock(1, ONE, "ann").model_dump(mode="json", by_alias=True)
    put("# reviewed on Monday\n" + yaml.safe_dump(dict(reversed(content.items())), default_flow_style=True))
    assert file.read(enclave()).images == {"notebooks/standard": ONE}


def test_one_that_is_not_signed_is_used_only_where_the_enclave_says_so_and_that_is_told(
    file: LockFile, put: Put
) -> None:
    put(lock())
    found = file.read(enclave())
    assert found.images == {}
    (said,) = told(found)
    assert said.startswith("_enclaves/low.images.lock:8: signatures: 1 must sign, and it is signed by none")
    found = file.read(enclave(signatures=0))
    assert found.images == {"notebooks/standard": ONE}
    assert "_enclaves/low.images.lock is not signed, which this enclave allows." in found.notes


def test_as_many_must_sign_as_the_enclave_says(file: LockFile, put: Put) -> None:
    put(lock(1, ONE, "ann"))
    assert "2 must sign, and it is signed by ann" in told(file.read(enclave(signatures=2)))[0]
    put(lock(1, ONE, "ann", "bob"))
    found = file.read(enclave(signatures=2))
    assert (found.images, told(found)) == ({"notebooks/standard": ONE}, [])


def test_a_key_that_signs_twice_is_one(file: LockFile, put: Put) -> None:
    twice = lock(1, ONE, "ann")
    put(twice.model_copy(update={"signatures": twice.signatures * 2}))
    assert "2 must sign, and it is signed by ann" in told(file.read(enclave(signatures=2)))[0]


def test_a_stranger_counts_for_nothing(file: LockFile, put: Put) -> None:
    put(lock(1, ONE, "eve"))
    assert "signed by none" in told(file.read(enclave()))[0]
    put(lock(1, ONE, "eve", "ann"))
    assert file.read(enclave()).images  # a key that is not named any more does no harm


def test_somebody_elses_signature_under_a_known_name_is_told_by_its_line(file: LockFile, put: Put) -> None:
    forged = lock().signed("ann", SIGNERS["eve"])
    put(forged)
    assert told(file.read(enclave())) == [
        "_enclaves/low.images.lock:9: signatures.0: is not a signature of ann for what this file says now"
    ]


@pytest.mark.parametrize("needed", [0, 1])
def test_what_was_changed_after_signing_is_not_taken_and_the_last_good_one_holds(
    file: LockFile, put: Put, needed: int
) -> None:
    good = lock(1, ONE, "ann")
    put(good)
    network = enclave(signatures=needed)
    assert file.read(network).images == {"notebooks/standard": ONE}
    put(good.model_copy(update={"images": {"notebooks/standard": TWO}}))
    found = file.read(network)
    assert found.images == {"notebooks/standard": ONE}
    assert "is not a signature of ann" in told(found)[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not YAML"),
        ("", "must be a mapping"),
        (f"{HEAD}metadata: {{enclave: low, serial: 2}}\nimages: {{a: b}}\n", ":4: images.a"),
        (f"{HEAD}images: {{a: {ONE}}}\nimage: 1\n", "metadata: is missing"),
        (f"{HEAD}metadata: {{enclave: low, serial: 2}}\nimages: {{}}\n{SIGNED}", ":6: signatures.0.signature"),
    ],
    ids=["yaml", "empty", "image", "fields", "signature"],
)
def test_a_broken_one_is_told_by_line_and_field_and_the_last_good_one_holds(
    file: LockFile, put: Put, text: str, words: str
) -> None:
    put(lock(1, ONE, "ann"))
    file.read(enclave())
    put(text)
    found = file.read(enclave())
    assert found.images == {"notebooks/standard": ONE}
    assert words in " ".join(told(found))


def test_one_of_another_enclave_is_refused(file: LockFile, put: Put) -> None:
    put(lock(1, ONE, "ann", name="high"))
    assert told(file.read(enclave())) == ["_enclaves/low.images.lock:4: metadata.enclave: is that of high"]


def test_an_older_one_that_is_put_back_is_refused_and_a_newer_one_taken(file: LockFile, put: Put) -> None:
    put(lock(5, TWO, "ann"))
    assert file.read(enclave()).images == {"notebooks/standard": TWO}
    put(lock(4, ONE, "ann"))
    found = file.read(enclave())
    assert found.images == {"notebooks/standard": TWO}
    assert told(found) == [
        "_enclaves/low.images.lock:5: metadata.serial: goes back: 5 was in force, and an older lock is not taken again"
    ]
    put(lock(5, ONE, "ann"))
    assert "was in force with other images" in told(file.read(enclave()))[0]
    put(lock(6, ONE, "ann"))
    assert (file.read(enclave()).images, told(file.read(enclave()))) == ({"notebooks/standard": ONE}, [])


def test_a_process_knows_what_was_in_force_before_it_began(file: LockFile, put: Put) -> None:
    file.remember(lock(5, TWO, "ann"))
    put(lock(4, ONE, "ann"))
    assert file.read(enclave()).images == {"notebooks/standard": TWO}
    file.remember(lock(3, ONE, "ann"))  # an older memory changes nothing
    assert file.read(enclave()).images == {"notebooks/standard": TWO}


def test_what_is_remembered_must_be_signed_by_keys_that_are_named_now(file: LockFile) -> None:
    """Else who takes a stolen key out of the enclave's file would go on with what it signed."""
    file.remember(lock(5, TWO, "ann"))
    assert file.read(enclave("bob")).images == {}
    assert file.read(enclave()).images == {"notebooks/standard": TWO}


def test_a_file_that_is_gone_is_told_and_the_last_good_one_holds(file: LockFile, put: Put) -> None:
    found = file.read(enclave())
    assert (found.images, told(found)) == ({}, [])
    assert "nothing starts" in found.notes[0]
    put(lock(1, ONE, "ann"))
    file.read(enclave())
    (file.folder / file.where).unlink()
    found = file.read(enclave())
    assert found.images == {"notebooks/standard": ONE}
    assert told(found) == ["_enclaves/low.images.lock: is gone; the last good one holds"]


def test_where_processes_are_local_there_is_none(file: LockFile, put: Put) -> None:
    put("{")
    assert file.read(enclave(local=True)) == LockInForce()


# --- the models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        "registry.low/notebooks/standard",
        "registry.low/notebooks/standard:latest",
        "registry.low/a@sha256:" + "A" * 64,
        "registry.low/a@sha256:" + "a" * 63,
        "registry.low@sha256:" + "a" * 64,
        "https://registry.low/a@sha256:" + "a" * 64,
        "registry.low/../a@sha256:" + "a" * 64,
        "registry.low/a b@sha256:" + "a" * 64,
        "registry.low/a@sha256:" + "a" * 64 + "\n",
        "user:word@registry.low/a@sha256:" + "a" * 64,
    ],
)
def test_an_image_is_registry_name_and_digest(image: str) -> None:
    with pytest.raises(ValidationError):
        lock(1, image)


@pytest.mark.parametrize("name", ["localhost:5000/a", "10.88.0.1:5000/team/a_b--c/d.e", "r.low/a"])
def test_such_are_taken(name: str) -> None:
    assert lock(1, f"{name}@sha256:{'a' * 64}").images


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"signers": {"ann": PAIRS["ann"][1], "bob": PAIRS["ann"][1]}}, "ann and bob are one key"),
        ({"signatures": 3}, "3 of 2 signers can never sign"),
        ({"verify": "required"}, "names no key to verify with"),
        ({"verify": "required", "local": True, "image_keys": {"ci": PAIRS["ann"][1]}}, "have no images"),
        ({"sbom": "required"}, "goes with verify"),
        ({"signers": {"ann": PAIRS["ann"][0].decode()}}, "is a private key"),
    ],
)
def test_what_an_enclave_cannot_mean_is_told(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        enclave(**spec)


def test_a_lock_of_other_images_has_the_next_serial_and_no_signatures() -> None:
    first = lock(3, ONE, "ann")
    assert first.with_images({"notebooks/standard": ONE}) is first
    second = first.with_images({"notebooks/standard": TWO})
    assert (second.metadata.serial, second.signatures) == (4, ())


def test_the_signature_is_one_that_other_dsse_tools_check() -> None:
    import base64

    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signature, SSlibKey

    made = lock(1, ONE, "ann")
    bare = made.envelope()
    raw = base64.b64decode(made.signatures[0].signature)
    key: SSlibKey = SIGNERS["ann"].public_key  # type: ignore[assignment]  # it is one
    envelope = Envelope(bare.payload, bare.payload_type, {key.keyid: Signature(key.keyid, raw.hex())})
    assert envelope.verify([key], 1)
    assert check_signatures(made, [public_key("ann", PAIRS["ann"][1])]).by == ("ann",)
