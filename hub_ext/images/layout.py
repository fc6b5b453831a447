"""A folder that images were carried over in: OCI image layouts, as `cosign save`, `skopeo` and `oras` write them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from hub_ext.images.source import (
    LARGEST_MANIFEST,
    MOST_ATTACHED,
    Absent,
    Document,
    Named,
    Suffix,
    Unreachable,
    Wrong,
    check_digest,
    document,
    is_digest,
)

_NAME = "org.opencontainers.image.ref.name"
_KINDS: dict[Suffix, str] = {  # as `cosign save` marks what it saves
    "sig": "dev.cosignproject.cosign/sigs",
    "att": "dev.cosignproject.cosign/atts",
    "sbom": "dev.cosignproject.cosign/sboms",
}
_MOST_LAYOUTS, _MOST_ENTRIES = 1000, 1000


class Layouts:
    """The layouts of a folder: the folder itself, or the folders in it.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def where(self) -> str:
        """How it is called."""
        return f"the folder {self._folder.name}"

    def holds(self, image: Named) -> bool:
        """Return whether one of its layouts has an image."""
        return any((layout / _path(image.digest)).is_file() for layout in self._layouts)

    @cached_property
    def _layouts(self) -> list[Path]:
        try:
            below = sorted(one for one in self._folder.iterdir() if one.is_dir())[:_MOST_LAYOUTS]
        except OSError as error:
            raise Unreachable(f"{self.where} cannot be read: {error.strerror}") from None
        return [one for one in (self._folder, *below) if (one / "oci-layout").is_file()]

    @cached_property
    def _entries(self) -> list[tuple[dict[str, Any], str]]:
        """Everything that the layouts list: annotations and digest."""
        found: list[tuple[dict[str, Any], str]] = []
        for layout in self._layouts:
            index = document(_read(layout / "index.json", LARGEST_MANIFEST, "its index"), "its index")
            for entry in index.parts("manifests")[:_MOST_ENTRIES]:
                marks = entry.get("annotations")
                if is_digest(entry.get("digest")):
                    found.append((marks if isinstance(marks, dict) else {}, str(entry["digest"])))
        return found

    def image(self, image: Named) -> Document:
        """Return the manifest, or index, of an image."""
        return self._document(image.digest, "the image")

    def attached(self, image: Named, suffix: Suffix) -> list[Document]:
        """Return what cosign hung onto an image; what hangs on another is told apart by what it says."""
        tag = f"sha256-{image.hash}.{suffix}"
        wanted = [
            digest
            for marks, digest in self._entries
            if marks.get("kind") == _KINDS[suffix] or str(marks.get(_NAME, "")).rpartition(":")[2] == tag
        ]
        return [self._document(digest, f"its .{suffix}") for digest in wanted[:MOST_ATTACHED]]

    def referrers(self, image: Named) -> list[Document]:
        """Return the manifests that name an image as their subject."""
        return list(self._subjects(image))[:MOST_ATTACHED]

    def _subjects(self, image: Named) -> Iterator[Document]:
        for _, digest in self._entries:
            found = self._document(digest, "an entry of its index")
            subject = found.content.get("subject")
            if isinstance(subject, dict) and subject.get("digest") == image.digest:
                yield found
            if digest != image.digest:
                yield from self._listed(found, image)

    def _listed(self, index: Document, image: Named) -> Iterator[Document]:
        """Yield what an index lists of the subject: where no registry did, whoever made them lists them so."""
        for entry in index.parts("manifests")[:MOST_ATTACHED]:
            if is_digest(entry.get("digest")) and entry["digest"] != image.digest and entry.get("artifactType"):
                yield self._document(str(entry["digest"]), "a referrer")

    def blob(self, image: Named, digest: str, largest: int) -> bytes:
        """Return a content."""
        what = f"the content {digest[:19]}… of {image.name or 'the image'}"
        for layout in self._layouts:
            if (layout / _path(digest)).exists():
                return check_digest(_read(layout / _path(digest), largest, what), digest, what)
        raise Absent(f"{what} is not in {self.where}")

    def _document(self, digest: str, what: str) -> Document:
        image = Named("", "", digest)
        return document(self.blob(image, digest, LARGEST_MANIFEST), what)


def _path(digest: str) -> Path:
    if not is_digest(digest):
        raise Wrong("a digest of another kind than sha256")
    return Path("blobs") / "sha256" / digest.removeprefix("sha256:")


def _read(path: Path, largest: int, what: str) -> bytes:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise Wrong(f"{what} is no file")
        if found.st_size > largest:
            raise Wrong(f"{what} is larger than {largest} bytes")
        return path.read_bytes()
    except OSError as error:
        raise Unreachable(f"{what} cannot be read: {error.strerror}") from None
