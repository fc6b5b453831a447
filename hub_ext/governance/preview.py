"""What a start of a version would make, before any cluster exists: exact objects, each line with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub_ext.catalog.check import stand_ins
from hub_ext.catalog.decide import Purpose
from hub_ext.catalog.judging import image_of, judge
from hub_ext.catalog.models import Profile, Spec
from hub_ext.catalog.options import Value, apply, choose_all
from hub_ext.catalog.policy import Rule, Violation
from hub_ext.catalog.snapshot import Catalog
from hub_ext.errors import InvalidInput, Problem
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.reasons import Start, reasons
from hub_ext.kubernetes.render import request_view
from hub_ext.kubernetes.yaml_text import to_yaml

_RUN = "launch-id"  # stands for the id of a run, which each gets for itself


@dataclass(frozen=True)
class Wanted:
    """A start that is looked at and not made.

    Attributes:
        options: What is chosen; the defaults where nothing is said.
        user: For whom.
        purpose: A server or a run.
        server: Name of the server; empty for the one that has none.
    """

    options: Mapping[str, Any]
    user: str = "somebody"
    purpose: Purpose = "server"
    server: str = ""


@dataclass(frozen=True)
class Preview:
    """What a start would make.

    Attributes:
        start: Everything that it follows from.
        objects: What is made, in the order in which it is.
        reasons: For each object, path of a leaf → why it is as it is.
        broken: Rules that it does not meet.
    """

    start: Start
    objects: list[Manifest]
    reasons: list[dict[str, str]]
    broken: list[Violation]

    def yaml(self) -> str:
        """Return the objects as YAML, a reason behind each line."""
        return to_yaml(self.objects, self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "image": self.start.image,
            "values": dict(self.start.values),
            "objects": self.objects,
            "reasons": self.reasons,
            "broken": [_broken(one.rule) for one in self.broken],
            "yaml": self.yaml(),
        }


def _broken(rule: Rule) -> dict[str, str]:
    return {"rule": rule.id, "severity": rule.severity, "title": rule.title, "message": rule.message}


def preview(
    profile: Profile, wanted: Wanted, catalog: Catalog, environments: Mapping[str, str] | None, at: datetime
) -> Preview:
    """Return what a start of a version would make.

    Args:
        profile: The version.
        wanted: The start.
        catalog: Holds policy and enclave.
        environments: Environments of this machine as images, where processes are local.
        at: The time that request rules see.

    Raises:
        InvalidInput: If the options cannot be; `problems` name them.
    """
    spec, values = _resolved(profile, wanted.options)
    stand = stand_ins(profile, catalog.enclave)
    image = image_of(spec, catalog.images, None if stand is None else {**stand, **(environments or {})})
    name = wanted.server if wanted.purpose == "server" else _RUN
    start = Start(profile, spec, values, catalog.enclave, image, wanted.user, wanted.purpose, name)
    made = start.rendered()
    about = {
        "user": wanted.user,
        "groups": profile.spec.access.groups,
        "purpose": wanted.purpose,
        "hour": at.hour,
        "weekday": at.isoweekday(),
    }
    broken = judge(catalog.policy, catalog.enclave, made, request_view(profile, spec, about))
    return Preview(start, made.all(), reasons(start, catalog.policy), broken)


def _resolved(profile: Profile, options: Mapping[str, Any]) -> tuple[Spec, dict[str, Value]]:
    values, misfits = choose_all(profile, options)
    if misfits:
        problems = [Problem(f"options.{misfit.option}", misfit.message) for misfit in misfits]
        raise InvalidInput(" ".join(misfit.message for misfit in misfits), problems=problems)
    try:
        return apply(profile, values), values
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise InvalidInput.of("options", f"these do not go together: {first}") from None
