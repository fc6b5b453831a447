"""A rule that runs for ever, or too long, is found in a process that can be killed, and refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from hub_ext.catalog import timing
from hub_ext.catalog.policy import NO_ENCLAVE, Rule
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


def test_a_rule_that_runs_for_ever_is_named_and_those_beside_it_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_ext.catalog.timing._PATIENCE", 4.0)
    rules = [rule("first", "true"), rule("for-ever", nested(7)), rule("between", "true"), rule("slow", nested(4))]
    found = slow_rules([*rules, rule("last", "true", "request")])
    assert set(found) == {"for-ever", "slow"}
    assert "runs for ever" in found["for-ever"]
    assert found["slow"].startswith("takes ")
    assert found["slow"].endswith("at most 100 are allowed")


def test_a_rule_that_cannot_be_evaluated_is_not_slow() -> None:
    assert slow_rules([rule("odd", "variables.spec.nothing.there == 1"), rule("zero", "1 / 0 == 1")]) == {}


def test_what_was_quick_is_not_timed_again_and_what_was_not_is(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = rule("quick", "1 + 1 == 2"), rule("slow", nested(4))
    assert set(slow_rules([quick, slow])) == {"slow"}
    timed: list[list[Rule]] = []
    child = timing._one_child

    def watched(rules: list[Rule], *others: Any) -> tuple[int, dict[str, str]]:
        timed.append(rules)
        return child(rules, *others)

    monkeypatch.setattr(timing, "_one_child", watched)
    assert slow_rules([quick]) == {}
    assert set(slow_rules([quick, slow])) == {"slow"}
    assert timed == [[slow]]


def test_the_same_expression_on_something_else_or_in_another_network_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> tuple[int, dict[str, str]]:
        raise InterruptedError

    assert slow_rules([rule("one", "true || 1 == 2")]) == {}
    monkeypatch.setattr(timing, "_one_child", never)
    assert slow_rules([rule("another-name", "true || 1 == 2")]) == {}
    with pytest.raises(InterruptedError):
        slow_rules([rule("one", "true || 1 == 2", "request")])
    elsewhere = NO_ENCLAVE.model_copy(update={"spec": NO_ENCLAVE.spec.model_copy(update={"registries": ("one",)})})
    with pytest.raises(InterruptedError):
        slow_rules([rule("one", "true || 1 == 2")], elsewhere)


def test_no_rules_need_no_process() -> None:
    assert slow_rules([]) == {}
