"""Every denial says which rule or bound, what was asked, what would be allowed, and whom to ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.decide import Facts, RuleException, may_use
from hub_ext.catalog.entitled import Entitled
from hub_ext.catalog.explain import Explanation, explain, explain_all
from hub_ext.catalog.loading import load
from hub_ext.catalog.options import apply, choose_all, remembered
from hub_ext.catalog.policy import Policy, Rule
from hub_ext.catalog.snapshot import Standing
from hub_ext.settings import shipped

SHIPPED = load(shipped("profiles"))
AT = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
NIGHT = Rule(
    id="office-hours",
    title="Large servers by day",
    on="request",
    controls=("AC-3",),
    message="Servers with more than 8 GB start between 6 and 20 o'clock.",
    cel="request.memory <= 8589934592 || (request.hour >= 6 && request.hour < 20)",
)


def facts(*groups: str, rules: tuple[Rule, ...] = (), **more: Any) -> Facts:
    policy = Policy((*SHIPPED.policy.rules, *rules), {**SHIPPED.policy.owners, "office-hours": "operations"})
    catalog = replace(SHIPPED, policy=policy, standings=more.pop("standings", {}))
    environments = {"default": "localhost/environment/default@sha256:" + "a" * 64}
    return Facts(AT, frozenset(groups), catalog, environments, **more)


def parts(found: Explanation, about: str) -> dict[str, Any]:
    return {part.name: part for part in found.parts if part.about == about}


def test_a_yes_says_why_in_every_part() -> None:
    found = explain(facts("analysts"), "amy", "large-memory")
    assert found.allowed
    assert found.version == 1
    assert found.sentence() == "amy may start Large memory now."
    assert parts(found, "group")["analysts"].words == "Members of analysts may use it, and amy is one."
    assert parts(found, "version")["large-memory@1"].words.endswith("which is trusted with this release.")
    assert set(parts(found, "option")) == {"memory", "cores", "idle"}
    assert parts(found, "option")["memory"].words == "Memory is 8Gi; it can be one of 8Gi, 12Gi, 16Gi."
    assert len(parts(found, "rule")) == len(SHIPPED.policy.rules)
    assert all(part.holds for part in found.parts)


def test_who_is_in_none_of_its_groups_is_told_whom_to_ask() -> None:
    found = explain(facts("analysts"), "amy", "machine-learning")
    assert not found.allowed
    part = parts(found, "group")["modellers"]
    assert (part.holds, part.ask) == (False, "modelling-team")
    assert "amy may not start Machine learning: Members of modellers may use it, and amy is none." in found.sentence()
    assert "not asked, since the start is denied before" in parts(found, "rule")["digest-pinned"].words


def test_what_others_read_of_her_is_said_of_her_and_what_she_reads_is_said_to_her() -> None:
    truth = facts(
        "analysts", entitlements=(Entitled("n-1", "machine-learning", "person", "amy", AT - timedelta(days=9)),)
    )
    explained = explain(truth, "amy", "machine-learning").decision
    told = " ".join(reason.message for reason in explained.reasons)
    assert "and amy is not among them. amy's access ended on 2026-02-21 22:30 UTC" in told
    denied = may_use(SHIPPED.versions("machine-learning")[0], truth)
    assert denied is not None
    assert "and you are not among them. Your access ended on 2026-02-21 22:30 UTC" in denied.message


def test_a_bound_says_what_would_be_allowed_and_what_is_nearest() -> None:
    found = explain(facts("analysts"), "amy", "large-memory", options={"memory": "14Gi", "cores": 9})
    options = parts(found, "option")
    assert options["memory"].words == "Memory cannot be 14Gi; it can be one of 8Gi, 12Gi, 16Gi."
    assert options["memory"].allowed == "one of 8Gi, 12Gi, 16Gi (nearest: 12Gi)"
    assert options["cores"].allowed == "from 1 to 4 (nearest: 4)"
    assert options["idle"].holds


def test_a_rule_says_what_it_closes_and_what_stays_open() -> None:
    found = explain(facts("analysts", rules=(NIGHT,)), "amy", "large-memory")
    assert found.allowed
    words = parts(found, "option")["memory"].words
    assert "Not 12Gi now: Large memory does not meet the rule office-hours: Servers with more than 8 GB" in words
    assert "Not 16Gi now:" in words
    assert "Not 8Gi" not in words
    denied = explain(facts("analysts", rules=(NIGHT,)), "amy", "large-memory", options={"memory": "16Gi"})
    assert not denied.allowed
    part = parts(denied, "rule")["office-hours"]
    assert (part.holds, part.ask) == (False, "operations")


def test_an_exception_and_a_warning_are_told() -> None:
    hint = NIGHT.model_copy(update={"id": "many-cores", "severity": "warn", "cel": "request.cpu < 1.0", "title": "Few"})
    excepted = RuleException("e-1", "large-memory", "office-hours", AT + timedelta(days=2), owner="gis-team")
    truth = facts("analysts", rules=(NIGHT, hint), exceptions=(excepted,))
    found = explain(truth, "amy", "large-memory", options={"memory": "16Gi"})
    assert found.allowed
    rules = parts(found, "rule")
    assert "excepted until 2026-03-04 22:30 UTC; gis-team answers for it." in rules["office-hours"].words
    assert "not met, which is only a warning." in rules["many-cores"].words


@pytest.mark.parametrize(("days", "holds"), [(2, True), (-2, False)])
def test_a_version_that_goes_says_until_when(days: int, holds: bool) -> None:
    state: Any = "deprecated" if holds else "removed"
    standing = Standing(state, successor="standard@1", removal_at=AT + timedelta(days=days))
    found = explain(facts("analysts", standings={("quick-look", 1): standing}), "amy", "quick-look")
    part = parts(found, "version")["quick-look@1"]
    assert (part.holds, found.allowed, part.allowed) == (holds, holds, "standard@1")


def test_an_environment_that_is_not_there_is_told() -> None:
    found = explain(replace(facts("analysts"), environments={}), "amy", "quick-look")
    (part,) = parts(found, "environment").values()
    assert "needs the environment default" in part.words


def test_an_unknown_profile_is_explained_too() -> None:
    found = explain(facts("analysts"), "amy", "standrad")
    assert not found.allowed
    assert found.version is None
    assert "Did you mean standard?" in found.sentence()


def test_all_profiles_of_a_person_those_that_she_may_start_first() -> None:
    found = explain_all(facts("analysts"), "amy")
    assert [one.profile for one in found] == ["standard", "quick-look", "large-memory", "machine-learning"]
    assert [one.allowed for one in found] == [True, True, True, False]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
OPTIONS = st.dictionaries(st.sampled_from(["memory", "idle", "cores"]) | st.text(), ANYTHING, max_size=3)
NAMES = st.sampled_from(["standard", "large-memory", "machine-learning", "quick-look"])


@given(NAMES | st.text(), OPTIONS, st.text())
def test_anything_whatever_can_be_explained_as_it_is_decided(name: str, options: dict[str, Any], user: str) -> None:
    found = explain(facts("analysts"), user, name, options=options)
    assert found.as_dict()["allowed"] == found.allowed
    if not found.allowed:
        unknown = any(reason.code == "option" for reason in found.decision.reasons)
        assert unknown or any(not part.holds for part in found.parts)


# --- what was chosen the last time -----------------------------------------------------------------------------------


def test_a_remembered_choice_that_is_no_longer_allowed_comes_with_the_nearest() -> None:
    (profile,) = SHIPPED.versions("large-memory")
    found = remembered(profile, {"memory": "14Gi", "cores": 2, "idle": "soon", "colour": "red"})
    assert found.values == {"memory": "12Gi", "cores": 2, "idle": 60}
    assert {misfit.option: misfit.nearest for misfit in found.changed} == {
        "memory": "12Gi",
        "idle": None,
        "colour": None,
    }
    assert remembered(profile, {"memory": "16Gi"}).changed == ()


@given(NAMES, OPTIONS)
def test_what_is_remembered_always_fits(name: str, options: dict[str, Any]) -> None:
    (profile,) = SHIPPED.versions(name)
    found = remembered(profile, options)
    values, misfits = choose_all(profile, found.values)
    assert misfits == []
    assert set(values) == set(profile.spec.options)
    apply(profile, values)
