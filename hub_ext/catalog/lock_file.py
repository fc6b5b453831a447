"""The file of an `images.lock`: read again when it changes, and the last good one kept when it breaks or goes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub_ext.catalog.documents import FileProblem, line_of, read
from hub_ext.catalog.locks import ImagesLock, check_signatures
from hub_ext.catalog.policy import Enclave
from hub_ext.catalog.remembered import Remembered

FOLDER = "_enclaves"


@dataclass(frozen=True)
class LockInForce:
    """What the names of images mean now.

    Attributes:
        lock: The lock; None where there never was a good one.
        problems: What is wrong with the file.
        notes: What a curator should know of it.
    """

    lock: ImagesLock | None = None
    problems: tuple[FileProblem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> Mapping[str, str]:
        """Name of an image → registry, name and digest."""
        return self.lock.images if self.lock is not None else {}


@dataclass
class LockFile:
    """The lock beside an enclave's file.

    Attributes:
        folder: The profiles folder.
        enclave: Name of the enclave.
    """

    folder: Path
    enclave: str
    _files: Remembered[ImagesLock] = field(
        default_factory=lambda: Remembered(lambda path, where: read(path, where, ImagesLock)), init=False
    )
    _good: ImagesLock | None = field(default=None, init=False)

    @property
    def where(self) -> str:
        """How the file is named in problems."""
        return f"{FOLDER}/{self.enclave}.images.lock"

    def remember(self, lock: ImagesLock) -> None:
        """Take a lock that was in force before this process began, so that no older one is taken."""
        if self._good is None or self._good.metadata.serial < lock.metadata.serial:
            self._good = lock

    def read(self, enclave: Enclave) -> LockInForce:
        """Return what is in force.

        Args:
            enclave: The network, which names the keys.
        """
        if enclave.spec.local:
            return LockInForce()
        path = self.folder / self.where
        ((found, problems),) = self._files.read([(path, self.where)])
        if not path.exists():
            problems = [] if self._good is None else [FileProblem(self.where, "is gone; the last good one holds")]
        elif found is not None and not problems:
            problems = self._wrong(path, found, enclave)
            self._good = self._good if problems else found
        usable = self._good if self._good is not None and not _unsigned(self._good, enclave) else None
        return LockInForce(usable, tuple(problems), tuple(_notes(usable, enclave, self.where)))

    def _wrong(self, path: Path, lock: ImagesLock, enclave: Enclave) -> list[FileProblem]:
        """Return why a lock is not taken, each with its line."""
        about = lock.metadata
        if about.enclave != enclave.metadata.name:
            return [self._problem(path, f"is that of {about.enclave}", "metadata", "enclave")]
        signing = check_signatures(lock, enclave.spec.lock_keys())
        found = [self._problem(path, text, "signatures", number) for number, text in signing.problems.items()]
        if found:
            return found
        unsigned = _unsigned(lock, enclave)
        if unsigned:
            return [self._problem(path, unsigned, "signatures")]
        known = self._good
        if known is not None and about.serial < known.metadata.serial:
            text = f"goes back: {known.metadata.serial} was in force, and an older lock is not taken again"
            return [self._problem(path, text, "metadata", "serial")]
        if known is not None and about.serial == known.metadata.serial and lock.payload() != known.payload():
            return [
                self._problem(path, "was in force with other images: give it the next number", "metadata", "serial")
            ]
        return []

    def _problem(self, path: Path, text: str, *location: str | int) -> FileProblem:
        name = ".".join(str(part) for part in location)
        return FileProblem(self.where, f"{name}: {text}", line_of(path, location))


def _unsigned(lock: ImagesLock, enclave: Enclave) -> str:
    """Return why the signatures of a lock are not enough, empty when they are."""
    needed = enclave.spec.signatures
    by = check_signatures(lock, enclave.spec.lock_keys()).by
    if len(by) >= needed:
        return ""
    signed = f"signed by {' and '.join(by)}" if by else "signed by none of the enclave's signers"
    return f"{needed} must sign, and it is {signed}; `hub-ext images sign` signs it"


def _notes(lock: ImagesLock | None, enclave: Enclave, where: str) -> list[str]:
    notes = []
    if lock is None:
        notes.append(f"There is no {where} that can be used: no name of an image means anything, so nothing starts.")
    elif not check_signatures(lock, enclave.spec.lock_keys()).by:
        notes.append(f"{where} is not signed, which this enclave allows.")
    if enclave.spec.verify == "off":
        notes.append("Signatures of images are not verified in this enclave.")
    return notes
