"""The catalog of one moment: profiles with their standing, policy and enclave, as one immutable object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from hub_ext.catalog.documents import FileProblem
from hub_ext.catalog.evidence import Doubt, Evidence, doubts
from hub_ext.catalog.locks import ImagesLock
from hub_ext.catalog.models import Profile
from hub_ext.catalog.policy import NO_ENCLAVE, Enclave, Policy
from hub_ext.catalog.room import Room, largest

State = Literal["trusted", "approved", "deprecated", "removed"]
_NUMBERS = ("nobody", "one person", "two people", "three people", "four people", "five people", "six people")


def day(moment: datetime, today: datetime) -> str:
    """Return a day in words, such as ``3 Oct``; with its year if that is not this one.

    Args:
        moment: The moment, with its zone.
        today: The present.
    """
    moment = moment.astimezone(UTC)
    return f"{moment:%-d %b}" if moment.year == today.astimezone(UTC).year else f"{moment:%-d %b %Y}"


def people(count: int) -> str:
    """Return how many people, in words."""
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count} people"


@dataclass(frozen=True)
class Standing:
    """How a version came to be one that may be started, and how long it may.

    Attributes:
        state: ``trusted`` (it ships with this release), ``approved``, ``deprecated`` or ``removed``.
        approvers: Names of who approved it.
        approved_at: When it was approved.
        images: Images that the approvals named: name → registry, name and digest.
        successor: What to use in its place, as ``name@number``; empty for nothing.
        removal_at: When it can be started no more, for a deprecated one.
    """

    state: State = "trusted"
    approvers: tuple[str, ...] = ()
    approved_at: datetime | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    successor: str = ""
    removal_at: datetime | None = None

    def gone(self, at: datetime) -> bool:
        """Return whether it can be started no more at a time."""
        return self.state == "removed" or (self.removal_at is not None and at >= self.removal_at)

    def badge(self, today: datetime) -> str:
        """Return how it came to be startable, in the words of a card.

        Args:
            today: Years that are not this one's are told.
        """
        if self.state == "trusted":
            return "trusted with this release"
        if self.state == "deprecated" and self.removal_at is not None:
            return f"ends {day(self.removal_at, today)}"
        if self.state == "approved" and self.approved_at is not None:
            return f"approved {day(self.approved_at, today)} by {people(len(self.approvers))}"
        return self.state


TRUSTED = Standing()
_NO_RULES = Policy(())


@dataclass(frozen=True)
class Catalog:
    """What may be started, and what it must meet.

    Attributes:
        profiles: Every version that is or was startable; `standing` says which.
        problems: What is wrong with files; what was read last from them is kept.
        policy: The rules.
        enclave: The network.
        standings: By name and number; what is not here is trusted.
        proposals: Versions in files that no curator has proposed.
        notes: What a curator should know of this snapshot (where its policy comes from).
        lock: What the names of images mean; None where nothing says so.
        evidence: What is known of images, by registry, name and digest.
        commit: The commit that the files are from, where they come from a repository; no part of the digest.
    """

    profiles: tuple[Profile, ...]
    problems: tuple[FileProblem, ...] = ()
    policy: Policy = _NO_RULES
    enclave: Enclave = NO_ENCLAVE
    standings: Mapping[tuple[str, int], Standing] = field(default_factory=dict)
    proposals: tuple[Profile, ...] = ()
    notes: tuple[str, ...] = ()
    lock: ImagesLock | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    commit: str = ""
    _by_name: dict[str, list[Profile]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _removed: dict[str, list[Profile]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for profile in self.profiles:
            removed = self.standing(profile).state == "removed"
            (self._removed if removed else self._by_name).setdefault(profile.name, []).append(profile)
        for versions in (*self._by_name.values(), *self._removed.values()):
            versions.sort(key=lambda profile: profile.version)

    def standing(self, profile: Profile) -> Standing:
        """Return how a version stands."""
        return self.standings.get((profile.name, profile.version), TRUSTED)

    def versions(self, name: str) -> list[Profile]:
        """Return the versions of a profile that may be started, the lowest first; none for an unknown name."""
        return self._by_name.get(name, [])

    def removed(self, name: str) -> list[Profile]:
        """Return the versions of a profile that can be started no more, the lowest first."""
        return self._removed.get(name, [])

    def usual(self, name: str) -> Profile | None:
        """Return the version that a start without a number gets: the highest that is not deprecated, if there is one.

        Args:
            name: Name of the profile.
        """
        versions = self.versions(name)
        current = [one for one in versions if self.standing(one).state != "deprecated"]
        return next(reversed(current or versions), None)

    def newest(self) -> list[Profile]:
        """Return, for each profile, the version that a start without a number gets; by their order, then by title."""
        found = [profile for name in self._by_name if (profile := self.usual(name)) is not None]
        return sorted(found, key=lambda one: (one.metadata.order, one.metadata.title.casefold()))

    @cached_property
    def startable(self) -> tuple[tuple[Profile, Standing, Room], ...]:
        """Every version that is not removed, with how it stands and the most that it can be made to take."""
        found = ((profile, self.standing(profile)) for profile in self.profiles)
        return tuple(
            (profile, standing, largest(profile)) for profile, standing in found if standing.state != "removed"
        )

    @property
    def images(self) -> Mapping[str, str]:
        """Name of an image → registry, name and digest."""
        return self.lock.images if self.lock is not None else {}

    def doubts(self, image: str) -> list[Doubt]:
        """Return why the enclave is not content with an image."""
        return doubts(image, self.enclave, self.evidence)

    def content(self) -> dict[str, Any]:
        """Return the snapshot as JSON: versions by digest, rules and enclave in full."""
        return {
            "profiles": sorted(self._entry(profile) for profile in self.profiles),
            "rules": [rule.model_dump(mode="json") for rule in self.policy.rules],
            "owners": dict(self.policy.owners),
            "enclave": self.enclave.model_dump(mode="json", by_alias=True),
            "lock": self.lock.model_dump(mode="json", by_alias=True) if self.lock is not None else None,
            "evidence": sorted(one.entry() for image, one in self.evidence.items() if image in self.images.values()),
        }

    def _entry(self, profile: Profile) -> list[Any]:
        standing = self.standing(profile)
        removal = standing.removal_at.isoformat() if standing.removal_at else ""
        return [profile.name, profile.version, profile.digest, standing.state, standing.successor, removal]

    @cached_property
    def digest(self) -> str:
        """Identity of the snapshot."""
        return _digest(self.content())

    @cached_property
    def held_against(self) -> str:
        """Identity of what versions are held against: rules, enclave and images."""
        rules = [rule.model_dump(mode="json") for rule in self.policy.rules]
        return _digest([rules, self.enclave.model_dump(mode="json", by_alias=True), dict(self.images)])


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
