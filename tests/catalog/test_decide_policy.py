"""The decision holds what would be made against the policy: what it allows, the policy on its own allows, too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.decide import Decision, Facts, Request, RuleException, decide
from hub_ext.catalog.judging import image_of, judge
from hub_ext.catalog.loading import load
from hub_ext.catalog.models import SETTABLE, Profile
from hub_ext.catalog.policy import Policy, Rule, nothing_starts
from hub_ext.catalog.reason import Reason
from hub_ext.catalog.snapshot import Catalog, Standing
from hub_ext.kubernetes.render import render, request_view
from hub_ext.settings import shipped

SHIPPED = load(shipped("profiles"))
ENVIRONMENT = {"default": "localhost/environment/default@sha256:" + "a" * 64}
AT = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
LATE = Rule(
    id="office-hours",
    title="Large servers by day",
    on="request",
    controls=("AC-3",),
    message="Servers with more than 8 GB start between 6 and 20 o'clock.",
    cel="request.memory <= 8589934592 || (request.hour >= 6 && request.hour < 20)",
)
HINT = LATE.model_copy(update={"id": "many-cores", "severity": "warn", "cel": "request.cpu < 4.0", "message": "Many."})


def facts(*, rules: tuple[Rule, ...] = (), groups: tuple[str, ...] = ("analysts",), **more: Any) -> Facts:
    policy = Policy((*SHIPPED.policy.rules, *rules), {**SHIPPED.policy.owners, "office-hours": "operations"})
    catalog = more.pop("catalog", SHIPPED)
    more.setdefault("environments", ENVIRONMENT)
    return Facts(more.pop("now", AT), frozenset(groups), replace(catalog, policy=policy), **more)


def ask(profile: str = "large-memory", **options: Any) -> Request:
    return Request("amy", "server", profile, None, options)


def only(decision: Decision) -> Reason:
    assert not decision.allowed
    assert decision.spec is None
    (reason,) = decision.reasons
    return reason


def test_what_ships_is_allowed_and_names_the_image_it_is_made_from() -> None:
    decision = decide(ask(), facts())
    assert decision.allowed
    assert decision.image == ENVIRONMENT["default"]
    assert decision.warnings == ()


def test_a_broken_rule_is_told_with_its_message_and_whom_to_ask() -> None:
    reason = only(decide(ask(memory="16Gi"), facts(rules=(LATE,))))
    assert (reason.code, reason.rule, reason.ask) == ("policy", "office-hours", "operations")
    assert reason.message.endswith("Servers with more than 8 GB start between 6 and 20 o'clock.")
    assert decide(ask(memory="16Gi"), facts(rules=(LATE,))).error().hint == "Ask operations about it."
    assert decide(ask(memory="8Gi"), facts(rules=(LATE,))).allowed
    assert decide(ask(memory="16Gi"), facts(rules=(LATE,), now=AT.replace(hour=12))).allowed


def test_a_rule_that_warns_is_carried_and_denies_nothing() -> None:
    decision = decide(ask(), facts(rules=(HINT,)))
    assert decision.allowed
    assert [warning.rule for warning in decision.warnings] == ["many-cores"]


def test_every_broken_rule_is_told() -> None:
    never = LATE.model_copy(update={"id": "never", "cel": "false"})
    decision = decide(ask(memory="16Gi"), facts(rules=(LATE, never)))
    assert [reason.rule for reason in decision.reasons] == ["office-hours", "never"]


def test_an_image_without_a_digest_is_denied() -> None:
    reason = only(decide(ask(), facts(environments={"default": "localhost/environment/default"})))
    assert reason.rule == "digest-pinned"
    images = {one.rule for one in decide(ask(), facts(environments=None)).reasons}
    assert images == {"digest-pinned", "allowed-registries"}


def test_a_policy_that_cannot_be_read_denies_everything() -> None:
    unreadable = replace(SHIPPED, policy=nothing_starts("The policy cannot be read, so nothing starts.", "an admin"))
    reason = only(decide(ask("quick-look"), Facts(AT, frozenset({"analysts"}), unreadable, ENVIRONMENT)))
    assert (reason.rule, reason.ask) == ("policy-unreadable", "an admin")
    assert unreadable.policy.unreadable
    assert not SHIPPED.policy.unreadable


# --- exceptions ------------------------------------------------------------------------------------------------------


def exception(**more: Any) -> RuleException:
    given_ = {"id": "e-1", "profile": "large-memory", "rule": "office-hours", "until": AT + timedelta(hours=1)} | more
    return RuleException(**given_)


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ({}, True),
        ({"users": frozenset({"amy"})}, True),
        ({"users": frozenset({"bob"})}, False),
        ({"groups": frozenset({"analysts"})}, True),
        ({"groups": frozenset({"others"})}, False),
        ({"users": frozenset({"bob"}), "groups": frozenset({"analysts"})}, True),
        ({"profile": "standard"}, False),
        ({"rule": "digest-pinned"}, False),
        ({"until": AT}, False),
        ({"until": AT + timedelta(seconds=1)}, True),
    ],
)
def test_an_exception_holds_for_its_rule_its_people_and_its_time(scope: dict[str, Any], allowed: bool) -> None:
    decision = decide(ask(memory="16Gi"), facts(rules=(LATE,), exceptions=(exception(**scope),)))
    assert decision.allowed is allowed
    assert decision.exceptions == (("e-1",) if allowed else ())


def test_an_exception_that_was_not_needed_is_not_named() -> None:
    assert decide(ask(memory="8Gi"), facts(rules=(LATE,), exceptions=(exception(),))).exceptions == ()


# --- versions that go ------------------------------------------------------------------------------------------------


def two_versions(first: Standing, second: Standing) -> Catalog:
    one = SHIPPED.versions("quick-look")[0]
    two = one.model_copy(update={"metadata": one.metadata.model_copy(update={"version": 2})})
    standings = {("quick-look", 1): first, ("quick-look", 2): second}
    return Catalog((one, two), (), SHIPPED.policy, SHIPPED.enclave, standings)


SOON, OVER = AT + timedelta(days=3), AT - timedelta(days=3)


def test_a_deprecated_version_starts_with_a_warning_until_its_removal() -> None:
    catalog = two_versions(Standing("deprecated", successor="quick-look@2", removal_at=SOON), Standing("approved"))
    decision = decide(Request("amy", "server", "quick-look", 1), facts(catalog=catalog))
    assert decision.allowed
    (warning,) = decision.warnings
    assert (warning.code, warning.allowed) == ("deprecated", "quick-look@2")
    assert "can be started until 2026-03-05 22:30 UTC. Use quick-look, version 2, in its place." in warning.message
    later = facts(catalog=catalog, now=SOON)
    reason = only(decide(Request("amy", "server", "quick-look", 1), later))
    assert (reason.code, reason.allowed) == ("removed", "quick-look@2")
    assert decide(Request("amy", "server", "quick-look"), later).profile.version == 2  # type: ignore[union-attr]


def test_without_a_number_a_start_gets_the_highest_that_is_not_deprecated() -> None:
    catalog = two_versions(Standing("approved"), Standing("deprecated", removal_at=SOON))
    assert decide(ask("quick-look"), facts(catalog=catalog)).profile.version == 1  # type: ignore[union-attr]
    both = two_versions(Standing("deprecated", removal_at=SOON), Standing("deprecated", removal_at=SOON))
    assert decide(ask("quick-look"), facts(catalog=both)).profile.version == 2  # type: ignore[union-attr]
    assert [one.version for one in catalog.newest()] == [1]


def test_a_profile_of_which_nothing_is_left_says_so() -> None:
    catalog = two_versions(Standing("removed", removal_at=OVER), Standing("removed", removal_at=OVER))
    assert catalog.newest() == []
    reason = only(decide(ask("quick-look"), facts(catalog=catalog)))
    assert (reason.code, reason.message.count("can be started no more since")) == ("removed", 1)


def test_an_image_that_changed_after_the_approval_is_a_warning() -> None:
    other = {"environment/default": "localhost/environment/default@sha256:" + "b" * 64}
    catalog = two_versions(Standing("approved"), Standing("approved", images=other))
    assert [one.code for one in decide(ask("quick-look"), facts(catalog=catalog)).warnings] == ["image-changed"]
    same = two_versions(
        Standing("approved"), Standing("approved", images={"environment/default": ENVIRONMENT["default"]})
    )
    assert decide(ask("quick-look"), facts(catalog=same)).warnings == ()


def test_the_snapshot_differs_with_rules_enclave_and_standing() -> None:
    found = {
        SHIPPED.digest,
        replace(SHIPPED, policy=Policy(SHIPPED.policy.rules[1:])).digest,
        replace(SHIPPED, policy=Policy(SHIPPED.policy.rules, {})).digest,
        replace(SHIPPED, enclave=SHIPPED.enclave.model_copy(update={"kind": "x"})).digest,
        replace(SHIPPED, standings={("standard", 1): Standing("deprecated", removal_at=SOON)}).digest,
        replace(SHIPPED, standings={("standard", 1): Standing("deprecated", removal_at=OVER)}).digest,
    }
    assert len(found) == 6
    assert replace(SHIPPED, notes=("Something.",), problems=()).digest == SHIPPED.digest


# --- for any input whatever ------------------------------------------------------------------------------------------

TEXT = st.text(st.characters())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
LIKELY = st.sampled_from(["2Gi", "8Gi", "12Gi", "16Gi", "24Gi", "90Gi", 15, 30, 60, 1, 2, 3, 4, 4.0, 20, "4", True])
OPTIONS = st.dictionaries(st.sampled_from(["memory", "idle", "cores", "wish"]) | TEXT, LIKELY | ANYTHING, max_size=4)
NAMES = st.sampled_from([profile.name for profile in SHIPPED.profiles])

QUANTITIES = st.sampled_from(["1Gi", "4Gi", "32Gi", "64Gi", "65Gi", "512Gi"])


@st.composite
def profiles(draw: Any) -> Profile:
    """A profile that a curator might have got approved under rules of another day."""
    limit = draw(QUANTITIES)
    cpu = draw(st.sampled_from([0.5, 2, 16, 17, 64]))
    spec: dict[str, Any] = {
        "description": "Any.",
        "access": {"groups": ["analysts"]},
        "image": "notebooks/any",
        "resources": {
            "cpu": {"request": 0.5, "limit": cpu},
            "memory": {"request": "1Gi", "limit": limit},
            "gpu": draw(st.sampled_from([0, 0, 1])),
        },
        "network": {
            "egress": [
                {"cidr": cidr, "ports": [443]}
                for cidr in draw(st.lists(st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "160.0.0.0/4"]), max_size=2))
            ]
        },
    }
    if draw(st.booleans()):
        field = draw(st.sampled_from(["resources.memory.limit", "resources.cpu.limit", "resources.gpu"]))
        kind = min(SETTABLE[field])
        default = {"resources.memory.limit": limit, "resources.cpu.limit": cpu}.get(field, spec["resources"]["gpu"])
        choices = {"quantity": ["1Gi", "64Gi", "128Gi"], "integer": [0, 1, 2, 32]}[kind]
        spec["options"] = {
            "wish": {"title": "Wish", "type": kind, "choices": [*choices, default], "default": default, "sets": field}
        }
        if kind == "integer" and isinstance(default, float):
            spec["options"]["wish"]["type"] = "number"
    about = {"name": "any", "version": 1, "title": "Any", "owner": "somebody"}
    return Profile.model_validate({"apiVersion": "hub-ext/v1", "kind": "Profile", "metadata": about, "spec": spec})


def stands_on_its_own(decision: Decision, truth: Facts) -> bool:
    """Whether the policy, evaluated on the rendering of a yes and on nothing of ours, denies nothing."""
    assert decision.profile is not None
    assert decision.spec is not None
    catalog, request = truth.catalog, decision.request
    image = image_of(decision.spec, catalog.images, truth.environments)
    assert image == decision.image
    hour = {"hour": truth.now.hour, "weekday": truth.now.isoweekday()}
    about = {"user": request.user, "groups": truth.groups, "purpose": request.purpose, **hour}
    view = request_view(decision.profile, decision.spec, about)
    for name in ("", "named", "r-01"):
        made = render(
            decision.profile,
            decision.spec,
            catalog.enclave,
            user=request.user,
            purpose=request.purpose,
            name=name,
            image=image,
        )
        if any(one.denies for one in judge(catalog.policy, catalog.enclave, made, view)):
            return False
    return True


@given(NAMES, OPTIONS, TEXT, st.sampled_from(["server", "run"]), st.integers(0, 23))
def test_no_input_whatever_yields_what_the_policy_alone_would_deny(
    name: str, options: dict[str, Any], user: str, purpose: Any, hour: int
) -> None:
    truth = facts(rules=(LATE,), groups=("analysts", "modellers"), now=AT.replace(hour=hour))
    decision = decide(Request(user, purpose, name, None, options), truth)
    assert decision.allowed == (decision.spec is not None) == (not decision.reasons)
    assert not decision.allowed or stands_on_its_own(decision, truth)


@given(profiles(), OPTIONS, st.sampled_from(["server", "run"]))
def test_no_profile_whatever_yields_what_the_policy_alone_would_deny(
    profile: Profile, options: dict[str, Any], purpose: Any
) -> None:
    catalog = replace(SHIPPED, profiles=(profile,))
    truth = facts(rules=(LATE,), catalog=catalog)
    decision = decide(Request("amy", purpose, "any", None, options), truth)
    assert not decision.allowed or stands_on_its_own(decision, truth)
    too_much = profile.spec.resources.gpu or profile.spec.resources.cpu.limit > 16
    if not options and too_much:
        assert {"cpu-limit", "gpu-limit"} & {reason.rule for reason in decision.reasons}


@given(TEXT, ANYTHING)
def test_a_decision_never_raises_whoever_asks(user: str, value: Any) -> None:
    options = {"memory": value}
    decision = decide(Request(user, "server", "large-memory", None, options), facts())
    assert isinstance(decision.allowed, bool)
