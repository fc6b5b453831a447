"""Where a run may run: what a person may use, options as fields, and back."""

from __future__ import annotations

from typing import Any

import pytest

from hub_ext.catalog.decide import Facts, Purpose, Request, decide
from hub_ext.catalog.loading import Catalog
from hub_ext.catalog.models import Profile
from hub_ext.db.types import now
from hub_ext.errors import Problem
from hub_ext.web.pages.places import gives, places, reaches, read_options


def profile(name: str, groups: list[str], **spec: Any) -> Profile:
    """Return a profile for some groups."""
    content: dict[str, Any] = {
        "description": "For tests.",
        "access": {"groups": groups},
        "image": "notebooks/standard",
        "resources": {"cpu": {"request": 0.5, "limit": 2}, "memory": {"request": "1Gi", "limit": "4Gi"}},
    }
    return Profile.model_validate(
        {
            "apiVersion": "hub-ext/v1",
            "kind": "Profile",
            "metadata": {"name": name, "version": 1, "title": name.title(), "owner": "team"},
            "spec": content | spec,
        }
    )


OPTIONS = {
    "memory": {
        "title": "Memory",
        "type": "quantity",
        "choices": ["2Gi", "4Gi"],
        "default": "4Gi",
        "sets": "resources.memory.limit",
    },
    "cores": {
        "title": "Cores",
        "type": "integer",
        "minimum": 1,
        "maximum": 4,
        "default": 2,
        "sets": "resources.cpu.limit",
    },
    "idle": {"title": "Idle", "type": "integer", "choices": [30, 60], "default": 60, "sets": "lifetime.idle"},
}


@pytest.fixture
def facts() -> Facts:
    """Three profiles, of which an analyst may use two."""
    found = (
        profile("plain", ["analysts"]),
        profile("rich", ["analysts"], options=OPTIONS),
        profile("secret", ["others"]),
    )
    return Facts(now(), frozenset({"analysts"}), Catalog(found))


def test_what_one_may_use_is_offered_the_chosen_one_first(facts: Facts) -> None:
    assert [(place.profile.name, place.chosen) for place in places(facts, "rich")] == [("rich", True), ("plain", False)]


def test_what_one_may_not_use_is_shown_with_its_reason_when_the_version_asks_for_it(facts: Facts) -> None:
    chosen = places(facts, "secret")[0]
    assert chosen.profile.name == "secret"
    assert "others" in chosen.denied


def test_options_are_fields_but_for_those_of_servers(facts: Facts) -> None:
    fields = places(facts, "rich")[0].fields
    assert [(field.name, field.widget) for field in fields] == [("o.rich.memory", "select"), ("o.rich.cores", "number")]
    assert [(choice.label, choice.chosen) for choice in fields[0].choices] == [("2 GB", False), ("4 GB", True)]
    assert dict(fields[1].attributes) == {"min": 1, "max": 4, "step": 1}


def test_what_a_form_sends_is_what_the_decision_takes(facts: Facts) -> None:
    rich = facts.catalog.versions("rich")[0]
    options = read_options(rich, {"o.rich.memory": ["2Gi"], "o.rich.cores": ["3"], "o.plain.memory": ["64Gi"]})
    assert options == {"memory": "2Gi", "cores": 3}
    purpose: Purpose = "run"
    assert decide(Request("ann", purpose, "rich", None, options), facts).allowed


def test_nonsense_is_passed_on_for_the_decision_to_name(facts: Facts) -> None:
    rich = facts.catalog.versions("rich")[0]
    options = read_options(rich, {"o.rich.cores": ["many"]})
    decision = decide(Request("ann", "run", "rich", None, options), facts)
    assert [reason.field for reason in decision.reasons] == ["options.cores"]


def test_after_a_mistake_what_was_chosen_stays(facts: Facts) -> None:
    typed = {"o.rich.memory": ["2Gi"], "o.rich.cores": ["9"]}
    memory, cores = places(facts, "rich", typed=typed, problems=[Problem("options.cores", "at most 4")])[0].fields
    assert [choice.value for choice in memory.choices if choice.chosen] == ["2Gi"]
    assert (cores.value, cores.error) == ("9", "at most 4")


def test_a_profile_says_what_it_gives_and_reaches_in_words(facts: Facts) -> None:
    rich = facts.catalog.versions("rich")[0]
    assert dict(gives(rich)) == {
        "Memory": "2 GB to 4 GB",
        "Processor": "1 to 4 cores",
        "Stops when idle for": "30 to 60 minutes",
        "Ends after": "12 hours",
    }
    assert reaches(rich) == []
    wide = profile("wide", [], network={"egress": [{"cidr": "10.1.2.0/24", "ports": [443, 5432]}]})
    assert reaches(wide) == ["10.1.2.0/24, port 443, 5432"]
