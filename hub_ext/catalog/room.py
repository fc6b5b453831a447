"""How much somebody may have at once: what bounds a person's namespace. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hub_ext.catalog.models import Profile, Spec, field_of
from hub_ext.catalog.quantities import parse_size


@dataclass(frozen=True)
class Room:
    """The most that one server or run may have.

    Attributes:
        cpu: Cores.
        memory: Bytes.
        gpu: Graphics processors.
        home: Bytes of the home volume.
    """

    cpu: float = 0.0
    memory: int = 0
    gpu: int = 0
    home: int = 0

    def __or__(self, other: Room) -> Room:
        """Return room for either."""
        return Room(
            max(self.cpu, other.cpu),
            max(self.memory, other.memory),
            max(self.gpu, other.gpu),
            max(self.home, other.home),
        )


def room_of(spec: Spec) -> Room:
    """Return what a spec takes, with its options as they are."""
    home = spec.storage.home
    return Room(
        spec.resources.cpu.limit,
        parse_size(spec.resources.memory.limit),
        spec.resources.gpu,
        parse_size(home.size) if home else 0,
    )


def largest(profile: Profile) -> Room:
    """Return the most that a profile can be made to take by its options."""
    return Room(
        max(_reached(profile, "resources.cpu.limit"), default=0.0),
        max(map(parse_size, _reached(profile, "resources.memory.limit")), default=0),
        max(_reached(profile, "resources.gpu"), default=0),
        max(map(parse_size, _reached(profile, "storage.home.size")), default=0),
    )


def _reached(profile: Profile, path: str) -> Iterable[Any]:
    """Yield the values that a field can have, or the ends of them."""
    value = field_of(profile.spec, path)
    if value is not None:
        yield value
    for option in profile.spec.options.values():
        if option.sets == path:
            yield from option.choices or ()
            if option.maximum is not None:
                yield option.maximum
