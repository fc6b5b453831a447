"""A profile as a card of the start page: what it gives, what can be chosen, what it costs, and how to ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub_ext.catalog.models import Option, Profile, Spec
from hub_ext.catalog.options import Misfit, Remembered, allowed_words, apply, choose_all, remembered
from hub_ext.catalog.quantities import human_size, parse_size
from hub_ext.errors import Problem
from hub_ext.spawner.asking import NOTHING_TO_ASK, Asking


@dataclass
class Attempt:
    """What was typed in the request at hand, for the page that shows it again."""

    options: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Control:
    """One option as a field of the form."""

    id: str
    name: str
    label: str
    help: str
    kind: str  # select | number | checkbox | text
    value: Any
    choices: tuple[tuple[Any, str], ...] = ()
    minimum: Any = None
    maximum: Any = None
    step: str = "1"
    problem: str = ""
    changed: str = ""  # what was chosen the last time, and can be chosen no more


def minutes(number: int) -> str:
    """Return minutes in words people use."""
    if number % 1440 == 0:
        days = number // 1440
        return f"{days} day{'s' if days > 1 else ''}"
    if number % 60 == 0:
        hours = number // 60
        return f"{hours} hour{'s' if hours > 1 else ''}"
    return f"{number} minute{'' if number == 1 else 's'}"


def sizes(spec: Spec) -> tuple[str, ...]:
    """Say what a profile gives, in words people use."""
    cores = spec.resources.cpu.limit
    found = [
        f"{human_size(parse_size(spec.resources.memory.limit))} memory",
        f"{cores:g} core{'' if cores == 1 else 's'}",
        f"stops when idle for {minutes(spec.lifetime.idle)}",
        f"at most {minutes(spec.lifetime.maximum)}",
    ]
    if spec.lifetime.extensions:
        found.append(f"can be kept for {minutes(60 * spec.lifetime.extensions)} more")
    if spec.resources.gpu:
        found.insert(2, f"{spec.resources.gpu} GPU{'' if spec.resources.gpu == 1 else 's'}")
    return tuple(found)


def _help(option: Option) -> str:
    """Return what an option allows, where the control itself does not show it."""
    if option.choices is not None or option.type == "boolean":
        return ""
    if option.type == "quantity":
        low, high = (human_size(parse_size(bound)) for bound in (option.minimum, option.maximum))
        return f"A size from {low} to {high}, such as {option.default}."
    return f"It can be {allowed_words(option)}."


def _choice_label(option: Option, choice: Any) -> str:
    if option.type == "quantity":
        return human_size(parse_size(choice))
    return {True: "yes", False: "no"}.get(choice, str(choice)) if isinstance(choice, bool) else str(choice)


def control(profile: Profile, name: str, value: Any, problem: str = "", changed: str = "") -> Control:
    """Return an option as a field, set to a value.

    Args:
        profile: Whose option it is.
        name: Name of the option.
        value: What to show; None for the default.
        problem: What was wrong with it.
        changed: What the last time had, where that is not allowed any more.
    """
    option = profile.spec.options[name]
    value = option.default if value is None else value
    common: dict[str, Any] = {
        "id": f"option-{profile.name}-{name}",
        "name": f"option:{profile.name}:{name}",
        "label": option.title,
        "help": option.description or _help(option),
        "value": value,
        "problem": problem,
        "changed": changed,
    }
    if option.choices is not None:
        labels = tuple((choice, _choice_label(option, choice)) for choice in option.choices)
        return Control(kind="select", choices=labels, **common)
    if option.type == "boolean":
        return Control(kind="checkbox", **common)
    if option.type == "quantity":
        return Control(kind="text", **common)
    step = "1" if option.type == "integer" else "any"
    return Control(kind="number", minimum=option.minimum, maximum=option.maximum, step=step, **common)


@dataclass(frozen=True)
class Place:
    """How a profile stands with a person, beside what it is.

    Attributes:
        denied: Why she may not use it; empty if she may.
        ask: Whom to ask about that.
        badge: Why it may be started; empty for nothing to say.
        ends: Whether it is deprecated.
        cost: What a start takes of which budget, as a sentence.
        full: Why it does not fit into a budget now.
        asking: What there is to ask for.
    """

    denied: str = ""
    ask: str = ""
    badge: str = ""
    ends: bool = False
    cost: str = ""
    full: tuple[str, ...] = ()
    asking: Asking = NOTHING_TO_ASK


_PLAIN = Place()


@dataclass(frozen=True)
class Card:
    """One profile on the start page."""

    name: str
    version: int
    title: str
    line: str
    sizes: tuple[str, ...]
    keeper: str
    tags: tuple[str, ...]
    controls: tuple[Control, ...]
    place: Place
    last: bool = False
    open: bool = False
    dropped: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What the search looks at."""
        return " ".join((self.name, self.title, self.line, self.keeper, *self.tags, *self.sizes)).casefold()


@dataclass(frozen=True)
class _Kept:
    """What the fields of a card are set to: what was just typed, else what was chosen the last time."""

    values: Mapping[str, Any]
    wrong: Mapping[str, str]
    changed: Mapping[str, Misfit]
    typed: bool
    last: bool

    @classmethod
    def of(cls, profile: Profile, attempt: Attempt, last: Mapping[str, Any]) -> _Kept:
        typed, was_last = attempt.options.get("profile") == profile.name, last.get("profile") == profile.name
        if typed:
            wrong = {one.field.removeprefix("options."): one.message for one in attempt.problems}
            return cls(attempt.options.get("options", {}), wrong, {}, typed, was_last)
        kept = remembered(profile, _stored(last)) if was_last else Remembered({})
        return cls(kept.values, {}, {one.option: one for one in kept.changed}, typed, was_last)

    def controls(self, profile: Profile) -> tuple[Control, ...]:
        return tuple(
            control(
                profile,
                name,
                self.values.get(name),
                self.wrong.get(name, ""),
                _changed(profile, self.changed.get(name)),
            )
            for name in profile.spec.options
        )


def spec_of(profile: Profile, attempt: Attempt, last: Mapping[str, Any]) -> Spec:
    """Return what Start would give: the profile with what was typed, or with the options of the last time.

    Args:
        profile: The profile.
        attempt: What was just typed, if it came back.
        last: The last start.
    """
    return _spec_with(profile, _Kept.of(profile, attempt, last).values)


def card(profile: Profile, attempt: Attempt, last: Mapping[str, Any], place: Place = _PLAIN) -> Card:
    """Return a profile as a card.

    Args:
        profile: The profile.
        attempt: What was just typed, if it came back.
        last: The options of the last start.
        place: How it stands with the person.
    """
    kept = _Kept.of(profile, attempt, last)
    return Card(
        name=profile.name,
        version=profile.version,
        title=profile.metadata.title,
        line=profile.spec.description,
        sizes=sizes(_spec_with(profile, kept.values)),
        keeper=profile.metadata.owner,
        tags=profile.metadata.tags,
        controls=kept.controls(profile),
        place=place,
        last=kept.last,
        open=bool((kept.typed and attempt.problems) or (kept.changed and not place.denied)),
        dropped=tuple(name for name in kept.changed if name not in profile.spec.options),
    )


def _stored(last: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of the last start; what is no object was stored by nobody of ours."""
    options = last.get("options")
    return options if isinstance(options, dict) else {}


def _changed(profile: Profile, misfit: Misfit | None) -> str:
    """Return what the last time had, and what is nearest to it now."""
    if misfit is None:
        return ""
    option = profile.spec.options[misfit.option]
    nearest = "the usual one" if misfit.nearest is None else f"the nearest, {_choice_label(option, misfit.nearest)},"
    return f"{misfit.message} That was your last choice; {nearest} is chosen now."


def _spec_with(profile: Profile, chosen: Mapping[str, Any]) -> Spec:
    """Return what Start would give: the profile with the options of the last time, where they still fit."""
    values, misfits = choose_all(profile, chosen)
    try:
        return profile.spec if misfits else apply(profile, values)
    except ValueError:
        return profile.spec
