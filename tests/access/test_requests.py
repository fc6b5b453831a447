"""An analyst asks with a reason; the profile's owner or a curator answers; one answer holds, the others are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub_ext.access import requests as module
from hub_ext.access.entitlements import Entitlements, Grant
from hub_ext.access.requests import AccessRequests, Answer, Wanted
from hub_ext.db.session import Database
from hub_ext.db.tables import Change, Entitlement
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput, NotFound
from hub_ext.people import Person
from tests.access.conftest import ANN, AUDE, BEN, CLEO, GIS, OLA
from tests.access.test_entitlements import start
from tests.governance.conftest import Clock

Acts = Callable[[], list[tuple[str, str, str]]]


def yes(clock: Clock, days: float = 30, words: str = "") -> Answer:
    return Answer("grant", clock.at + timedelta(days=days), words)


NO = Answer("refuse", words="Use quick-look.")


# --- asking ----------------------------------------------------------------------------------------------------------


def test_an_analyst_asks_with_a_reason_and_maybe_an_end(requests: AccessRequests, clock: Clock, acts: Acts) -> None:
    row, created = requests.ask(ANN, "maps", "The river.", clock.at + timedelta(days=14))
    assert created
    assert (row.user, row.profile, row.reason, row.state) == ("ann", "maps", "The river.", "waiting")
    assert acts() == [("ann", "access.ask", "allowed")]


def test_asking_again_while_it_waits_is_the_same_request(requests: AccessRequests) -> None:
    first, _ = requests.ask(ANN, "maps", "The river.")
    again, created = requests.ask(ANN, "maps", "Please!")
    assert (again.id, again.reason, created) == (first.id, "The river.", False)
    assert requests.ask(BEN, "maps", "Me too.")[1]


def test_ten_tabs_that_ask_at_once_make_one_request(requests: AccessRequests) -> None:
    begin = threading.Barrier(10)

    def ask(_: int) -> tuple[str, bool]:
        begin.wait(30)
        row, created = requests.ask(ANN, "maps", "The river.")
        return row.id, created

    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(ask, range(10)))
    assert len({id_ for id_, _ in found}) == 1
    assert sum(created for _, created in found) == 1


@pytest.mark.parametrize(
    ("profile", "reason", "days", "field"),
    [
        ("mops", "Why.", None, "profile"),
        ("\ud800\x00", "Why.", None, "profile"),
        ("maps", "", None, "reason"),
        ("maps", "\u202e", None, "reason"),
        ("maps", "Why.", -1, "until"),
        ("maps", "Why.", 400, "until"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    requests: AccessRequests, clock: Clock, profile: str, reason: str, days: int | None, field: str
) -> None:
    until = clock.at + timedelta(days=days) if days is not None else None
    with pytest.raises(InvalidInput) as caught:
        requests.ask(ANN, profile, reason, until)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert requests.listing(CLEO, Wanted())[0] == []


def test_who_may_use_it_by_a_group_need_not_ask_and_who_is_entitled_may_ask_for_longer(
    requests: AccessRequests, clock: Clock
) -> None:
    with pytest.raises(Conflict, match="already"):
        requests.ask(GIS, "maps", "Why not?")
    row, _ = requests.ask(ANN, "maps", "The river.")
    requests.answer(CLEO, row.id, yes(clock))
    longer, created = requests.ask(ANN, "maps", "The river is long.")
    assert created
    assert longer.id != row.id


def test_who_asks_for_everything_waits(requests: AccessRequests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    requests.ask(ANN, "maps", "One.")
    with pytest.raises(Conflict, match="wait already"):
        requests.ask(ANN, "models", "Two.")


def test_one_takes_back_only_ones_own(requests: AccessRequests) -> None:
    row, _ = requests.ask(ANN, "maps", "The river.")
    with pytest.raises(NotFound):
        requests.withdraw(BEN, row.id)
    with pytest.raises(Forbidden):
        requests.withdraw(CLEO, row.id)
    assert requests.withdraw(ANN, row.id).state == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn already"):
        requests.answer(CLEO, row.id, NO)
    assert requests.ask(ANN, "maps", "After all.")[1]


# --- answering -------------------------------------------------------------------------------------------------------


def test_a_grant_lets_her_in_for_as_long_as_it_says(
    requests: AccessRequests, decisions: DecisionPoint, clock: Clock, database: Database, acts: Acts
) -> None:
    row, _ = requests.ask(ANN, "maps", "The river.", clock.at + timedelta(days=300))
    assert not start(decisions, ANN).allowed
    answered = requests.answer(GIS, row.id, yes(clock, 30, "A month will do."))
    assert (answered.state, answered.answered_by, answered.answer) == ("granted", "gus", "A month will do.")
    assert start(decisions, ANN).allowed
    with database.read() as session:
        entitlement = session.get_one(Entitlement, answered.entitlement_id)
        topics = {one.topic for one in session.query(Change)}
    assert (entitlement.request_id, entitlement.reason) == (row.id, "The river.")
    assert entitlement.until == clock.at + timedelta(days=30)
    assert ("gus", "entitlement.grant", "allowed") in acts()
    assert {"access", "access:ann"} <= topics


def test_a_refusal_says_why(requests: AccessRequests, decisions: DecisionPoint, acts: Acts) -> None:
    row, _ = requests.ask(ANN, "models", "The river.")
    with pytest.raises(InvalidInput) as caught:
        requests.answer(OLA, row.id, Answer("refuse"))
    assert caught.value.problems[0].field == "words"
    assert requests.answer(OLA, row.id, NO).state == "refused"
    assert not start(decisions, ANN, "models").allowed
    assert ("ola", "access.refuse", "allowed") in acts()


@pytest.mark.parametrize("answer", [Answer("grant"), Answer("maybe"), Answer("grant", None, "x")])
def test_an_answer_that_is_none_changes_nothing(requests: AccessRequests, answer: Answer) -> None:
    row, _ = requests.ask(ANN, "maps", "The river.")
    with pytest.raises(InvalidInput):
        requests.answer(CLEO, row.id, answer)
    assert requests.get(ANN, row.id).state == "waiting"


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_a_grant_that_ends_before_it_starts_is_none(requests: AccessRequests, clock: Clock, days: int) -> None:
    row, _ = requests.ask(ANN, "maps", "The river.")
    with pytest.raises(InvalidInput, match="until"):
        requests.answer(CLEO, row.id, yes(clock, days))
    assert requests.get(ANN, row.id).state == "waiting"


def test_only_the_owner_and_curators_answer_and_nobody_herself(
    requests: AccessRequests, clock: Clock, acts: Acts
) -> None:
    row, _ = requests.ask(ANN, "maps", "The river.")
    with pytest.raises(NotFound):
        requests.answer(BEN, row.id, yes(clock))
    for person in (ANN, AUDE):
        with pytest.raises(Forbidden):
            requests.answer(person, row.id, yes(clock))
    with pytest.raises(NotFound):
        requests.answer(replace(GIS, may_administer=False), row.id, yes(clock))
    own, _ = requests.ask(CLEO, "maps", "I want it, too.")
    with pytest.raises(Forbidden, match="her own request"):
        requests.answer(CLEO, own.id, yes(clock))
    assert [one for one in acts() if one[2] == "denied"] == [
        ("ann", "access.answer", "denied"),
        ("aude", "access.answer", "denied"),
    ]


def test_ten_curators_answer_one_request_and_one_answer_holds(
    requests: AccessRequests, clock: Clock, database: Database
) -> None:
    row, _ = requests.ask(ANN, "maps", "The river.")
    begin = threading.Barrier(10)

    def answer(number: int) -> str:
        curator = Person(f"curator-{number}", roles=frozenset({"curator"}))
        begin.wait(30)
        try:
            found = requests.answer(curator, row.id, yes(clock, number + 1) if number % 2 else NO)
        except HubExtError as error:
            return f"{type(error).__name__}: {error.detail}"
        return f"held {found.answered_by}"

    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(answer, range(10)))
    (held,) = [one for one in found if one.startswith("held")]
    who = held.removeprefix("held ")
    told = [one for one in found if one is not held]
    assert len(told) == 9
    assert all(one.startswith("Conflict") and f"by {who}" in one for one in told)
    with database.read() as session:
        rows = session.query(Entitlement).all()
    final = requests.get(ANN, row.id)
    assert final.answered_by == who
    assert len(rows) == (1 if final.state == "granted" else 0)


# --- listing ---------------------------------------------------------------------------------------------------------


def test_each_sees_her_own_and_those_that_she_may_answer(requests: AccessRequests, entitlements: Entitlements) -> None:
    requests.ask(ANN, "maps", "One.")
    requests.ask(BEN, "models", "Two.")
    requests.ask(OLA, "maps", "Three.")

    def seen(person: Person, **wanted: Any) -> list[str]:
        return sorted(one.reason for one in requests.listing(person, Wanted(**wanted))[0])

    assert seen(ANN) == ["One."]
    assert seen(OLA) == ["Three.", "Two."]
    assert seen(OLA, answerable=True) == ["Two."]
    assert seen(OLA, own=True) == ["Three."]
    assert seen(GIS) == ["One.", "Three."]
    assert seen(CLEO) == seen(AUDE) == ["One.", "Three.", "Two."]
    assert seen(AUDE, answerable=True) == []
    assert seen(CLEO, profile="maps", user="ann") == ["One."]
    assert [requests.count_answerable(one) for one in (CLEO, GIS, OLA, ANN)] == [3, 2, 1, 0]
    with pytest.raises(InvalidInput, match="state"):
        requests.listing(CLEO, Wanted(state="odd"))


def test_who_answers_nobody_is_told_so_without_a_question_to_the_database(
    requests: AccessRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "database", None)
    assert requests.count_answerable(ANN) == 0
    with pytest.raises(AttributeError):
        requests.count_answerable(OLA)


def test_those_that_wait_come_the_oldest_first_page_by_page(requests: AccessRequests, clock: Clock) -> None:
    for number in range(5):
        requests.ask(Person(f"p{number}"), "maps", f"{number}")
        clock.forward(minutes=1)
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = requests.listing(CLEO, Wanted(state="waiting", limit=2, cursor=cursor))
        seen += [one.reason for one in page]
        if cursor is None:
            break
    assert seen == ["0", "1", "2", "3", "4"]
    newest, cursor = requests.listing(CLEO, Wanted(limit=2))
    assert [one.reason for one in newest] == ["4", "3"]
    assert [one.reason for one in requests.listing(CLEO, Wanted(limit=9, cursor=cursor))[0]] == ["2", "1", "0"]


def test_a_group_s_entitlement_does_not_answer_a_person_s_request(
    requests: AccessRequests, entitlements: Entitlements, clock: Clock
) -> None:
    row, _ = requests.ask(BEN, "maps", "The river.")
    entitlements.grant(CLEO, Grant("maps", "group", "students", clock.at + timedelta(days=3), "A course."))
    assert requests.get(BEN, row.id).state == "waiting"
