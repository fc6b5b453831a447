"""A folder that images were carried over in is believed no more than a registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub_ext.images.layout import Layouts
from hub_ext.images.source import Absent, Named, SourceError, Unreachable, Wrong
from hub_ext.images.verifying import verify
from tests.images.conftest import NAME, OURS, Shelf, digest_of

REFERENCE = f"registry.low/{NAME}@"


def test_an_image_is_found_in_the_folder_itself_or_in_one_below(shelf: Shelf, tmp_path: Path) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    one = shelf.write(tmp_path / "carried" / "one")
    for folder in (one, one.parent):
        assert Layouts(folder).holds(Named.of(REFERENCE + digest))
        assert verify(REFERENCE + digest, Layouts(folder), OURS).outcome == "verified"
    assert not Layouts(one).holds(Named.of(REFERENCE + digest_of(b"other")))


def test_signatures_of_two_images_in_one_folder_are_told_apart(shelf: Shelf, tmp_path: Path) -> None:
    """`cosign save` marks what is a signature, and not of which image."""
    first = shelf.image()
    second = shelf.manifest(shelf.layer(b"other files", "application/vnd.oci.image.layer.v1.tar+gzip"))
    shelf.signed(first)
    folder = shelf.write(tmp_path / "one")
    index = json.loads((folder / "index.json").read_text())
    for entry in index["manifests"]:
        if str(entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "")).endswith(".sig"):
            entry["annotations"] = {"kind": "dev.cosignproject.cosign/sigs"}
    (folder / "index.json").write_text(json.dumps(index))
    assert verify(REFERENCE + first, Layouts(folder), OURS).outcome == "verified"
    found = verify(REFERENCE + second, Layouts(folder), OURS)
    assert (found.outcome, found.problems) == ("refused", ("builds signed another image",))


def test_a_file_that_was_changed_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    digest = shelf.image()
    folder = shelf.write(tmp_path / "one")
    (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(b"{}")
    with pytest.raises(Wrong, match="not what its digest says"):
        Layouts(folder).image(Named.of(REFERENCE + digest))


def test_a_link_out_of_the_folder_is_not_followed(shelf: Shelf, tmp_path: Path) -> None:
    digest = shelf.image()
    folder = shelf.write(tmp_path / "one")
    file = folder / "blobs" / "sha256" / digest.removeprefix("sha256:")
    kept = tmp_path / "kept"
    kept.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(kept)
    with pytest.raises(Wrong, match="is no file"):
        Layouts(folder).image(Named.of(REFERENCE + digest))


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "sha512:" + "a" * 64, "", "sha256:" + "A" * 64])
def test_a_digest_is_no_path(shelf: Shelf, tmp_path: Path, digest: str) -> None:
    folder = shelf.write(tmp_path / "one")
    with pytest.raises(SourceError):
        Layouts(folder).blob(Named.of(REFERENCE + "x"), digest, 1000)


@pytest.mark.parametrize("index", ["", "{", "[]", '{"manifests": 1}', '{"manifests": [1, {"digest": 2}]}'])
def test_an_index_of_nonsense_is_told_or_empty(shelf: Shelf, tmp_path: Path, index: str) -> None:
    digest = shelf.image()
    folder = shelf.write(tmp_path / "one")
    (folder / "index.json").write_text(index)
    assert verify(REFERENCE + digest, Layouts(folder), OURS).outcome == "refused"


def test_a_folder_that_is_not_there_says_nothing_of_the_image(shelf: Shelf, tmp_path: Path) -> None:
    digest = shelf.image()
    assert verify(REFERENCE + digest, Layouts(tmp_path / "none"), OURS).outcome == "unreachable"
    with pytest.raises(Unreachable):
        Layouts(tmp_path / "none").holds(Named.of(REFERENCE + digest))
    (tmp_path / "empty").mkdir()
    with pytest.raises(Absent):
        Layouts(tmp_path / "empty").image(Named.of(REFERENCE + digest))
