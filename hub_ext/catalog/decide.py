"""The decision: may this person have this server or run, and what exactly will it be? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import ValidationError

from hub_ext.catalog.entitled import Entitled, ended_last, entitling
from hub_ext.catalog.evidence import Doubt
from hub_ext.catalog.judging import image_of, judge
from hub_ext.catalog.models import Profile, Spec
from hub_ext.catalog.options import Value, apply, choose_all, shown
from hub_ext.catalog.policy import Rule
from hub_ext.catalog.reason import Reason
from hub_ext.catalog.room import Room
from hub_ext.catalog.snapshot import Catalog
from hub_ext.errors import Denied, Problem
from hub_ext.kubernetes.render import Rendering, render, request_view

Purpose = Literal["server", "run"]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        user: Who asks.
        purpose: A server, or a run.
        profile: Name of the profile.
        version: Number of its version; None for the highest that may be started.
        options: What was chosen, as it came.
        name: Name of the server (empty for the default), so that what is judged is what is made.
        launch: Id of the start.
    """

    user: str
    purpose: Purpose
    profile: str
    version: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = "start"
    launch: str = "start"

    def as_dict(self) -> dict[str, Any]:
        """Return what was asked as JSON, for the record."""
        return {"profile": self.profile, "version": self.version, "options": dict(self.options)}


@dataclass(frozen=True)
class RuleException:
    """An exception: a rule that a profile need not meet, for some, until a time.

    Attributes:
        id: Its identifier.
        profile: Name of the profile.
        rule: Id of the rule.
        until: When it ends.
        users: For whom; with no groups either, for everybody who may use the profile.
        groups: For whose members.
        owner: Who answers for it.
    """

    id: str
    profile: str
    rule: str
    until: datetime
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    owner: str = ""

    def covers(self, profile: str, rule: str, user: str, facts: Facts) -> bool:
        """Return whether it holds for a person now."""
        if (self.profile, self.rule) != (profile, rule) or facts.now >= self.until:
            return False
        everybody = not self.users and not self.groups
        return everybody or user in self.users or bool(self.groups & facts.groups)


@dataclass(frozen=True)
class Facts:
    """What is true at the time of the decision.

    Attributes:
        now: The time.
        groups: Groups that the person is in.
        catalog: The snapshot of the catalog.
        environments: Local environments that exist, with their digests as images; None where images are used.
        exceptions: Those that may hold.
        entitlements: The person's own; some that have ended may be among them.
        unchecked: Why nothing may be started on these groups, in words; empty when something may.
    """

    now: datetime
    groups: frozenset[str]
    catalog: Catalog
    environments: Mapping[str, str] | None = None
    exceptions: tuple[RuleException, ...] = ()
    entitlements: tuple[Entitled, ...] = ()
    unchecked: str = ""


@dataclass(frozen=True)
class Decision:
    """Yes with what it resolves to, or no with every reason.

    Attributes:
        request: What was asked.
        snapshot: Digest of the catalog that was looked at.
        reasons: Empty if and only if it is a yes.
        profile: The version that was decided on.
        spec: The profile with the chosen options in it.
        values: The value of each option.
        image: Registry, name and digest of what it is made from.
        warnings: What it is allowed in spite of.
        exceptions: Ids of the exceptions that it needed.
        rendering: The objects that were judged; on a cluster, these and no others are made.
    """

    request: Request
    snapshot: str
    reasons: tuple[Reason, ...] = ()
    profile: Profile | None = None
    spec: Spec | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    image: str = ""
    warnings: tuple[Reason, ...] = ()
    exceptions: tuple[str, ...] = ()
    rendering: Rendering | None = field(default=None, repr=False, compare=False)

    @property
    def allowed(self) -> bool:
        """Whether it is a yes."""
        return not self.reasons and self.spec is not None

    def sentence(self) -> str:
        """Return all reasons as text."""
        return " ".join(reason.message for reason in self.reasons)

    def error(self) -> Denied:
        """Return the decision as the error that a person is told."""
        hints = dict.fromkeys(hint for reason in self.reasons if (hint := reason.hint()))
        problems = [Problem(reason.field, reason.message) for reason in self.reasons]
        return Denied(self.sentence(), hint=" ".join(hints), problems=problems)


def may_use(profile: Profile, facts: Facts, user: str = "") -> Reason | None:
    """Return why a person may not use a profile; None when she may.

    Args:
        profile: The profile.
        facts: What is true of her.
        user: Her name, to tell it to somebody else; empty: it is told to herself.
    """
    groups = profile.spec.access.groups
    if facts.groups.intersection(groups) or entitling(facts.entitlements, profile.name, facts.now):
        return None
    over = ended_last(facts.entitlements, profile.name, facts.now)
    who, whose = (f"{user} is", f"{user}'s") if user else ("you are", "Your")
    ended = f" {whose} access ended on {_day(over.until)}." if over else ""
    return Reason(
        "no-access",
        f"{profile.metadata.title} is for {_and(groups)}, and {who} not among them.{ended}",
        field="profile",
        allowed=f"members of {_and(groups)}",
        ask=profile.metadata.owner,
    )


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names) if names else "people who were given access by name"


def decide(request: Request, facts: Facts) -> Decision:
    """Decide.

    Args:
        request: What is asked for.
        facts: What is true now.

    Returns:
        A decision for any input whatever; never raises.
    """
    if facts.unchecked:
        return _no(request, facts, [Reason("unchecked-groups", facts.unchecked)])
    profile = _find(request, facts)
    if isinstance(profile, Reason):
        return _no(request, facts, [profile])
    denied = may_use(profile, facts) or _removed(profile, facts)
    if denied is not None:
        return _no(request, facts, [denied], profile)
    values, misfits = choose_all(profile, request.options)
    if misfits:
        reasons = [
            Reason("option", misfit.message, f"options.{misfit.option}", misfit.allowed, nearest=misfit.nearest)
            for misfit in misfits
        ]
        return _no(request, facts, reasons, profile)
    try:
        spec = apply(profile, values)
    except ValueError as error:
        reason = Reason("option", f"The chosen options do not go together: {_why(error)}.", "options")
        return _no(request, facts, [reason], profile)
    missing = _missing_environment(profile, spec, facts)
    if missing is not None:
        return _no(request, facts, [missing], profile)
    return _held_against_policy(request, facts, profile, spec, values)


def _no(request: Request, facts: Facts, reasons: Iterable[Reason], profile: Profile | None = None) -> Decision:
    return Decision(request, facts.catalog.digest, tuple(reasons), profile)


def _held_against_policy(
    request: Request, facts: Facts, profile: Profile, spec: Spec, values: Mapping[str, Value]
) -> Decision:
    """Return a yes if what would be made, and the request for it, meet every rule but for exceptions."""
    catalog = facts.catalog
    image = image_of(spec, catalog.images, facts.environments)
    rendering = _rendered(request, facts, profile, spec, image)
    doubts = catalog.doubts(image)
    reasons = [_doubted(one, facts) for one in doubts if one.denies]
    warnings = _standing_warnings(profile, image, facts) + [_doubted(one, facts) for one in doubts if not one.denies]
    used: list[str] = []
    for violation in judge(catalog.policy, catalog.enclave, rendering, _view(request, facts, profile, spec)):
        rule = violation.rule
        covering = [one.id for one in facts.exceptions if one.covers(profile.name, rule.id, request.user, facts)]
        reason = _broken(rule, profile, catalog.policy.owners.get(rule.id, profile.metadata.owner))
        if not violation.denies:
            warnings.append(reason)
        elif covering:
            used.append(covering[0])
        else:
            reasons.append(reason)
    return Decision(
        request,
        catalog.digest,
        tuple(reasons),
        profile,
        None if reasons else spec,
        values,
        image,
        tuple(warnings),
        tuple(used),
        None if reasons else rendering,
    )


def _rendered(request: Request, facts: Facts, profile: Profile, spec: Spec, image: str) -> Rendering:
    return render(
        profile,
        spec,
        facts.catalog.enclave,
        user=request.user,
        purpose=request.purpose,
        name=request.name,
        image=image,
        launch=request.launch,
        room=_room(facts),
    )


def _view(request: Request, facts: Facts, profile: Profile, spec: Spec) -> dict[str, Any]:
    """Return what request rules see of it."""
    who = {"user": request.user, "groups": facts.groups, "purpose": request.purpose}
    return request_view(profile, spec, who | {"hour": facts.now.hour, "weekday": facts.now.isoweekday()})


def _room(facts: Facts) -> Room:
    """Return the most that one server or run of a person may take: what bounds her namespace."""
    room, known = Room(), set()  # most profiles take as much as some other
    for profile, standing, one in facts.catalog.startable:
        if one not in known and not standing.gone(facts.now) and may_use(profile, facts) is None:
            known.add(one)
            room |= one
    return room


def _doubted(doubt: Doubt, facts: Facts) -> Reason:
    about = facts.catalog.enclave.metadata
    return Reason(doubt.code, doubt.message, "profile", doubt.allowed, about.owner)


def _broken(rule: Rule, profile: Profile, owner: str) -> Reason:
    message = f"{profile.metadata.title} does not meet the rule {rule.id}: {rule.message}"
    return Reason("policy", message, "profile", allowed=rule.title, ask=owner, rule=rule.id)


def _standing_warnings(profile: Profile, image: str, facts: Facts) -> list[Reason]:
    standing = facts.catalog.standing(profile)
    found = []
    if standing.state == "deprecated" and standing.removal_at is not None:
        message = f"{_title(profile)} can be started until {_day(standing.removal_at)}.{_instead(standing.successor)}"
        found.append(Reason("deprecated", message, "profile", standing.successor, profile.metadata.owner))
    if standing.images and image not in standing.images.values():
        message = f"{_title(profile)} was approved with another content of its image than it has now."
        found.append(Reason("image-changed", message, "profile", ask=profile.metadata.owner))
    return found


def _removed(profile: Profile, facts: Facts) -> Reason | None:
    standing = facts.catalog.standing(profile)
    if not standing.gone(facts.now):
        return None
    since = f" since {_day(standing.removal_at)}" if standing.removal_at else ""
    message = f"{_title(profile)} can be started no more{since}.{_instead(standing.successor)}"
    return Reason("removed", message, "version", standing.successor, profile.metadata.owner)


def _title(profile: Profile) -> str:
    return f"{profile.metadata.title}, version {profile.version},"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _instead(successor: str) -> str:
    name, _, number = successor.partition("@")
    return f" Use {name}, version {number}, in its place." if successor else ""


def _why(error: ValueError) -> str:
    """Return the first thing that is wrong with a spec."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def _missing_environment(profile: Profile, spec: Spec, facts: Facts) -> Reason | None:
    if facts.environments is None or spec.local.environment in facts.environments:
        return None
    message = (
        f"{profile.metadata.title} needs the environment {spec.local.environment}, which this machine does not have."
    )
    return Reason("environment", message, "profile", ask=profile.metadata.owner)


def _find(request: Request, facts: Facts) -> Profile | Reason:
    """Return the version that is meant; one that was removed is found, too, so that its denial can say so."""
    catalog = facts.catalog
    versions, removed = catalog.versions(request.profile), catalog.removed(request.profile)
    if not versions and not removed:
        return _unknown(request, facts)
    if request.version is None:
        return _current(versions, facts) or (versions or removed)[-1]
    for profile in (*versions, *removed):
        if profile.version == request.version:
            return profile
    known = ", ".join(str(profile.version) for profile in versions)
    message = f"{request.profile} has no version {shown(request.version)}; it has {known or 'none'}."
    return Reason("unknown-version", message, "version", allowed=known)


def _current(versions: list[Profile], facts: Facts) -> Profile | None:
    """Return the highest version that is not deprecated, else the highest that is not gone yet."""
    standings = [(profile, facts.catalog.standing(profile)) for profile in versions]
    open_ = [(profile, standing) for profile, standing in standings if not standing.gone(facts.now)]
    current = [profile for profile, standing in open_ if standing.state != "deprecated"]
    return next(reversed(current or [profile for profile, _ in open_]), None)


def _unknown(request: Request, facts: Facts) -> Reason:
    usable = [profile.name for profile in facts.catalog.newest() if may_use(profile, facts) is None]
    near = get_close_matches(shown(request.profile), usable, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    allowed = ", ".join(usable[:20])
    return Reason("unknown-profile", f"There is no profile {shown(request.profile)!r}.{hint}", "profile", allowed)
