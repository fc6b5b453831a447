"""The start page's cards, and what comes back from them.

The form is one piece of HTML that JupyterHub puts into its page. Each card has a button of its own that names its
profile; the fields of a card carry the profile's name, so that only those of the card that was chosen count.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader

from hub_ext.access.budgets import wanted_of
from hub_ext.access.looking import Look
from hub_ext.catalog.budget import Wanted, before_start, held_against
from hub_ext.catalog.decide import Facts, may_use
from hub_ext.catalog.loading import Catalog
from hub_ext.catalog.models import Option, Profile
from hub_ext.catalog.options import shown
from hub_ext.errors import InvalidInput, Problem
from hub_ext.spawner import ended
from hub_ext.spawner.asking import Asking, asking
from hub_ext.spawner.cards import Attempt, Card, Place, card, spec_of

_LONGEST = 200
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,3})?")  # what a browser sends for one


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


def look_without_database(spawner: Any) -> Look:
    """Return what is true of a person but for what the database says of her."""
    facts: Facts = spawner.ledger.decisions.facts(group.name for group in spawner.user.groups)
    return Look(facts)


def cards(spawner: Any, look: Look | None = None, *, own: bool = False) -> list[Card]:
    """Return all profiles for a person: last used first, then those she may use, then the others.

    Args:
        spawner: Whose server it is for.
        look: What is true of her; None for `look_without_database`.
        own: Whether she looks at her own page, and may ask there.
    """
    shown = look or look_without_database(spawner)
    attempt, last = _attempt.get() or Attempt(), _last(spawner)
    found = []
    for profile in shown.facts.catalog.newest():
        wanted = wanted_of(spec_of(profile, attempt, last), "server")
        place = _place(profile, shown, wanted)
        if own and look is not None:
            place = replace(place, asking=_asking(spawner, profile, shown, denied=bool(place.denied)))
        found.append(card(profile, attempt, last, place))
    return sorted(found, key=lambda one: (not one.last, bool(one.place.denied)))


def _place(profile: Profile, look: Look, wanted: Wanted) -> Place:
    """Return how a profile stands with a person."""
    reason, standing = may_use(profile, look.facts), look.facts.catalog.standing(profile)
    badge, ends = standing.badge(look.facts.now), standing.state == "deprecated"
    if reason is not None:
        return Place(reason.message, reason.ask, badge, ends)
    full = tuple(one.message for one in held_against(look.standings, wanted)[0])
    return Place(badge=badge, ends=ends, cost="" if full else before_start(look.standings, wanted), full=full)


def _asking(spawner: Any, profile: Profile, look: Look, *, denied: bool) -> Asking:
    settings = spawner.settings_of_ours
    remind = timedelta(days=float(settings.entitlement_reminder))
    return asking(profile, look, denied=denied, remind=remind, longest=timedelta(days=int(settings.entitlement_days)))


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


def render(spawner: Any, look: Look | None = None, *, own: bool = False) -> str:
    """Return the form as HTML.

    Args:
        spawner: Whose server it is for.
        look: What is true of her; None for `look_without_database`.
        own: Whether she looks at her own page, and may ask there.
    """
    attempt = _attempt.get() or Attempt()
    general = [one.message for one in attempt.problems if not one.field.startswith("options.")]
    template = _environment().get_template("cards.html")
    why = ended.why(spawner.user.name, spawner.name)
    return template.render(cards=cards(spawner, look, own=own), general=general, lost=lost(spawner), ended=why)
