"""A change is shown as what servers and runs would become, at every extreme of the options."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.diff import ProfileDiff, diff
from hub_ext.catalog.documents import parse
from hub_ext.catalog.loading import load
from hub_ext.catalog.models import Profile
from hub_ext.settings import shipped

CATALOG = load(shipped("profiles"))
TEXT = (shipped("profiles") / "large-memory" / "1.yaml").read_text()


def read(text: str = TEXT) -> Profile:
    found = parse(text.replace("version: 1", "version: 2"), "x", Profile)
    assert isinstance(found, Profile), found
    return found


def changed(*pairs: tuple[str, str]) -> ProfileDiff:
    text = TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return diff(CATALOG.versions("large-memory")[0], read(text), CATALOG)


def lines(found: ProfileDiff) -> list[str]:
    return [str(change) for change in found.changes]


def test_the_same_but_for_its_number_is_no_change() -> None:
    assert changed().empty
    assert changed().further == ()


def test_a_field_that_every_choice_shares_is_told_once() -> None:
    found = changed(("request: 4Gi", "request: 2Gi"))
    assert lines(found) == ["Pod spec.containers[notebook].resources.requests.memory: 4Gi → 2Gi"]
    assert found.further == ()


def test_what_is_so_only_for_some_choices_says_for_which() -> None:
    found = changed(
        ("request: 4Gi", "request: 6Gi"), ("limit: 8Gi", "limit: 8Gi"), ("[8Gi, 12Gi, 16Gi]", "[8Gi, 16Gi]")
    )
    assert lines(found) == ["Pod spec.containers[notebook].resources.requests.memory: 4Gi → 6Gi"]
    small = changed(("{request: 1, limit: 4}", "{request: 2, limit: 4}"))
    cpu = "Pod spec.containers[notebook].resources.requests.cpu: 1000m → 2000m"
    assert [line for line in lines(small) if line.startswith(cpu)] == [f"{cpu} (with cores=4)"]


def test_other_defaults_are_told_as_what_a_start_with_nothing_chosen_becomes() -> None:
    found = changed(("limit: 8Gi", "limit: 12Gi"), ("default: 8Gi", "default: 12Gi"))
    memory = "Pod spec.containers[notebook].resources.limits.memory: 8Gi → 12Gi (with nothing chosen)"
    assert memory in lines(found)
    assert {"when": [{}]}.items() <= next(one.as_dict() for one in found.changes if str(one) == memory).items()


def test_options_access_and_words_are_told_in_sentences() -> None:
    found = changed(
        ("[8Gi, 12Gi, 16Gi]", "[8Gi, 32Gi]"),
        ("groups: [analysts]", "groups: [gis]"),
        ("title: Large memory", "title: Huge"),
        ("idle: {title", "rest: {title"),
        ("- {id: AC-6, how: Runs without privileges; capabilities dropped.}", "- {id: SC-7, how: Closed.}"),
    )
    assert found.options == (
        "memory was one of 8Gi, 12Gi, 16Gi and is one of 8Gi, 32Gi.",
        "idle can be chosen no more.",
        "rest can be chosen now: one of 30, 60, 120, usually 60.",
    )
    assert found.access == ("Members of gis may use it now.", "Members of analysts may use it no more.")
    assert found.about[0] == 'title: was "Large memory" and is Huge.'
    assert found.about[1].startswith("controls: SC-7 (Closed.) new, AC-6 (")


def test_what_reaches_further_is_told_for_those_who_approved_the_older() -> None:
    found = changed(
        ("[8Gi, 12Gi, 16Gi]", "[8Gi, 32Gi]"),
        ("groups: [analysts]", "groups: [analysts, gis]"),
        ("maximum: 480", "maximum: 960"),
        ("  storage:", "  network: {egress: [{namespace: data, labels: {app: db}, ports: [5432]}]}\n  storage:"),
    )
    assert found.further == (
        "Members of gis may use it.",
        "It can have more memory: 32 GB in place of 16 GB.",
        "It can have more minutes of life: 960 in place of 480.",
        "It may reach data (app=db), port 5432.",
    )
    assert changed(("maximum: 480", "maximum: 240"), ("size: 10Gi", "size: 5Gi")).further == ()


def test_the_first_version_of_a_profile_is_all_new() -> None:
    found = diff(None, read(), CATALOG)
    assert found.access == ("Members of analysts may use it now.",)
    assert all(change.before is None for change in found.changes)
    assert {change.object for change in found.changes} >= {"Pod", "NetworkPolicy", "Job"}


def test_it_is_json(capsys: Any) -> None:
    found = changed(("request: 4Gi", "request: 2Gi")).as_dict()
    assert found["before"]["version"] == 1
    assert found["changes"][0]["after"] == "2Gi"


MEMORY = st.sampled_from(["[8Gi]", "[8Gi, 9Gi]", "[4Gi, 8Gi]", "[8Gi, 16Gi]"])


@given(MEMORY, MEMORY, st.integers(1, 4), st.sampled_from(["1Gi", "4Gi", "8Gi"]))
def test_a_diff_of_any_two_is_empty_only_if_nothing_differs(one: str, other: str, cores: int, request: str) -> None:
    before = read(TEXT.replace("[8Gi, 12Gi, 16Gi]", one))
    text = TEXT.replace("[8Gi, 12Gi, 16Gi]", other).replace("request: 4Gi", f"request: {request}")
    after = read(text.replace("limit: 4}", f"limit: {cores}}}").replace("default: 4,", f"default: {cores},"))
    found = diff(before, after, CATALOG)
    assert found.empty == (before.spec == after.spec)
