"""A rule that runs for ever, or too long, is found in a process that can be killed, and refused by its name."""

from __future__ import annotations

from typing import Any

from hub_ext.catalog.policy import Rule
from hub_ext.catalog.timing import slow_rules

LIST = "[" + ",".join(str(number) for number in range(25)) + "]"


def rule(name: str, cel: str, on: Any = "pod") -> Rule:
    return Rule(id=name, title="A rule", on=on, controls=("CM-7",), message="No.", cel=cel)


def nested(depth: int) -> str:
    """An expression whose time grows with the power of its depth."""
    names = "abcdefg"[:depth]
    return "".join(f"{LIST}.all({name}," for name in names) + "+".join(names) + " >= 0" + ")" * depth


def test_the_rules_that_ship_are_fast(shipped_catalog: Any) -> None:
    assert slow_rules(shipped_catalog.policy.rules, shipped_catalog.enclave) == {}


def test_a_rule_that_runs_for_ever_is_named_and_those_beside_it_are_timed() -> None:
    rules = [rule("first", "true"), rule("for-ever", nested(7)), rule("between", "true"), rule("slow", nested(4))]
    found = slow_rules([*rules, rule("last", "true", "request")], patience=4.0)
    assert set(found) == {"for-ever", "slow"}
    assert "runs for ever" in found["for-ever"]
    assert found["slow"].startswith("takes ")
    assert found["slow"].endswith("at most 100 are allowed")


def test_a_rule_that_cannot_be_evaluated_is_not_slow() -> None:
    assert slow_rules([rule("odd", "variables.spec.nothing.there == 1"), rule("zero", "1 / 0 == 1")]) == {}


def test_no_rules_need_no_process() -> None:
    assert slow_rules([]) == {}
