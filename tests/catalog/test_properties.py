"""What holds for any input whatever: of options, of names, of what is rendered, of rules, and of very many profiles."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hub_ext.catalog import models, policy
from hub_ext.catalog.cel import BadRule, compile_rule, scene
from hub_ext.catalog.decide import Facts, Request, decide
from hub_ext.catalog.loading import load
from hub_ext.catalog.models import Option
from hub_ext.catalog.options import Misfit, choose, normalise
from hub_ext.catalog.policy import Policy, Rule
from hub_ext.kubernetes.render import render
from hub_ext.settings import shipped

SHIPPED = load(shipped("profiles"))
AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
IMAGE = "localhost/environment/default@sha256:" + "a" * 64
FACTS = Facts(AT, frozenset({"analysts", "modellers"}), SHIPPED, {"default": IMAGE})
TEXT = st.text(st.characters(), max_size=40)

# --- options: the whole text, or nothing ------------------------------------------------------------------------------

CHOICES = [
    Option.model_validate({"title": "It", "type": kind, "choices": choices, "default": choices[0], "sets": "image"})
    for kind, choices in (
        ("string", ("notebooks/geo", "notebooks/standard")),
        ("quantity", ("2Gi", "8Gi")),
        ("number", (0.5, 2)),
        ("integer", (30, 60)),
    )
]


@given(st.sampled_from(CHOICES), st.integers(0, 1), TEXT, TEXT)
def test_a_choice_with_anything_around_it_is_none(option: Option, which: int, before: str, after: str) -> None:
    assert option.choices is not None
    text = f"{before}{option.choices[which]}{after}"
    found = choose("it", option, text)
    if isinstance(found, Misfit):
        return
    allowed = [normalise(option.type, choice) for choice in option.choices]
    assert found in allowed
    assert text == str(option.choices[which]) or normalise(option.type, text) in allowed


@given(st.sampled_from(CHOICES), TEXT)
def test_the_beginning_of_a_choice_is_none(option: Option, other: str) -> None:
    assert option.choices is not None
    for choice in option.choices:
        for end in range(len(str(choice))):
            text = str(choice)[:end]
            found = choose("it", option, text)
            assert isinstance(found, Misfit) or text in map(str, option.choices)


# --- names: the whole text, or nothing --------------------------------------------------------------------------------

NAMES: dict[str, tuple[Any, str]] = {
    "name": (models.Name, "maps-2"),
    "label": (models.Label, "app/part-of"),
    "value": (models.LabelValue, "catalog"),
    "control": (models.ControlId, "AC-6(1)"),
    "size": (models.Size, "8Gi"),
    "cores": (models.Cores, "500m"),
    "image": (models.Spec.model_fields["image"].rebuild_annotation(), "notebooks/geo"),
}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("more", ["\n", "\r\n", "\x00", "\u2028", " ", "\u200b", "\nother"])
def test_a_name_with_something_that_cannot_be_seen_is_no_name(kind: str, more: str) -> None:
    adapter, good = TypeAdapter(NAMES[kind][0]), NAMES[kind][1]
    adapter.validate_python(good)
    for text in (good + more, more + good):
        with pytest.raises(ValidationError):
            adapter.validate_python(text)


@pytest.mark.parametrize("more", ["\n", " ", "\x00", "%eth0", "/8"])
def test_a_destination_is_an_address_and_no_more(more: str) -> None:
    for cidr in ("10.0.0.0/8", "2001:db8::/32"):
        with pytest.raises(ValidationError):
            models.Egress(cidr=cidr + more, ports=(443,))


@given(TEXT)
def test_a_registry_is_a_registry_and_no_more(text: str) -> None:
    largest = policy.Largest(cpu=1, memory="1Gi")
    try:
        spec = policy.EnclaveSpec(domain="open", registries=(f"registry.low{text}",), largest=largest)
    except ValidationError:
        return
    assert re.fullmatch(r"[a-z0-9.:/_-]+", spec.registries[0])


# --- what is rendered -------------------------------------------------------------------------------------------------

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
PROFILES = st.sampled_from(SHIPPED.profiles)


@given(PROFILES, TEXT.filter(bool), TEXT, st.sampled_from(["server", "run"]))
def test_whatever_people_are_called_a_cluster_takes_the_objects(
    profile: Any, user: str, name: str, purpose: str
) -> None:
    name = name if purpose == "server" else "l-01hzzzzzzzzzzzzzzzzzzzzzzz"
    made = render(profile, profile.spec, SHIPPED.enclave, user=user, purpose=purpose, name=name, image=IMAGE)
    own = made.namespace["metadata"]["name"]
    for one in made.all():
        assert NAME.fullmatch(one["metadata"]["name"])
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == own
        assert all(VALUE.fullmatch(value) for value in one["metadata"]["labels"].values())
    marks = made.pod["metadata"]["labels"]
    selector = made.network["spec"]["podSelector"]["matchLabels"]
    assert selector.items() <= marks.items()
    assert marks["hub-ext/user"] == made.namespace["metadata"]["labels"]["hub-ext/user"]
    assert (made.job is None, made.home is None) == (purpose == "server", purpose == "run")


@given(PROFILES, TEXT.filter(bool))
def test_the_pod_of_a_job_is_the_pod_that_was_judged(profile: Any, user: str) -> None:
    made = render(profile, profile.spec, SHIPPED.enclave, user=user, purpose="run", name="l-01hz", image=IMAGE)
    assert made.job is not None
    template = made.job["spec"]["template"]
    assert template == {"metadata": {"labels": made.pod["metadata"]["labels"]}, "spec": made.pod["spec"]}
    longest = profile.spec.lifetime.maximum * 60
    assert longest <= made.pod["spec"]["activeDeadlineSeconds"] <= longest + 3600  # it may report in the end


@given(st.lists(TEXT.filter(bool), min_size=2, max_size=2, unique=True))
def test_two_people_never_share_a_namespace(users: list[str]) -> None:
    profile = SHIPPED.profiles[0]
    one, other = (
        render(profile, profile.spec, SHIPPED.enclave, user=user, purpose="server", name="", image=IMAGE)
        for user in users
    )
    assert one.namespace["metadata"]["name"] != other.namespace["metadata"]["name"]


# --- rules that cannot be evaluated -----------------------------------------------------------------------------------

FIELDS = ["request.user", "request.groups", "request.cpu", "request.hour", "request.nothing"]
LEAVES = [*FIELDS, "1", "2.5", "'a'", "true", "[]", "{}"]
OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "in"]
EXPRESSIONS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda one: f"({one[0]} {one[1]} {one[2]})")
        | inner.map(lambda one: f"!({one})")
        | inner.map(lambda one: f"{one}.nothing")
        | inner.map(lambda one: f"{one}[0]")
        | inner.map(lambda one: f"int({one})")
        | inner.map(lambda one: f"{one}.startsWith('a')")
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_a_rule_denies_unless_it_is_plainly_true_whatever_it_says(text: str) -> None:
    try:
        program = compile_rule(text, "request")
    except BadRule:
        return
    rule = Rule(id="odd", title="Odd", on="request", controls=("AC-3",), message="No.", cel=text)
    facts = replace(FACTS, catalog=replace(SHIPPED, policy=Policy((rule,))))
    decision = decide(Request("amy", "server", "standard"), facts)
    view = {"user": "amy", "groups": ["analysts", "modellers"], "purpose": "server", "hour": 12, "weekday": 1}
    spec = SHIPPED.versions("standard")[-1].spec
    view |= {"cpu": float(spec.resources.cpu.limit)}
    plainly = scene("request", view, {}, {}).holds(program)
    assert decision.allowed == plainly
    assert [reason.rule for reason in decision.reasons] == ([] if plainly else ["odd"])


# --- very many --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ten_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 10,000 profiles, one of which is broken."""
    folder = tmp_path_factory.mktemp("many")
    text = (shipped("profiles") / "quick-look" / "1.yaml").read_text()
    for number in range(10_000):
        path = folder / f"profile-{number}" / "1.yaml"
        path.parent.mkdir()
        path.write_text(text.replace("name: quick-look,", f"name: profile-{number},"))
    (folder / "profile-77" / "1.yaml").write_text("{")
    return folder


def test_ten_thousand_profiles_are_read_and_decided_on(ten_thousand: Path) -> None:
    found = load(ten_thousand)
    assert len(found.profiles) == 9_999
    assert [problem.path for problem in found.problems] == ["profile-77/1.yaml"]
    facts = replace(FACTS, catalog=replace(found, policy=SHIPPED.policy, enclave=SHIPPED.enclave))
    assert decide(Request("amy", "server", "profile-9999"), facts).allowed
    (reason,) = decide(Request("amy", "server", "profile-77"), facts).reasons
    assert reason.code == "unknown-profile"
    assert len(reason.allowed) < 1000
