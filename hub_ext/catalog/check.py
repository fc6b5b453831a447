"""Checks profiles against the policy, over every extreme of their options."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub_ext.catalog.documents import FileProblem
from hub_ext.catalog.judging import image_of
from hub_ext.catalog.models import Option, Profile, Spec
from hub_ext.catalog.options import Value, apply, choose_all
from hub_ext.catalog.policy import Enclave, Kind, Rule
from hub_ext.catalog.snapshot import Catalog
from hub_ext.kubernetes.render import render, request_view

MOST_COMBINATIONS = 1024
PURPOSES = ("server", "run")
_ANY = "sha256:" + "0" * 64  # stands for the digest of an environment, which only its machine knows


@dataclass(frozen=True)
class CheckFinding:
    """One thing that a check found.

    Attributes:
        path: The profile's file.
        line: Line in it, None when it is about the whole.
        rule: Id of the rule; ``file`` for what cannot be read, ``options`` for options that contradict each other.
        severity: ``deny``, ``warn``, or ``excepted`` for what an exception allows.
        message: What is wrong.
        options: With which choice of options; empty for all of them.
    """

    path: str
    line: int | None
    rule: str
    severity: str
    message: str
    options: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        chosen = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{where}: {self.severity}: {self.rule}: {self.message}" + (f" (with {chosen})" if chosen else "")

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        names = ("path", "line", "rule", "severity", "message")
        found = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return found | {"options": dict(self.options)}


def extremes(profile: Profile, most: int = MOST_COMBINATIONS) -> Iterator[dict[str, Value]]:
    """Yield the choices that a check looks at: all combinations of choices and bounds.

    Beyond so many combinations: each option's ends with the others at their defaults, all lowest and all highest.

    Args:
        profile: Whose options.
        most: Most combinations.
    """
    options = profile.spec.options
    values = {name: ends(option) for name, option in options.items()}
    combinations = 1
    for found in values.values():
        combinations *= len(found)
    if combinations <= most:
        for combination in itertools.product(*values.values()):
            yield dict(zip(values, combination, strict=True))
        return
    defaults = {name: option.default for name, option in options.items()}
    yield defaults
    yield {name: found[0] for name, found in values.items()}
    yield {name: found[-1] for name, found in values.items()}
    for name, found in values.items():
        for end in found:
            yield defaults | {name: end}


def ends(option: Option) -> list[Value]:
    """Return the choices of an option, or its bounds and its default."""
    if option.choices is not None:
        return list(option.choices)
    if option.type == "boolean":
        return [False, True]
    bounds = [bound for bound in (option.minimum, option.maximum) if bound is not None]
    return list(dict.fromkeys([*bounds[:1], option.default, *bounds[1:]]))


def stand_ins(profile: Profile, enclave: Enclave) -> dict[str, str] | None:
    """Return digests that stand for the environments of local processes; None where images are used.

    Which environment a machine has is a fact of the start, and no matter of the profile.

    Args:
        profile: Whose environments.
        enclave: The network.
    """
    if not enclave.spec.local:
        return None
    names = {profile.spec.local.environment}
    for option in profile.spec.options.values():
        if option.sets == "local.environment":
            names |= {str(value) for value in ends(option)}
    return {name: f"localhost/environment/{name}@{_ANY}" for name in names}


class _Judge:
    """Judges what many choices of options make, each thing once: most choices leave most objects as they are."""

    def __init__(self, catalog: Catalog) -> None:
        self._policy = catalog.policy
        self._enclave = catalog.enclave
        self._images = catalog.images
        self._known: dict[tuple[str, str], list[Rule]] = {}

    def broken(self, profile: Profile, spec: Spec, purpose: str, environments: Mapping[str, str] | None) -> list[Rule]:
        image = image_of(spec, self._images, environments)
        made = render(profile, spec, self._enclave, user="somebody", purpose=purpose, name="check", image=image)
        labels = made.namespace["metadata"]["labels"]
        about = {"user": "somebody", "groups": profile.spec.access.groups, "purpose": purpose, "hour": 12, "weekday": 3}
        view = request_view(profile, spec, about)
        subjects: tuple[tuple[Kind, Any], ...] = (("pod", made.pod), ("networkpolicy", made.network), ("request", view))
        return [rule for kind, subject in subjects for rule in self._rules(kind, subject, labels)]

    def _rules(self, kind: Kind, subject: Mapping[str, Any], labels: Mapping[str, str]) -> list[Rule]:
        key = (kind, json.dumps(subject, sort_keys=True))
        if key not in self._known:
            found = self._policy.judge(kind, subject, self._enclave.params(), labels)
            self._known[key] = [violation.rule for violation in found]
        return self._known[key]


def check_profile(profile: Profile, catalog: Catalog, excepted: Collection[str] = ()) -> list[CheckFinding]:
    """Check one version of a profile.

    Args:
        profile: The version.
        catalog: Has the rules, the network and its images.
        excepted: Ids of the rules that an exception for this profile names.

    Returns:
        Each rule that some choice of options does not meet, once, with the first such choice.
    """
    path = f"{profile.name}/{profile.version}.yaml"
    judge, environments = _Judge(catalog), stand_ins(profile, catalog.enclave)
    found: dict[str, CheckFinding] = {}
    for chosen in extremes(profile):
        values, misfits = choose_all(profile, chosen)
        if misfits:
            continue
        try:
            spec = apply(profile, values)
        except ValueError as error:
            message = f"these options contradict each other: {error}".splitlines()[0]
            found.setdefault("options", CheckFinding(path, None, "options", "deny", message, chosen))
            continue
        for purpose in PURPOSES:
            for rule in judge.broken(profile, spec, purpose, environments):
                severity = "excepted" if rule.severity == "deny" and rule.id in excepted else rule.severity
                found.setdefault(rule.id, CheckFinding(path, None, rule.id, severity, rule.message, chosen))
    return list(found.values())


def check(catalog: Catalog) -> list[CheckFinding]:
    """Check all profiles of a catalog against its policy; files that cannot be read are findings, too."""
    found = [unreadable(problem) for problem in catalog.problems]
    for profile in (*catalog.profiles, *catalog.proposals):
        found += check_profile(profile, catalog)
    return found


def unreadable(problem: FileProblem) -> CheckFinding:
    """Return what is wrong with a file as a finding."""
    return CheckFinding(problem.path, problem.line, "file", "deny", problem.message)


def denying(findings: Iterable[CheckFinding]) -> list[CheckFinding]:
    """Return the findings that keep a version from being approved."""
    return [finding for finding in findings if finding.severity == "deny"]
