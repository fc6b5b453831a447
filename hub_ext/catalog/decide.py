"""The decision: may this person have this server or run, and what exactly will it be? Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import ValidationError

from hub_ext.catalog.loading import Catalog
from hub_ext.catalog.models import Profile, Spec
from hub_ext.catalog.options import Value, apply, choose_all, shown
from hub_ext.errors import Denied, Problem

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
    """

    user: str
    purpose: Purpose
    profile: str
    version: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return what was asked as JSON, for the record."""
        return {"profile": self.profile, "version": self.version, "options": dict(self.options)}


@dataclass(frozen=True)
class Facts:
    """What is true at the time of the decision.

    Attributes:
        now: The time.
        groups: Groups that the person is in.
        catalog: The snapshot of the catalog.
        environments: Local environments that exist; None where images are used.
    """

    now: datetime
    groups: frozenset[str]
    catalog: Catalog
    environments: frozenset[str] | None = None


@dataclass(frozen=True)
class Reason:
    """One reason why the answer is no.

    Attributes:
        code: Stable name of the kind of reason.
        message: What was asked and why it cannot be, in one sentence.
        field: The field at fault, as in the request.
        allowed: What would be allowed.
        ask: Whom to ask.
        nearest: The nearest allowed value, where there is one.
    """

    code: str
    message: str
    field: str = ""
    allowed: str = ""
    ask: str = ""
    nearest: Value | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the reason as JSON."""
        names = ("code", "message", "field", "allowed", "ask", "nearest")
        return {name: getattr(self, name) for name in names if getattr(self, name) not in ("", None)}


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
    """

    request: Request
    snapshot: str
    reasons: tuple[Reason, ...] = ()
    profile: Profile | None = None
    spec: Spec | None = None
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def allowed(self) -> bool:
        """Whether it is a yes."""
        return not self.reasons and self.spec is not None

    def sentence(self) -> str:
        """Return all reasons as text."""
        return " ".join(reason.message for reason in self.reasons)

    def error(self) -> Denied:
        """Return the decision as the error that a person is told."""
        hints = dict.fromkeys(f"Ask {reason.ask} for access." for reason in self.reasons if reason.ask)
        problems = [Problem(reason.field, reason.message) for reason in self.reasons]
        return Denied(self.sentence(), hint=" ".join(hints), problems=problems)


def may_use(profile: Profile, facts: Facts) -> Reason | None:
    """Return why a person may not use a profile; None when she may."""
    groups = profile.spec.access.groups
    if facts.groups.intersection(groups):
        return None
    return Reason(
        "no-access",
        f"{profile.metadata.title} is for {_and(groups)}, and you are not among them.",
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
    profile = _find(request, facts)
    if isinstance(profile, Reason):
        return Decision(request, facts.catalog.digest, (profile,))
    denied = may_use(profile, facts)
    if denied is not None:
        return Decision(request, facts.catalog.digest, (denied,), profile)
    values, misfits = choose_all(profile, request.options)
    reasons = [
        Reason("option", misfit.message, f"options.{misfit.option}", misfit.allowed, nearest=misfit.nearest)
        for misfit in misfits
    ]
    if reasons:
        return Decision(request, facts.catalog.digest, tuple(reasons), profile)
    try:
        spec = apply(profile, values)
    except ValueError as error:
        reason = Reason("option", f"The chosen options do not go together: {_why(error)}.", "options")
        return Decision(request, facts.catalog.digest, (reason,), profile)
    missing = _missing_environment(profile, spec, facts)
    return Decision(request, facts.catalog.digest, missing, profile, None if missing else spec, values)


def _why(error: ValueError) -> str:
    """Return the first thing that is wrong with a spec."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def _missing_environment(profile: Profile, spec: Spec, facts: Facts) -> tuple[Reason, ...]:
    if facts.environments is None or spec.local.environment in facts.environments:
        return ()
    message = (
        f"{profile.metadata.title} needs the environment {spec.local.environment}, which this machine does not have."
    )
    return (Reason("environment", message, "profile", ask=profile.metadata.owner),)


def _find(request: Request, facts: Facts) -> Profile | Reason:
    versions = facts.catalog.versions(request.profile)
    if not versions:
        usable = [profile.name for profile in facts.catalog.newest() if may_use(profile, facts) is None]
        near = get_close_matches(shown(request.profile), usable, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        allowed = ", ".join(usable[:20])
        return Reason("unknown-profile", f"There is no profile {shown(request.profile)!r}.{hint}", "profile", allowed)
    if request.version is None:
        return versions[-1]
    for profile in versions:
        if profile.version == request.version:
            return profile
    known = ", ".join(str(profile.version) for profile in versions)
    message = f"{request.profile} has no version {shown(request.version)}; it has {known}."
    return Reason("unknown-version", message, "version", allowed=known)
