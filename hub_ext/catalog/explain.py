"""What a person may start, why not the rest, what would be allowed, and whom to ask: in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hub_ext.catalog.check import ends
from hub_ext.catalog.decide import Decision, Facts, Purpose, Request, RuleException, decide, may_use
from hub_ext.catalog.entitled import entitling
from hub_ext.catalog.models import Profile
from hub_ext.catalog.options import Misfit, Value, allowed_words, choose
from hub_ext.catalog.policy import Rule
from hub_ext.catalog.reason import Reason

_MOST_VALUES = 12  # of one option that are tried, each with a decision of its own


@dataclass(frozen=True)
class Part:
    """One thing that a start depends on.

    Attributes:
        about: ``group``, ``entitlement``, ``version``, ``option``, ``environment``, ``image`` or ``rule``.
        name: Which one.
        holds: Whether it lets the start through.
        words: What it says, and how it stands with this person.
        allowed: What would be allowed, where it is not what was asked.
        ask: Whom to ask.
        met: False for a rule that is not met, and yet lets the start through: excepted, or only a warning.
    """

    about: str
    name: str
    holds: bool
    words: str
    allowed: str = ""
    ask: str = ""
    met: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        found = {"about": self.about, "name": self.name, "holds": self.holds, "words": self.words}
        return found | {key: value for key, value in (("allowed", self.allowed), ("ask", self.ask)) if value}


@dataclass(frozen=True)
class Explanation:
    """How a profile stands with a person.

    Attributes:
        user: The person.
        profile: Name of the profile.
        title: Its title; its name where there is none of that name.
        decision: What a start would be answered now.
        parts: Everything that it depends on.
    """

    user: str
    profile: str
    title: str
    decision: Decision
    parts: tuple[Part, ...]

    @property
    def allowed(self) -> bool:
        """Whether she may start it now, with these options."""
        return self.decision.allowed

    @property
    def version(self) -> int | None:
        """Number of the version that a start gets."""
        return self.decision.profile.version if self.decision.profile else None

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        if self.allowed:
            return f"{self.user} may start {self.title} now."
        return (
            f"{self.user} may not start {self.title}: {'; '.join(part.words for part in self.parts if not part.holds)}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "user": self.user,
            "profile": self.profile,
            "version": self.version,
            "title": self.title,
            "allowed": self.allowed,
            "sentence": self.sentence(),
            "reasons": [reason.as_dict() for reason in self.decision.reasons],
            "warnings": [warning.as_dict() for warning in self.decision.warnings],
            "parts": [part.as_dict() for part in self.parts],
        }


def explain(
    facts: Facts,
    user: str,
    profile: str,
    *,
    purpose: Purpose = "server",
    version: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Explanation:
    """Explain how a profile stands with a person.

    Args:
        facts: What is true now; `groups` are hers.
        user: Her name.
        profile: Name of the profile.
        purpose: A server, or a run.
        version: Number of a version; None for the one that a start gets.
        options: What she would choose; the defaults where nothing is said.
    """
    request = Request(user, purpose, profile, version, options or {})
    decision = decide(request, facts)
    found = decision.profile
    if found is None:
        reason = decision.reasons[0]
        return Explanation(user, profile, profile, decision, (_of_reason(reason, "version", profile),))
    parts = (
        *_groups(found, user, facts),
        _version(found, decision, facts),
        *_options(request, found, facts),
        *(
            _of_reason(reason, reason.code.partition("-")[0], reason.field)
            for reason in decision.reasons
            if reason.code in ("environment", "image-unverified", "image-unlisted")
        ),
        *_rules(request, found, facts),
    )
    closed = may_use(found, facts, user)
    reasons = tuple(closed if closed and one.code == closed.code else one for one in decision.reasons)
    decision = replace(decision, reasons=reasons)  # said of her, since others read it as well
    return Explanation(user, profile, found.metadata.title, decision, parts)


def explain_all(facts: Facts, user: str, *, purpose: Purpose = "server") -> list[Explanation]:
    """Explain how every profile stands with a person; those that she may start first, in their order."""
    found = [explain(facts, user, profile.name, purpose=purpose) for profile in facts.catalog.newest()]
    return sorted(found, key=lambda one: not one.allowed)


def _of_reason(reason: Reason, about: str, name: str) -> Part:
    return Part(about, name, holds=False, words=reason.message, allowed=reason.allowed, ask=reason.ask)


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _groups(profile: Profile, user: str, facts: Facts) -> Iterator[Part]:
    groups = profile.spec.access.groups
    entitled = entitling(facts.entitlements, profile.name, facts.now)
    if entitled is not None:
        words = f"{entitled.granted_by} granted it to {entitled.whom} until {_when(entitled.until)}."
        yield Part("entitlement", entitled.id, holds=True, words=words)
    elif not groups:
        words = f"No group may use it, and nobody gave {user} access by name."
        yield Part("group", "", holds=False, words=words, ask=profile.metadata.owner)
    among = [group for group in groups if group in facts.groups]
    for group in groups:
        if group in among:
            yield Part("group", group, holds=True, words=f"Members of {group} may use it, and {user} is one.")
        elif not among and entitled is None:
            words = f"Members of {group} may use it, and {user} is none."
            yield Part("group", group, holds=False, words=words, ask=profile.metadata.owner)


def _version(profile: Profile, decision: Decision, facts: Facts) -> Part:
    name = f"{profile.name}@{profile.version}"
    for reason in (*decision.reasons, *decision.warnings):
        if reason.code in ("removed", "deprecated"):
            holds = reason.code == "deprecated"
            return Part("version", name, holds, reason.message, reason.allowed, "" if holds else reason.ask)
    standing = facts.catalog.standing(profile)
    how = f"approved by {' and '.join(standing.approvers)}" if standing.approvers else standing.state
    if standing.state == "trusted":
        how = "trusted with this release"
    return Part("version", name, holds=True, words=f"A start gets version {profile.version}, which is {how}.")


def _options(request: Request, profile: Profile, facts: Facts) -> Iterator[Part]:
    for name, option in profile.spec.options.items():
        chosen = choose(name, option, request.options.get(name, option.default))
        if isinstance(chosen, Misfit):
            nearest = f"{chosen.allowed} (nearest: {chosen.nearest})" if chosen.nearest is not None else chosen.allowed
            yield Part("option", name, holds=False, words=chosen.message, allowed=nearest)
            continue
        closed = dict(_closed_now(request, profile, name, ends(option), facts))
        words = f"{option.title} is {chosen}; it can be {allowed_words(option)}."
        words += "".join(f" Not {value} now: {why}" for value, why in closed.items() if value != chosen)
        yield Part("option", name, holds=True, words=words)


def _closed_now(
    request: Request, profile: Profile, option: str, values: list[Value], facts: Facts
) -> Iterator[tuple[Value, str]]:
    """Yield the values of an option that a rule closes now, and why; the rules that close all of them are told once."""
    anyway = _broken(request, profile, {}, facts)
    for value in values if len(values) <= _MOST_VALUES else (values[0], values[-1]):
        more = [reason for reason in _broken(request, profile, {option: value}, facts) if reason not in anyway]
        if more:
            yield value, more[0].message


def _broken(request: Request, profile: Profile, more: Mapping[str, Value], facts: Facts) -> list[Reason]:
    options = {name: value for name, value in request.options.items() if name in profile.spec.options} | dict(more)
    asked = Request(request.user, request.purpose, profile.name, profile.version, options)
    return [reason for reason in decide(asked, facts).reasons if reason.code == "policy"]


def _rules(request: Request, profile: Profile, facts: Facts) -> Iterator[Part]:
    """Yield every rule; what it says of a start that the options do not allow cannot be told."""
    asked = Request(request.user, request.purpose, profile.name, profile.version, request.options)
    decision = decide(asked, facts)
    judged = bool(decision.image)
    denied = {reason.rule: reason for reason in decision.reasons if reason.rule}
    warned = {reason.rule for reason in decision.warnings if reason.rule}
    excepted = {one.rule: one for one in facts.exceptions if one.id in decision.exceptions}
    for rule in facts.catalog.policy.rules:
        if rule.id in denied:
            yield _of_reason(denied[rule.id], "rule", rule.id)
        else:
            yield _met(rule, judged=judged, warned=rule.id in warned, excepted=excepted.get(rule.id))


def _met(rule: Rule, *, judged: bool, warned: bool, excepted: RuleException | None) -> Part:
    if excepted is not None:
        until = _when(excepted.until)
        words = f"{rule.title}: not met, and excepted until {until}; {excepted.owner} answers for it."
    elif warned:
        words = f"{rule.title}: not met, which is only a warning. {rule.message}"
    else:
        words = f"{rule.title}: met." if judged else f"{rule.title}: not asked, since the start is denied before."
    return Part("rule", rule.id, holds=True, words=words, met=excepted is None and not warned)
