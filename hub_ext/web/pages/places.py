"""Where a run may run: the profiles that a person may use, and their options, as fields. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub_ext.catalog.decide import Facts, may_use
from hub_ext.catalog.models import Option, Profile
from hub_ext.catalog.options import allowed_words
from hub_ext.catalog.quantities import human_size, parse_size
from hub_ext.errors import Problem
from hub_ext.web.pages.forms import Choice, Field
from hub_ext.web.pages.words import minutes

OPTION = "o."

# What means something to a server, and nothing to a run.
_OF_SERVERS = {"lifetime.idle", "storage.home.size"}


@dataclass(frozen=True)
class Place:
    """A profile that a run may have.

    Attributes:
        profile: The profile.
        chosen: Whether it is the one chosen.
        fields: Its options.
        denied: Why the person may not use it; empty when she may.
    """

    profile: Profile
    chosen: bool
    fields: tuple[Field, ...] = ()
    denied: str = ""


def places(
    facts: Facts,
    chosen: str,
    *,
    values: Mapping[str, Any] | None = None,
    typed: Mapping[str, list[str]] | None = None,
    problems: Iterable[Problem] = (),
) -> list[Place]:
    """Return the profiles to choose from: what the person may use, and the one that is chosen in any case.

    Args:
        facts: What is true now.
        chosen: Name of the chosen profile.
        values: Options of it to begin with.
        typed: What a browser sent.
        problems: What is wrong with that.
    """
    errors = {problem.field.removeprefix("options."): problem.message for problem in problems}
    found = []
    for profile in facts.catalog.newest():
        denied = may_use(profile, facts)
        is_chosen = profile.name == chosen
        if denied is not None and not is_chosen:
            continue
        fields = tuple(
            _option_field(profile.name, name, option, (values or {}).get(name) if is_chosen else None)
            for name, option in _of_runs(profile)
        )
        fields = tuple(_keep(one, typed, errors if is_chosen else {}) for one in fields)
        found.append(Place(profile, is_chosen, fields, denied.message if denied else ""))
    return sorted(found, key=lambda place: not place.chosen)


def read_options(profile: Profile, typed: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the options that a form means, in the types of the profile; the decision says what is wrong with them.

    Args:
        profile: The chosen profile.
        typed: All fields of the form.
    """
    return _read(profile, _of_runs(profile), typed)


def _read(profile: Profile, options: Iterable[tuple[str, Option]], typed: Mapping[str, list[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, option in options:
        texts = typed.get(_name(profile.name, name))
        if option.type == "boolean":
            found[name] = bool(texts)
        elif texts and texts[-1].strip():
            found[name] = _value(option, texts[-1].strip())
    return found


def option_fields(
    profile: Profile, typed: Mapping[str, list[str]] | None = None, problems: Iterable[Problem] = ()
) -> tuple[Field, ...]:
    """Return every option of a profile as a field, those of servers alone among them.

    Args:
        profile: The profile.
        typed: What a browser sent.
        problems: What is wrong with that.
    """
    errors = {problem.field.removeprefix("options."): problem.message for problem in problems}
    found = (_option_field(profile.name, name, option, None) for name, option in profile.spec.options.items())
    return tuple(_keep(one, typed, errors) for one in found)


def read_all_options(profile: Profile, typed: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the options that a form of `option_fields` means.

    Args:
        profile: The profile.
        typed: All fields of the form.
    """
    return _read(profile, profile.spec.options.items(), typed)


def _of_runs(profile: Profile) -> list[tuple[str, Option]]:
    return [(name, option) for name, option in profile.spec.options.items() if option.sets not in _OF_SERVERS]


def gives(profile: Profile) -> list[tuple[str, str]]:
    """Return what a profile gives, as words with their values.

    Args:
        profile: The profile.
    """
    resources, lifetime = profile.spec.resources, profile.spec.lifetime
    cores = f"{resources.cpu.limit:g}"
    found = [
        ("Memory", _range_of(profile, "resources.memory.limit") or human_size(parse_size(resources.memory.limit))),
        ("Processor", _range_of(profile, "resources.cpu.limit") or f"{cores} core{'s' if cores != '1' else ''}"),
        ("Stops when idle for", _range_of(profile, "lifetime.idle") or minutes(lifetime.idle)),
        ("Ends after", minutes(lifetime.maximum)),
    ]
    if resources.gpu:
        found.insert(2, ("Graphics processors", str(resources.gpu)))
    if profile.spec.storage.home:
        found.append(("Home folder", human_size(parse_size(profile.spec.storage.home.size))))
    return found


def reaches(profile: Profile) -> list[str]:
    """Return what a run or server of a profile may reach beyond what each needs, in words."""
    found = []
    for egress in profile.spec.network.egress:
        ports = ", ".join(str(port) for port in egress.ports)
        labels = ", ".join(f"{key}={value}" for key, value in egress.labels.items())
        target = egress.cidr or f"{egress.namespace}{f' ({labels})' if labels else ''}"
        found.append(f"{target}, port {ports}")
    return found


def _range_of(profile: Profile, field: str) -> str:
    """Return what a person may choose for a field, where there is an option for it."""
    for option in profile.spec.options.values():
        if option.sets != field:
            continue
        ends = list(option.choices or (option.minimum, option.maximum))
        words = [_words(option, end) for end in (ends[0], ends[-1])]
        unit = " cores" if field == "resources.cpu.limit" else " minutes" if field == "lifetime.idle" else ""
        return f"{words[0]} to {words[1]}{unit}" if words[0] != words[1] else f"{words[0]}{unit}"
    return ""


def _words(option: Option, value: Any) -> str:
    return human_size(parse_size(value)) if option.type == "quantity" else str(value)


def _name(profile: str, option: str) -> str:
    return f"{OPTION}{profile}.{option}"


def _option_field(profile: str, name: str, option: Option, value: Any) -> Field:
    value = option.default if value is None else value
    made = Field(name=_name(profile, name), id=f"o-{profile}-{name}", label=option.title)
    if option.description:
        made = replace(made, hints=(option.description,))
    if option.choices is not None:
        choices = tuple(Choice(str(one), _words(option, one), str(one) == str(value)) for one in option.choices)
        return replace(made, widget="select", choices=choices)
    if option.type == "boolean":
        return replace(made, widget="checkbox", checked=value is True)
    made = replace(made, value=str(value), hints=(*made.hints, f"{allowed_words(option).capitalize()}."))
    if option.type == "quantity":
        return made
    step = 1 if option.type == "integer" else "any"
    return replace(made, widget="number", attributes={"min": option.minimum, "max": option.maximum, "step": step})


def _keep(one: Field, typed: Mapping[str, list[str]] | None, errors: Mapping[str, str]) -> Field:
    one = replace(one, error=errors.get(one.name.rsplit(".", 1)[-1], ""))
    if typed is None:
        return one
    texts = typed.get(one.name, [])
    if one.widget == "checkbox":
        return replace(one, checked=bool(texts))
    if not texts:
        return one
    if one.widget == "select":
        return replace(one, choices=tuple(replace(c, chosen=c.value == texts[-1]) for c in one.choices))
    return replace(one, value=texts[-1])


def _value(option: Option, text: str) -> Any:
    for choice in option.choices or ():
        if str(choice) == text:
            return choice
    try:
        return {"integer": int, "number": float}.get(option.type, str)(text)
    except ValueError:
        return text
