"""The start page's cards, and what comes back from them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.access.looking import Look
from hub_ext.catalog.budget import Amounts
from hub_ext.catalog.budget import Standing as BudgetStanding
from hub_ext.catalog.decide import Facts, Request, decide
from hub_ext.catalog.entitled import Entitled
from hub_ext.catalog.loading import Catalog, load
from hub_ext.catalog.snapshot import Standing
from hub_ext.db.tables import AccessRequest
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput, Problem
from hub_ext.settings import HubExt, shipped
from hub_ext.spawner import asking, ended, form
from hub_ext.spawner.asking import Typed
from hub_ext.spawner.cards import Attempt, card, control, minutes, sizes
from hub_ext.spawner.form import cards, lost, parse

CATALOG = load(shipped("profiles"))
STANDARD = CATALOG.versions("standard")[-1]
ALL_KINDS = """
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: kinds, version: 1, title: "All <kinds>", owner: somebody}
spec:
  description: One option of each kind.
  access: {groups: [analysts]}
  image: notebooks/a
  resources: {cpu: {request: 0.5, limit: 1}, memory: {request: 1Gi, limit: 2Gi}}
  options:
    memory: {title: Memory, type: quantity, minimum: 1Gi, maximum: 8Gi, default: 2Gi, sets: resources.memory.limit}
    share: {title: Share, type: number, minimum: 0.5, maximum: 2, default: 1, sets: resources.cpu.limit}
    idle: {title: Idle, type: integer, minimum: 15, maximum: 240, default: 60, sets: lifetime.idle}
    picture: {title: Image, type: string, choices: [notebooks/a, notebooks/geo], default: notebooks/a, sets: image}
"""


@pytest.fixture(autouse=True)
def nothing_was_typed_before() -> None:
    """What another test typed is kept for its page, in a variable of the thread that all of them share."""
    form.forget()


@pytest.fixture
def kinds(tmp_path: Path) -> Catalog:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "1.yaml").write_text(ALL_KINDS)
    catalog = load(tmp_path)
    assert not catalog.problems
    return catalog


def test_the_fields_of_the_chosen_card_become_a_start() -> None:
    data = {
        "profile": ["standard"],
        "version:standard": ["1"],
        "option:standard:memory": ["8Gi"],
        "option:standard:idle": ["30"],
        "version:large-memory": ["1"],
        "option:large-memory:memory": ["16Gi"],
        "_xsrf": ["token"],
    }
    assert parse(data, CATALOG) == {"profile": "standard", "version": 1, "options": {"memory": "8Gi", "idle": 30}}


def test_values_get_the_type_of_their_option(kinds: Catalog) -> None:
    data = {
        "profile": ["kinds"],
        "option:kinds:share": ["1.5"],
        "option:kinds:idle": ["90"],
        "option:kinds:picture": ["notebooks/geo"],
    }
    assert parse(data, kinds)["options"] == {"share": 1.5, "idle": 90, "picture": "notebooks/geo"}


@pytest.mark.parametrize(
    "text",
    ["", "many", "1e400", "NaN", "0x1f", "6_0", "６０", "60\n", " 60", "9" * 50, "15.5", "−20", "15; rm -rf /", "true"],
)
def test_a_text_that_is_no_whole_number_is_left_for_the_decision_to_refuse(text: str) -> None:
    start = parse({"profile": ["standard"], "option:standard:idle": [text]}, CATALOG)
    facts = Facts(now(), frozenset({"analysts"}), CATALOG)
    decision = decide(Request("ana", "server", "standard", None, start["options"]), facts)
    assert not decision.allowed
    assert decision.reasons[0].field == "options.idle"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "profile"),
        ({"profile": []}, "profile"),
        ({"profile": [""]}, "profile"),
        ({"profile": ["standard", "large-memory"]}, "profile"),
        ({"profile": ["standard"], "version:standard": ["one"]}, "version"),
        ({"profile": ["standard"], "version:standard": ["1", "2"]}, "version"),
        ({"profile": ["standard"], "version:standard": ["²"]}, "version"),
        ({"profile": ["standard"], "version:standard": ["9" * 30]}, "version"),
        ({"profile": ["standard"], "image": ["evil"]}, "image"),
        ({"profile": ["standard"], "options": ["{}"]}, "options"),
        ({"profile": ["standard"], "cmd": ["sh"]}, "cmd"),
        ({"profile": ["standard"], "upload_file": [b"x"]}, "upload_file"),
    ],
)
def test_a_field_that_the_form_does_not_have_is_refused_by_name(data: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(data, CATALOG)
    assert caught.value.problems[0].field == field


texts = st.text(max_size=30)


@given(
    st.dictionaries(
        st.one_of(texts, st.just("profile"), texts.map("option:standard:{}".format)), st.lists(texts, max_size=3)
    )
)
def test_any_form_is_a_start_of_three_keys_or_refused(data: dict[str, list[str]]) -> None:
    try:
        start = parse(data, CATALOG)
    except InvalidInput:
        return
    assert set(start) <= {"profile", "version", "options"}
    decide(Request("ana", "server", start["profile"], start.get("version"), start["options"]), _facts())


def _facts() -> Facts:
    return Facts(now(), frozenset({"analysts"}), CATALOG)


@pytest.mark.parametrize(
    ("number", "words"), [(15, "15 minutes"), (60, "1 hour"), (90, "90 minutes"), (120, "2 hours"), (1440, "1 day")]
)
def test_minutes_are_told_in_words(number: int, words: str) -> None:
    assert minutes(number) == words


def test_sizes_are_told_in_words() -> None:
    assert sizes(STANDARD.spec) == ("4 GB memory", "2 cores", "stops when idle for 1 hour", "at most 12 hours")


def test_a_server_that_may_be_kept_says_for_how_long() -> None:
    lifetime = STANDARD.spec.lifetime.model_copy(update={"extensions": 2})
    assert sizes(STANDARD.spec.model_copy(update={"lifetime": lifetime}))[-1] == "can be kept for 2 hours more"


def test_each_kind_of_option_has_its_control(kinds: Catalog) -> None:
    profile = kinds.newest()[0]
    found = {name: control(profile, name, None) for name in profile.spec.options}
    assert {name: one.kind for name, one in found.items()} == {
        "memory": "text",
        "share": "number",
        "idle": "number",
        "picture": "select",
    }
    assert (found["idle"].minimum, found["idle"].maximum, found["idle"].value) == (15, 240, 60)
    assert "from 1 GB to 8 GB" in found["memory"].help


def test_a_card_shows_what_start_would_give_with_the_options_of_the_last_time() -> None:
    last = {"profile": "standard", "version": 1, "options": {"memory": "8Gi", "idle": 120}}
    shown = card(STANDARD, Attempt(), last)
    assert shown.last
    assert shown.sizes[0] == "8 GB memory"
    assert {one.name: one.value for one in shown.controls} == {
        "option:standard:memory": "8Gi",
        "option:standard:idle": 120,
    }


def test_what_was_chosen_the_last_time_and_is_allowed_no_more_is_told_with_the_nearest_that_is() -> None:
    last = {"profile": "standard", "options": {"memory": "64Gi", "idle": 20, "colour": "blue"}}
    shown = card(STANDARD, Attempt(), last)
    assert shown.sizes[0] == "8 GB memory"
    assert shown.open
    assert shown.dropped == ("colour",)
    memory, idle = shown.controls
    assert (memory.value, idle.value, idle.changed) == ("8Gi", 20, "")
    assert memory.changed == (
        "Memory cannot be 64Gi; it can be one of 2Gi, 4Gi, 8Gi. "
        "That was your last choice; the nearest, 8 GB, is chosen now."
    )
    html = form.render(_Server(CATALOG, last))
    assert memory.changed in html
    assert 'value="8Gi" selected' in html
    assert "Of your last choice, colour can be chosen no more." in html


@pytest.mark.parametrize("stored", [{"memory": None}, {"memory": []}, {"idle": True}, [], "8Gi", None, {"": 1}])
def test_what_nobody_could_have_chosen_is_replaced_by_what_is_usual(stored: Any) -> None:
    shown = card(STANDARD, Attempt(), {"profile": "standard", "options": stored})
    assert [one.value for one in shown.controls] == ["4Gi", 60]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("old", "Old maps, your last choice, can be started no more. Standard analysis takes its place."),
        ("none", "none, your last choice, is not there any more. Choose another."),
        ("standard", ""),
        (7, ""),
    ],
)
def test_a_last_choice_that_can_be_started_no_more_is_told(last: Any, told: str) -> None:
    about = STANDARD.metadata.model_copy(update={"name": "old", "title": "Old maps"})
    old = STANDARD.model_copy(update={"metadata": about})
    gone = Standing("removed", successor="standard@1", removal_at=now())
    catalog = Catalog((STANDARD, old), standings={("old", 1): gone})
    server = _Server(catalog, {"profile": last, "options": {}})
    assert lost(server) == told
    assert told in form.render(server)


def test_what_was_typed_comes_back_with_the_problem_beside_it() -> None:
    attempt = Attempt(
        {"profile": "standard", "options": {"idle": 5}}, [Problem("options.idle", "It can be from 15 to 240.")]
    )
    shown = card(STANDARD, attempt, {})
    idle = next(one for one in shown.controls if one.name == "option:standard:idle")
    assert shown.open
    assert (idle.value, idle.problem) == (5, "It can be from 15 to 240.")


def test_search_words_hold_name_purpose_size_and_keeper() -> None:
    words = card(STANDARD, Attempt(), {}).words
    assert all(word in words for word in ("standard", "pandas", "4 gb", "platform-team"))


class _Group:
    def __init__(self, name: str) -> None:
        self.name = name


class _Server:
    """What the form needs of a spawner."""

    def __init__(self, catalog: Catalog, options: Any = None, settings: Any = None) -> None:
        settings = settings or HubExt()

        class Decisions:
            def facts(self, groups: Any) -> Facts:
                return Facts(now(), frozenset(groups), catalog)

        self.settings_of_ours = settings
        self.ledger = type("Ledger", (), {"decisions": Decisions(), "settings": settings})()
        self.user = type("User", (), {"name": "ana", "groups": [_Group("analysts")]})()
        self.name = ""
        self.orm_spawner = type("Orm", (), {"user_options": options})()


def test_the_form_shows_every_profile_and_greys_what_one_may_not_use() -> None:
    html = form.render(_Server(CATALOG))
    assert html.count("<section") == 4
    assert html.count('name="profile"') == 3
    assert "modellers" in html
    assert "Ask modelling-team for access." in html


def test_the_form_says_why_the_last_server_is_no_more() -> None:
    ended.remember("ana", "", "It ran out of memory (its limit is 1 GB).")
    assert "Your last server is no more. It ran out of memory" in form.render(_Server(CATALOG))
    ended.remember("ana", "", "")
    assert "no more" not in form.render(_Server(CATALOG))


def test_a_badge_says_why_a_version_may_be_started() -> None:
    assert form.render(_Server(CATALOG)).count("trusted with this release") == 4
    today = now()
    approved = Standing("approved", ("eva", "omar"), today)
    html = form.render(_Server(Catalog((STANDARD,), standings={("standard", 1): approved})))
    assert f"approved {today:%-d %b} by two people" in html
    assert "trusted" not in html
    ends = Standing("deprecated", ("eva",), today, removal_at=today + timedelta(days=800))
    html = form.render(_Server(Catalog((STANDARD,), standings={("standard", 1): ends})))
    assert f"ends {today + timedelta(days=800):%-d %b %Y}" in html


def test_what_is_right_for_most_comes_first_and_holds_the_main_button() -> None:
    assert [one.title for one in cards(_Server(CATALOG))] == [
        "Standard analysis",
        "Quick look",
        "Large memory",
        "Machine learning",
    ]
    html = form.render(_Server(CATALOG))
    buttons = re.findall(r'class="btn ([\w-]+)"\s+aria-label="Start ([^"]+)"', html)
    assert buttons == [
        ("btn-primary", "Standard analysis"),
        ("hx-quiet-button", "Quick look"),
        ("hx-quiet-button", "Large memory"),
    ]


def test_the_last_choice_comes_first() -> None:
    html = form.render(_Server(CATALOG, {"profile": "large-memory", "options": {}}))
    assert html.index("Large memory") < html.index("Standard analysis") < html.index("Quick look")
    assert html.count("your last choice") == 1


def test_nothing_of_a_profile_becomes_markup(kinds: Catalog) -> None:
    html = form.render(_Server(kinds))
    assert "All &lt;kinds&gt;" in html
    assert "<kinds>" not in html


def test_an_empty_catalog_says_what_to_do() -> None:
    assert "There are no profiles yet" in form.render(_Server(Catalog(())))


# Access and budgets.

ML = "machine-learning"


def look(*, requests: dict[str, AccessRequest] | None = None, held: tuple[Entitled, ...] = (), **used: float) -> Look:
    """Return what is true of an analyst who may have 100 core hours and one server."""
    facts = Facts(now(), frozenset({"analysts"}), CATALOG, entitlements=held)
    limits = Amounts(servers=1, cpu_hours=100)
    standing = BudgetStanding(
        "person", "ana", limits, Amounts(**{"servers": 0, "cpu_hours": 0.0} | used), 80, "2026-11"
    )
    return Look(facts, (standing,), requests or {})


def asked(state: str = "waiting", **more: Any) -> AccessRequest:
    return AccessRequest(id="q-1", user="ana", profile=ML, reason="For <maps>.", state=state, asked_at=now(), **more)


def html_of(found: Look, *, own: bool = True) -> str:
    return form.render(_Server(CATALOG), found, own=own)


def test_a_greyed_card_holds_a_form_of_its_own_that_asks() -> None:
    html = html_of(look())
    assert f'name="reason:{ML}"' in html
    assert f'form="hx-ask" name="profile" value="{ML}"' in html
    assert 'name="reason:standard"' not in html


def test_who_looks_at_somebody_else_s_page_asks_for_nothing_there() -> None:
    html = html_of(look(requests={ML: asked()}), own=False)
    assert "hx-ask" not in html
    assert "You asked for access" not in html


def test_a_request_that_waits_is_shown_in_place_of_the_form() -> None:
    html = html_of(look(requests={ML: asked()}))
    assert "You asked for access on" in html
    assert "For &lt;maps&gt;." in html
    assert f'name="reason:{ML}"' not in html


def test_how_the_last_request_was_answered_is_shown_and_one_may_ask_again() -> None:
    answer = asked("refused", answered_by="clara", answered_at=now(), answer="Ask your group first.")
    html = html_of(look(requests={ML: answer}))
    assert "clara refused your last request on" in html
    assert "Ask your group first." in html
    assert f'name="reason:{ML}"' in html


@pytest.mark.parametrize(("days", "soon"), [(3, True), (30, False)])
def test_an_end_is_told_and_one_that_is_near_offers_to_ask_for_longer(days: int, soon: bool) -> None:
    held = Entitled("n-1", ML, "person", "ana", now() + timedelta(days=days), "clara")
    html = html_of(look(held=(held,)))
    assert "You may use it until" in html
    assert ("Ask for longer" in html) is soon


def test_what_a_start_takes_stands_beside_the_budget() -> None:
    html = html_of(look(cpu_hours=12.0))
    told = "This start takes 2 cores, 4 GB of memory each hour; you have used 12 of 100 core hours in 2026-11 (UTC)."
    assert told in html


def test_a_budget_that_is_used_up_says_so_on_each_card_that_needs_it() -> None:
    shown = {one.name: one.place for one in cards(_Server(CATALOG), look(cpu_hours=100.0), own=True)}
    assert "you have used 100 of 100 core hours" in shown["standard"].full[0]
    assert shown["standard"].cost == ""
    assert shown[ML].full == ()


def test_what_was_typed_comes_back_with_what_is_wrong() -> None:
    asking.keep(Typed(ML, "A <reason>", "2020-01-01", {"until": "Must be a time to come."}))
    try:
        html = html_of(look())
    finally:
        asking.keep(Typed(""))
    assert "A &lt;reason&gt;</textarea>" in html
    assert 'value="2020-01-01"' in html
    assert "Must be a time to come." in html


def test_without_the_database_nothing_is_said_of_access() -> None:
    html = form.render(_Server(CATALOG), None, own=True)
    assert "hx-ask" not in html
    assert "Ask modelling-team for access." in html
