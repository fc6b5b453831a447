"""Checks profiles against the policy, over every extreme of their options."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from hub_ext.catalog.loading import Catalog, FileProblem
from hub_ext.catalog.models import Option, Profile
from hub_ext.catalog.options import Value, apply, choose_all
from hub_ext.catalog.policy import Enclave, Policy, Violation
from hub_ext.kubernetes.render import Rendering, render, request_view

_MOST_COMBINATIONS = 1024


@dataclass(frozen=True)
class CheckFinding:
    """One thing that a check found.

    Attributes:
        path: The profile's file.
        line: Line in it, None when it is about the whole.
        rule: Id of the rule, or ``file`` for what cannot be read.
        severity: ``deny`` or ``warn``.
        message: What is wrong.
        options: With which choice of options; empty for all of them.
    """

    path: str
    line: int | None
    rule: str
    severity: str
    message: str
    options: Mapping[str, Value]

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        chosen = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{where}: {self.severity}: {self.rule}: {self.message}" + (f" (with {chosen})" if chosen else "")


def extremes(profile: Profile) -> Iterator[dict[str, Value]]:
    """Yield the choices that a check looks at: all combinations of choices and bounds.

    Beyond 1024 combinations: each option's extremes with the others at their defaults, all lowest and all highest.
    """
    options = profile.spec.options
    values = {name: _ends(option) for name, option in options.items()}
    combinations = 1
    for ends in values.values():
        combinations *= len(ends)
    if combinations <= _MOST_COMBINATIONS:
        for combination in itertools.product(*values.values()):
            yield dict(zip(values, combination, strict=True))
        return
    defaults = {name: option.default for name, option in options.items()}
    yield {name: ends[0] for name, ends in values.items()}
    yield {name: ends[-1] for name, ends in values.items()}
    for name, ends in values.items():
        for end in ends:
            yield defaults | {name: end}


def _ends(option: Option) -> list[Value]:
    if option.choices is not None:
        return list(option.choices)
    if option.type == "boolean":
        return [False, True]
    bounds = [bound for bound in (option.minimum, option.maximum) if bound is not None]
    return list(dict.fromkeys([*bounds[:1], option.default, *bounds[1:]]))


def judge(policy: Policy, enclave: Enclave, rendering: Rendering, request: Mapping[str, Any]) -> list[Violation]:
    """Return every rule that a rendering and the request for it do not meet.

    Args:
        policy: The rules.
        enclave: The network.
        rendering: What would be made.
        request: From `request_view`.
    """
    params, labels = enclave.params(), rendering.namespace["metadata"]["labels"]
    found = policy.judge("pod", rendering.pod, params, labels)
    found += policy.judge("networkpolicy", rendering.network, params, labels)
    return found + policy.judge("request", request, params, labels)


def check_profile(profile: Profile, policy: Policy, enclave: Enclave) -> list[CheckFinding]:
    """Check one version of a profile.

    Returns:
        Each rule that some choice of options does not meet, once, with the first such choice.
    """
    path = f"{profile.name}/{profile.version}.yaml"
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
        for purpose in ("server", "run"):
            facts = {"user": "somebody", "groups": (), "purpose": purpose, "hour": 12, "weekday": 3}
            rendering = render(profile, spec, enclave, user="somebody", purpose=purpose, name="check")
            for violation in judge(policy, enclave, rendering, request_view(profile, spec, facts)):
                rule = violation.rule
                found.setdefault(rule.id, CheckFinding(path, None, rule.id, rule.severity, rule.message, chosen))
    return list(found.values())


def check(catalog: Catalog, policy: Policy, enclave: Enclave) -> list[CheckFinding]:
    """Check all profiles of a catalog; files that cannot be read are findings, too."""
    found = [_unreadable(problem) for problem in catalog.problems]
    for profile in catalog.profiles:
        found += check_profile(profile, policy, enclave)
    return found


def _unreadable(problem: FileProblem) -> CheckFinding:
    return CheckFinding(problem.path, problem.line, "file", "deny", problem.message, {})


def sarif(findings: Iterable[CheckFinding], policy: Policy, version: str) -> str:
    """Return findings as SARIF 2.1.0 (OASIS), as code hosts show them beside a change."""
    rules = [{"id": rule.id, "shortDescription": {"text": rule.title}} for rule in policy.rules]
    rules += [{"id": name, "shortDescription": {"text": name}} for name in ("file", "options")]
    results = [
        {
            "ruleId": finding.rule,
            "level": "error" if finding.severity == "deny" else "warning",
            "message": {"text": str(finding)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.path},
                        "region": {"startLine": finding.line or 1},
                    }
                }
            ],
        }
        for finding in findings
    ]
    driver = {"name": "hub-ext", "version": version, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def junit(findings: Iterable[CheckFinding], catalog: Catalog) -> str:
    """Return findings as a JUnit report: a case for each version, failed by what denies."""
    by_path: dict[str, list[CheckFinding]] = {f"{one.name}/{one.version}.yaml": [] for one in catalog.profiles}
    for finding in findings:
        by_path.setdefault(finding.path, []).append(finding)
    failing = [path for path, found in by_path.items() if any(one.severity == "deny" for one in found)]
    attributes = {"name": "profiles check", "tests": str(len(by_path)), "failures": str(len(failing))}
    suite = ET.Element("testsuite", attributes)
    for path, found in by_path.items():
        case = ET.SubElement(suite, "testcase", {"name": path, "classname": "profiles"})
        if path in failing:
            text = "\n".join(str(one) for one in found)
            ET.SubElement(case, "failure", {"message": f"{len(found)} findings"}).text = text
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
