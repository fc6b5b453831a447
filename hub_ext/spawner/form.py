"""The start page's cards, and what comes back from them.

The form is one piece of HTML that JupyterHub puts into its page. Each card has a button of its own that names its
profile; the fields of a card carry the profile's name, so that only those of the card that was chosen count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader

from hub_ext.catalog.decide import Facts, may_use
from hub_ext.catalog.loading import Catalog
from hub_ext.catalog.models import Option, Profile, Spec
from hub_ext.catalog.options import Misfit, Remembered, allowed_words, apply, choose_all, remembered, shown
from hub_ext.catalog.quantities import human_size, parse_size
from hub_ext.errors import InvalidInput, Problem
from hub_ext.spawner import ended

_LONGEST = 200
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,3})?")  # what a browser sends for one


@dataclass
class Attempt:
    """What was typed in the request at hand, for the page that shows it again."""

    options: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


_attempt: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def remember_problems(problems: list[Problem]) -> None:
    """Keep what is wrong for the page, when this is a request of the form."""
    attempt = _attempt.get()
    if attempt is not None:
        attempt.problems = problems


def forget() -> None:
    """Forget what was typed: it was allowed."""
    _attempt.set(None)


# What comes back.


def parse(data: dict[str, list[str]], catalog: Catalog) -> dict[str, Any]:
    """Return the form's fields as a start: ``{"profile", "version", "options"}``.

    Whether it is allowed is not looked at here.

    Args:
        data: The fields as they came, a list of texts each.
        catalog: Says of which kind an option is.

    Raises:
        InvalidInput: If a field is there that the form does not have, or no profile is chosen.
    """
    chosen = data.get("profile", [])
    if len(chosen) != 1 or not chosen[0]:
        raise InvalidInput.of("profile", "choose one profile")
    name = chosen[0]
    start: dict[str, Any] = {"profile": name, "options": {}}
    versions = {profile.version: profile for profile in catalog.versions(name)}
    if f"version:{name}" in data:
        start["version"] = _version(data[f"version:{name}"])
    shown = versions.get(start.get("version", max(versions, default=0)))
    for key, values in data.items():
        kind, _, rest = key.partition(":")
        if kind not in ("profile", "version", "option", "_xsrf"):
            raise InvalidInput.of(key[:60], "is not a field of this form")
        profile, _, option = rest.partition(":")
        if kind == "option" and profile == name:
            start["options"][option[:_LONGEST]] = _value(values, shown.spec.options.get(option) if shown else None)
    _attempt.set(Attempt(start))
    return start


def _version(values: list[str]) -> int:
    if len(values) != 1 or not values[0].isascii() or not values[0].isdigit() or len(values[0]) > 7:
        raise InvalidInput.of("version", "must be the number of a version")
    return int(values[0])


def _value(values: list[str], option: Option | None) -> Any:
    """Return a field's text as a value of the option's kind; as text where it is not, so that the decision says so."""
    text = values[-1] if values else ""
    if option is None or option.type in ("string", "quantity"):
        return text[: _LONGEST + 1]
    if option.type == "boolean":
        return {"true": True, "false": False}.get(text, text[:_LONGEST])
    if not _NUMBER.fullmatch(text):  # Python would take more for a number: other digits, spaces, underscores
        return text[:_LONGEST]
    return int(text) if option.type == "integer" and text.lstrip("-").isdigit() else float(text)


# What is shown.


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


@dataclass(frozen=True)
class Card:
    """One profile on the start page."""

    name: str
    version: int
    title: str
    line: str
    sizes: tuple[str, ...]
    keeper: str
    badge: str
    ends: bool
    tags: tuple[str, ...]
    controls: tuple[Control, ...]
    denied: str = ""
    ask: str = ""
    last: bool = False
    open: bool = False
    dropped: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What the search looks at."""
        return " ".join((self.name, self.title, self.line, self.keeper, *self.tags, *self.sizes)).casefold()


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


def card(
    profile: Profile,
    attempt: Attempt,
    last: Mapping[str, Any],
    denied: tuple[str, str] = ("", ""),
    badge: str = "",
    *,
    ends: bool = False,
) -> Card:
    """Return a profile as a card.

    Args:
        profile: The profile.
        attempt: What was just typed, if it came back.
        last: The options of the last start.
        denied: Why she may not use it, and whom to ask; two empty texts if she may.
        badge: Why it may be started; empty for nothing to say.
        ends: Whether it is deprecated.
    """
    typed = attempt.options.get("profile") == profile.name
    was_last = last.get("profile") == profile.name
    chosen = attempt.options.get("options", {}) if typed else {}
    kept = remembered(profile, _stored(last)) if was_last and not typed else Remembered({})
    changed = {one.option: one for one in kept.changed}
    wrong = {one.field.removeprefix("options."): one.message for one in attempt.problems} if typed else {}
    return Card(
        name=profile.name,
        version=profile.version,
        title=profile.metadata.title,
        line=profile.spec.description,
        sizes=sizes(_spec_with(profile, chosen or kept.values)),
        keeper=profile.metadata.owner,
        badge=badge,
        ends=ends,
        tags=profile.metadata.tags,
        controls=tuple(
            control(profile, name, chosen.get(name, kept.values.get(name)), wrong.get(name, ""), _changed(profile, one))
            for name, one in ((name, changed.get(name)) for name in profile.spec.options)
        ),
        denied=denied[0],
        ask=denied[1],
        last=was_last,
        open=bool((typed and attempt.problems) or (changed and not denied[0])),
        dropped=tuple(one.option for one in kept.changed if one.option not in profile.spec.options),
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


def facts_without_database(spawner: Any) -> Facts:
    """Return what is true of a person but for what the database says of her."""
    found: Facts = spawner.ledger.decisions.facts(group.name for group in spawner.user.groups)
    return found


def cards(spawner: Any, facts: Facts | None = None) -> list[Card]:
    """Return all profiles for a person: last used first, then those she may use, then the others.

    Args:
        spawner: Whose server it is for.
        facts: What is true of her; None for `facts_without_database`.
    """
    facts = facts or facts_without_database(spawner)
    attempt = _attempt.get() or Attempt()
    last = _last(spawner)
    found = []
    for profile in facts.catalog.newest():
        reason = may_use(profile, facts)
        denied = (reason.message, reason.ask) if reason else ("", "")
        standing = facts.catalog.standing(profile)
        ends = standing.state == "deprecated"
        found.append(card(profile, attempt, last, denied, standing.badge(facts.now), ends=ends))
    return sorted(found, key=lambda one: (not one.last, bool(one.denied)))


def _last(spawner: Any) -> dict[str, Any]:
    stored = spawner.orm_spawner.user_options
    return stored if isinstance(stored, dict) else {}


def lost(spawner: Any) -> str:
    """Return what to say about the profile of the last start when it can be started no more; empty for nothing."""
    facts = spawner.ledger.decisions.facts(())
    name = _last(spawner).get("profile")
    if not isinstance(name, str) or facts.catalog.versions(name):
        return ""
    removed = facts.catalog.removed(name)
    if not removed:
        return f"{shown(name)}, your last choice, is not there any more. Choose another."
    successor = facts.catalog.standing(removed[-1]).successor.partition("@")[0]
    titles = [one.metadata.title for one in facts.catalog.versions(successor)[-1:]]
    instead = f"{titles[0]} takes its place." if titles else "Choose another."
    return f"{removed[-1].metadata.title}, your last choice, can be started no more. {instead}"


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("hub_ext.spawner"), autoescape=True)


def render(spawner: Any, facts: Facts | None = None) -> str:
    """Return the form as HTML.

    Args:
        spawner: Whose server it is for.
        facts: What is true of her; None for `facts_without_database`.
    """
    attempt = _attempt.get() or Attempt()
    general = [one.message for one in attempt.problems if not one.field.startswith("options.")]
    template = _environment().get_template("cards.html")
    why = ended.why(spawner.user.name, spawner.name)
    return template.render(cards=cards(spawner, facts), general=general, lost=lost(spawner), ended=why)
