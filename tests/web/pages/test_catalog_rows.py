"""What the catalog's pages say: whom a version waits for, what checks found, which rows fit, why somebody may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hub_ext.catalog.check import CheckFinding
from hub_ext.catalog.decide import Facts
from hub_ext.catalog.diff import diff
from hub_ext.catalog.explain import explain
from hub_ext.catalog.loading import load
from hub_ext.governance.overview import Entry, Use
from hub_ext.governance.views import Verdict, VersionInfo
from hub_ext.people import Person
from hub_ext.settings import shipped
from hub_ext.web.pages.catalog_rows import Filters, change_groups, checks_words, explained, rows, waits_for

CATALOG = load(shipped("profiles"))
STANDARD = CATALOG.versions("standard")[0]
AT = datetime(2026, 10, 3, 9, tzinfo=UTC)
CLEO, EVA = (Person(name, roles=frozenset({"curator"})) for name in ("cleo", "eva"))
AUDE = Person("aude", roles=frozenset({"auditor"}))


def version(state: str = "proposed", *verdicts: tuple[str, str], required: int = 2) -> VersionInfo:
    said = tuple(Verdict(by, verdict, "", AT, {}) for by, verdict in verdicts)
    return VersionInfo(STANDARD, STANDARD.digest, state, "cleo", verdicts=said, required=required)


def entry(name: str, number: int = 1, **more: object) -> Entry:
    about = STANDARD.metadata.model_copy(update={"name": name, "version": number, "title": f"The {name}"})
    one = replace(version("approved"), profile=STANDARD.model_copy(update={"metadata": about}))
    return Entry(one, [], Use(**more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "person", "words"),
    [
        (version(), EVA, "you and one other curator"),
        (version("proposed", required=3), EVA, "you and two other curators"),
        (version("proposed", ("omar", "approve")), EVA, "you"),
        (version("proposed", ("eva", "approve")), EVA, "one other curator than cleo"),
        (version(), CLEO, "two other curators than you"),
        (version(), AUDE, "two other curators than cleo"),
        (version("proposed", ("omar", "refuse")), EVA, "cleo: omar refused it"),
        (version("file"), EVA, "a curator to propose it"),
        (version("approved"), EVA, ""),
        (version(), replace(EVA, may_administer=False), "two other curators than cleo"),
    ],
)
def test_whom_a_version_waits_for(one: VersionInfo, person: Person, words: str) -> None:
    assert waits_for(one, person) == words
    assert rows([Entry(one, None)], person)[0].mine == words.startswith("you")


@pytest.mark.parametrize(
    ("severities", "told"),
    [
        (None, ("quiet", "being checked")),
        ([], ("ok", "pass")),
        (["deny", "deny", "warn"], ("bad", "2 problems")),
        (["warn", "excepted"], ("warn", "1 excepted, 1 warning")),
    ],
)
def test_what_checks_found_in_words(severities: list[str] | None, told: tuple[str, str]) -> None:
    found = None if severities is None else [CheckFinding("x", None, "rule", one, "m") for one in severities]
    assert checks_words(Entry(version(), found)) == told


def test_rows_are_searched_filtered_and_sorted() -> None:
    entries = [
        entry("maps", last=AT - timedelta(days=2), servers=frozenset({"ann"})),
        entry("maps", 2, last=AT),
        entry("rivers", servers=frozenset({"ann", "bob"})),
        replace(entry("old"), version=replace(entry("old").version, state="withdrawn")),
    ]
    every = rows(entries, EVA)

    def names(filters: Filters) -> list[str]:
        return [f"{row.version.name}@{row.version.number}" for row in filters.choose(every)]

    assert names(Filters()) == ["maps@2", "maps@1", "rivers@1"]
    assert names(Filters(q="THE riv")) == ["rivers@1"]
    assert names(Filters(state="withdrawn")) == ["old@1"]
    assert names(Filters(sort="used")) == ["maps@2", "maps@1", "rivers@1"]
    assert names(Filters(sort="people"))[0] == "rivers@1"


@pytest.mark.parametrize(("page", "number"), [("", 1), ("0", 1), ("-3", 1), ("2", 2), ("9" * 40, 1), ("²", 1)])
def test_an_address_that_makes_no_sense_is_the_first_page(page: str, number: int) -> None:
    filters = Filters.read("x" * 900, "nonsense", "nonsense", page)
    assert (filters.page, filters.state, filters.sort, len(filters.q)) == (number, "", "name", 200)


def test_the_address_keeps_the_filter_when_the_page_changes() -> None:
    filters = Filters(q="a b", state="approved", sort="used", page=2)
    assert filters.address("/p", page=3) == "/p?q=a+b&state=approved&sort=used&page=3"
    assert Filters().address("/p", page=1) == "/p"


def test_the_server_comes_before_what_is_around_it() -> None:
    memory = STANDARD.spec.resources.memory.model_copy(update={"limit": "6Gi"})
    resources = STANDARD.spec.resources.model_copy(update={"memory": memory})
    spec = STANDARD.spec.model_copy(update={"resources": resources, "options": {}})
    found = change_groups(diff(STANDARD, STANDARD.model_copy(update={"spec": spec}), CATALOG))
    kinds = [kind for kind, _, _ in found]
    assert kinds[0] == "Pod"
    assert kinds.index("ResourceQuota") > 0
    assert all(words for _, words, _ in found)


def test_what_lets_a_start_through_is_folded_away() -> None:
    environments = {"default": "localhost/environment/default@sha256:" + "a" * 64}
    facts = Facts(AT, frozenset({"analysts"}), CATALOG, environments)
    may = explained(explain(facts, "ann", "standard"))
    assert may.why == ""
    assert "rule" not in [part.about for part in may.parts]
    assert may.rules_words == f"It meets {len(CATALOG.policy.rules)} rules of the policy."
    may_not = explained(explain(facts, "ann", "machine-learning"))
    assert may_not.why == "Members of modellers may use it, and ann is none. Ask modelling-team."
    assert "were it not denied before" in may_not.rules_words
