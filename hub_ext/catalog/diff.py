"""What servers and runs would become: two versions of a profile, rendered at every extreme of their options. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub_ext.catalog.check import PURPOSES, ends, extremes, stand_ins
from hub_ext.catalog.judging import image_of
from hub_ext.catalog.models import Egress, Option, Profile, Spec
from hub_ext.catalog.options import Value, allowed_words, apply, choose_all
from hub_ext.catalog.quantities import human_size, parse_size
from hub_ext.catalog.snapshot import Catalog
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.render import Difference, differences, render

_MOST = 64  # combinations of options that are compared
_LIMITS = ("memory", "cpu", "gpu", "maximum", "home")
_WORDS = {
    "memory": "memory",
    "cpu": "processor cores",
    "gpu": "graphics processors",
    "maximum": "minutes of life",
    "home": "home folder",
}


@dataclass(frozen=True)
class Change:
    """One line that would be another.

    Attributes:
        object: Kind of the object.
        path: Where it stands.
        before: Its value, None when it is new.
        after: Its value, None when it is gone.
        when: The options for which it is so; empty for all of them.
    """

    object: str
    path: str
    before: Any
    after: Any
    when: tuple[Mapping[str, Value], ...] = ()

    def __str__(self) -> str:
        old, new = ("nothing" if value is None else str(value) for value in (self.before, self.after))
        chosen = " or ".join(with_words(one) for one in self.when)
        return f"{self.object} {self.path}: {old} → {new}" + (f" (with {chosen})" if chosen else "")

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON."""
        found = {"object": self.object, "path": self.path, "before": self.before, "after": self.after}
        return found | {"when": [dict(one) for one in self.when]}


def with_words(chosen: Mapping[str, Value]) -> str:
    """Return a choice of options in words."""
    return ", ".join(f"{name}={value}" for name, value in chosen.items()) or "nothing chosen"


@dataclass(frozen=True)
class ProfileDiff:
    """How two versions differ.

    Attributes:
        before: The older one, None for a profile's first.
        after: The newer one.
        access: Groups that gain or lose it, as sentences.
        options: What people can choose otherwise, as sentences.
        about: What is said of it otherwise (title, owner, description, controls), as sentences.
        changes: Lines of the objects that would be others.
        further: In what the newer one reaches further, as sentences; those who approved the older are told.
    """

    before: Profile | None
    after: Profile
    access: tuple[str, ...]
    options: tuple[str, ...]
    about: tuple[str, ...]
    changes: tuple[Change, ...]
    further: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.access or self.options or self.about or self.changes)

    def as_dict(self) -> dict[str, Any]:
        """Return the diff as JSON."""
        return {
            "before": _label(self.before) if self.before else None,
            "after": _label(self.after),
            "access": list(self.access),
            "options": list(self.options),
            "about": list(self.about),
            "changes": [change.as_dict() for change in self.changes],
            "further": list(self.further),
        }


def _label(profile: Profile) -> dict[str, Any]:
    return {"name": profile.name, "version": profile.version, "digest": profile.digest}


def diff(before: Profile | None, after: Profile, catalog: Catalog) -> ProfileDiff:
    """Compare two versions by what servers and runs would become.

    Args:
        before: The older one; None for a profile's first.
        after: The newer one.
        catalog: Has the network and its images.
    """
    return ProfileDiff(
        before,
        after,
        access=tuple(_access(before, after)),
        options=tuple(_options(before, after)),
        about=tuple(_about(before, after)),
        changes=tuple(_changes(before, after, catalog)),
        further=tuple(_further(before, after)),
    )


def _access(before: Profile | None, after: Profile) -> Iterator[str]:
    old = before.spec.access.groups if before else ()
    new = after.spec.access.groups
    yield from (f"Members of {group} may use it now." for group in new if group not in old)
    yield from (f"Members of {group} may use it no more." for group in old if group not in new)


def _options(before: Profile | None, after: Profile) -> Iterator[str]:
    old, new = before.spec.options if before else {}, after.spec.options
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            yield f"{name} can be chosen now: {allowed_words(new[name])}, usually {new[name].default}."
        elif name not in new:
            yield f"{name} can be chosen no more."
        elif old[name] != new[name]:
            yield from _option(name, old[name], new[name])


def _option(name: str, old: Option, new: Option) -> Iterator[str]:
    words = allowed_words(old), allowed_words(new)
    if words[0] != words[1]:
        yield f"{name} was {words[0]} and is {words[1]}."
    for field in ("title", "type", "default", "sets", "description"):
        values = getattr(old, field), getattr(new, field)
        if values[0] != values[1]:
            yield f"{name}: {field} was {values[0]!r} and is {values[1]!r}."


def _about(before: Profile | None, after: Profile) -> Iterator[str]:
    if before is None:
        return
    pairs: list[tuple[str, Any, Any]] = [
        (field, getattr(before.metadata, field), getattr(after.metadata, field))
        for field in ("title", "owner", "tags", "order")
    ]
    pairs.append(("description", before.spec.description, after.spec.description))
    pairs.append(("image", before.spec.image, after.spec.image))
    pairs.append(("environment of local processes", before.spec.local.environment, after.spec.local.environment))
    pairs.append(("stops when idle for", before.spec.lifetime.idle, after.spec.lifetime.idle))
    pairs.append(("ends after", before.spec.lifetime.maximum, after.spec.lifetime.maximum))
    pairs.append(("may be kept for another hour", before.spec.lifetime.extensions, after.spec.lifetime.extensions))
    for field, old, new in pairs:
        if old != new:
            yield f"{field}: was {_plain(old)} and is {_plain(new)}."
    if before.spec.controls != after.spec.controls:
        old, new = ({f"{one.id} ({one.how})" for one in each.spec.controls} for each in (before, after))
        yield f"controls: {_plain(sorted(new - old))} new, {_plain(sorted(old - new))} gone."


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(str(one) for one in value) or "none"
    return f'"{value}"' if isinstance(value, str) and " " in value else str(value)


# --- rendered --------------------------------------------------------------------------------------------------------


def _changes(before: Profile | None, after: Profile, catalog: Catalog) -> Iterator[Change]:
    choices = _choices(before, after)
    seen: dict[tuple[str, str, str, str], tuple[Difference, list[int]]] = {}
    for number, chosen in enumerate(choices):
        for one in _differences(before, after, chosen, catalog):
            key = (one.object, one.path, repr(one.before), repr(one.after))
            where = seen.setdefault(key, (one, []))[1]
            where += [] if number in where else [number]
    for one, numbers in seen.values():
        when = () if len(numbers) == len(choices) else _when([choices[number] for number in numbers], choices)
        yield Change(one.object, one.path, one.before, one.after, when)


def _choices(before: Profile | None, after: Profile) -> list[dict[str, Value]]:
    """Return what can be chosen in both versions, at every extreme of either."""
    if before is None:
        return [{}]
    found: list[dict[str, Value]] = [{}]
    for profile in (before, after):
        for extreme in extremes(profile, _MOST):
            chosen = {name: value for name, value in extreme.items() if name in before.spec.options}
            chosen = {name: value for name, value in chosen.items() if name in after.spec.options}
            if chosen not in found and all(_spec(each, chosen) is not None for each in (before, after)):
                found.append(chosen)
    if any(option.default != after.spec.options[name].default for name, option in _shared(before, after)):
        return found  # with nothing chosen, the two give something else
    return found[1:] or found  # the defaults are among the extremes, where there are any


def _shared(before: Profile, after: Profile) -> list[tuple[str, Option]]:
    return [(name, option) for name, option in before.spec.options.items() if name in after.spec.options]


def _spec(profile: Profile, chosen: Mapping[str, Value]) -> Spec | None:
    values, misfits = choose_all(profile, chosen)
    if misfits:
        return None
    try:
        return apply(profile, values)
    except ValueError:
        return None


def _differences(
    before: Profile | None, after: Profile, chosen: Mapping[str, Value], catalog: Catalog
) -> Iterator[Difference]:
    told: set[tuple[str, str, str]] = set()
    for purpose in PURPOSES:
        old = _made(before, chosen, catalog, purpose) if before else []
        for one in differences(old, _made(after, chosen, catalog, purpose)):
            path = one.path.removeprefix("spec.template.")  # the pod of a run's Job is the pod of a server, nearly
            key = (path, repr(one.before), repr(one.after))
            if key not in told:
                yield one
            told.add(key)


def _made(profile: Profile, chosen: Mapping[str, Value], catalog: Catalog, purpose: str) -> list[Manifest]:
    spec = _spec(profile, chosen)
    if spec is None:
        return []
    enclave = catalog.enclave
    image = image_of(spec, catalog.images, stand_ins(profile, enclave))
    made = render(profile, spec, enclave, user="somebody", purpose=purpose, name="", image=image)
    return made.all()


def _when(some: list[dict[str, Value]], choices: Iterable[dict[str, Value]]) -> tuple[Mapping[str, Value], ...]:
    """Return the fewest options that tell some choices from the others, or the choices as they are."""
    rest = [one for one in choices if one not in some]
    for name in some[0] if some else ():
        values = list(dict.fromkeys(one[name] for one in some if name in one))
        if all(name in one for one in some) and not any(one.get(name) in values for one in rest):
            return tuple({name: value} for value in values)
    return tuple(some)


# --- further ---------------------------------------------------------------------------------------------------------


def _further(before: Profile | None, after: Profile) -> Iterator[str]:
    if before is None:
        return
    for group in after.spec.access.groups:
        if group not in before.spec.access.groups:
            yield f"Members of {group} may use it."
    old, new = _most(before), _most(after)
    for name in _LIMITS:
        if new[name] > old[name]:
            shown = [_amount(name, value) for value in (old[name], new[name])]
            yield f"It can have more {_WORDS[name]}: {shown[1]} in place of {shown[0]}."
    for egress in after.spec.network.egress:
        if egress not in before.spec.network.egress:
            yield f"It may reach {_destination(egress)}."


def _amount(name: str, value: float) -> str:
    return human_size(int(value)) if name in ("memory", "home") else f"{value:g}"


def _destination(egress: Egress) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in egress.labels.items())
    target = egress.cidr or f"{egress.namespace}{f' ({labels})' if labels else ''}"
    return f"{target}, port {', '.join(str(port) for port in egress.ports)}"


def _most(profile: Profile) -> dict[str, float]:
    """Return the most of everything that some choice of options gives."""
    spec = profile.spec
    found: dict[str, float] = {
        "memory": parse_size(spec.resources.memory.limit),
        "cpu": spec.resources.cpu.limit,
        "gpu": spec.resources.gpu,
        "maximum": spec.lifetime.longest,
        "home": parse_size(spec.storage.home.size) if spec.storage.home else 0,
    }
    fields = {
        "resources.memory.limit": "memory",
        "resources.cpu.limit": "cpu",
        "resources.gpu": "gpu",
        "lifetime.maximum": "maximum",
        "storage.home.size": "home",
    }
    for option in spec.options.values():
        name = fields.get(option.sets)
        if name is not None:
            sizes = [parse_size(one) if option.type == "quantity" else float(one) for one in ends(option)]
            sizes = [one + 60 * spec.lifetime.extensions for one in sizes] if name == "maximum" else sizes
            found[name] = max(found[name], *sizes)
    return found
