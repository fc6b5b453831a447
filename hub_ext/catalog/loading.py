"""The files of a profiles folder: profiles, policy rules, the enclave.

``<name>/<n>.yaml`` is version n of a profile, ``_policy/*.yaml`` are rules, ``_enclaves/<name>.yaml`` is a network and
``_enclaves/<name>.images.lock`` says what its names of images mean. A folder without rules, or without the enclave that
is in force, gets the ones that ship.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hub_ext.catalog.documents import FileProblem, parse, read
from hub_ext.catalog.lock_file import FOLDER, LockFile, LockInForce
from hub_ext.catalog.locks import ImagesLock
from hub_ext.catalog.models import Profile
from hub_ext.catalog.policy import NO_ENCLAVE, Enclave, Policy, PolicyRules, merge, nothing_starts
from hub_ext.catalog.remembered import Remembered
from hub_ext.catalog.snapshot import Catalog
from hub_ext.settings import shipped

__all__ = ["Catalog", "FileProblem", "PolicyFiles", "ProfileFiles", "load", "parse_profile", "read_file"]

OPERATOR = "an admin"  # whom to ask when the policy itself cannot be read
_POLICY = "_policy"
_NO_FOLDER = FileProblem("profiles_dir", "is no folder that can be read")


def _named_for_itself(found: Profile | list[FileProblem], where: str) -> Profile | list[FileProblem]:
    if isinstance(found, list):
        return found
    expected = f"{found.name}/{found.version}.yaml"
    if where == expected:
        return found
    return [FileProblem(where, f"metadata says {expected}: a version is one file, named for its number")]


def read_file(path: Path, where: str) -> Profile | list[FileProblem]:
    """Read one profile file.

    Args:
        path: The file.
        where: How it is named in problems: ``<name>/<n>.yaml``.
    """
    return _named_for_itself(read(path, where, Profile), where)


def parse_profile(text: str, where: str) -> Profile | list[FileProblem]:
    """Read the text of a profile.

    Args:
        text: YAML.
        where: How it is named in problems.
    """
    return parse(text, where, Profile)


class ProfileFiles:
    """The profile files of a folder.

    Attributes:
        folder: The folder; it may become another one, whose files follow those of the same name.

    Args:
        folder: The folder; it need not exist.
        absent: What is wrong if it does not.
    """

    def __init__(self, folder: Path, absent: FileProblem = _NO_FOLDER) -> None:
        self.folder = folder
        self._absent = absent
        self._files = Remembered(read_file)

    def read(self) -> tuple[list[Profile], list[FileProblem]]:
        """Return all versions, and what is wrong with files; what was good before stays when its file breaks."""
        profiles: list[Profile] = []
        problems = [] if self.folder.is_dir() else [self._absent]
        paths = sorted(self.folder.glob("[!_.]*/*.yaml"))
        files = [(path, path.relative_to(self.folder).as_posix()) for path in paths]
        for good, wrong in self._files.read(files):
            profiles += [good] if good is not None else []
            problems += wrong
        return profiles, problems


@dataclass(frozen=True)
class PolicyInForce:
    """Rules and enclave, as files say them.

    Attributes:
        policy: The rules; where they or the enclave could never be read, one that nothing meets.
        enclave: The network.
        problems: What is wrong with files.
        notes: Where they come from, if not from the folder itself.
        lock: What the names of images mean; None where there never was a good one.
    """

    policy: Policy
    enclave: Enclave
    problems: tuple[FileProblem, ...] = ()
    notes: tuple[str, ...] = ()
    lock: ImagesLock | None = None


class PolicyFiles:
    """The policy rules and the enclave of a folder.

    Args:
        folder: The profiles folder.
        enclave: Name of the enclave in force.
    """

    def __init__(self, folder: Path, enclave: str) -> None:
        self._folder = folder
        self._name = enclave
        self._rules = Remembered(lambda path, where: read(path, where, PolicyRules))
        self._enclaves = Remembered(lambda path, where: read(path, where, Enclave))
        self._last: tuple[list[PolicyRules], Policy] | None = None
        self._lock = LockFile(folder, enclave)

    def move(self, folder: Path) -> None:
        """Read another folder from now on; its files follow those of the same name.

        Args:
            folder: The folder.
        """
        self._folder = self._lock.folder = folder

    def remember(self, lock: ImagesLock) -> None:
        """Take a lock that was in force before this process began; see `LockFile.remember`."""
        self._lock.remember(lock)

    def read(self) -> PolicyInForce:
        """Return what is in force; rules that were good before stay, all of them, when one of their files breaks."""
        folder, notes = self._folder, []
        if not any((folder / _POLICY).glob("*.yaml")):
            folder = shipped("profiles")
            notes += [] if folder == self._folder else ["There are no rules in _policy: the baseline that ships holds."]
        policy, problems = self._policy(folder)
        enclave, wrong, more = self._enclave()
        if policy is None or enclave is None:
            what = "policy" if policy is None else f"enclave {self._name}"
            policy = nothing_starts(f"The {what} cannot be read, so nothing starts.", OPERATOR)
        locked = self._lock.read(enclave) if enclave is not None else LockInForce()
        told, said = (*problems, *wrong, *locked.problems), (*notes, *more, *locked.notes)
        return PolicyInForce(policy, enclave or NO_ENCLAVE, told, said, locked.lock)

    def _policy(self, folder: Path) -> tuple[Policy | None, list[FileProblem]]:
        paths = sorted((folder / _POLICY).glob("*.yaml"))
        found = list(self._rules.read([(path, f"{_POLICY}/{path.name}") for path in paths]))
        problems = [problem for _, wrong in found for problem in wrong]
        sets = [good for good, wrong in found if good is not None and not wrong]
        if not problems and (self._last is None or self._last[0] != sets):
            try:
                self._last = sets, merge(sets)
            except ValueError as error:
                problems.append(FileProblem(_POLICY, str(error)))
        return self._last[1] if self._last else None, problems

    def _enclave(self) -> tuple[Enclave | None, list[FileProblem], list[str]]:
        where = f"{FOLDER}/{self._name}.yaml"
        path, ships = self._folder / where, shipped("profiles") / where
        notes = []
        if not path.exists() and ships.exists():
            path, notes = ships, [f"There is no {where}: the one that ships holds."]
        ((good, problems),) = self._enclaves.read([(path, where)])
        if good is not None and good.metadata.name != self._name:
            message = f"metadata.name says {good.metadata.name}: a file is named for its enclave"
            return None, [*problems, FileProblem(where, message)], notes
        return good, problems, notes


def load(folder: Path, enclave: str = "local") -> Catalog:
    """Read a whole folder once, as if all of it could be started: for checks, and for what ships.

    Args:
        folder: The profiles folder.
        enclave: Name of the enclave.
    """
    profiles, problems = ProfileFiles(folder).read()
    held = PolicyFiles(folder, enclave).read()
    found = (*problems, *held.problems)
    return Catalog(tuple(profiles), found, held.policy, held.enclave, notes=held.notes, lock=held.lock)
