"""Findings of a check, as other tools read them: SARIF for code hosts, JUnit for builds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from hub_ext.catalog.check import CheckFinding
from hub_ext.catalog.policy import Policy
from hub_ext.catalog.snapshot import Catalog


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
