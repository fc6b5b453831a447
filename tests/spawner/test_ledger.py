"""Server starts in our database: decision, start, outcome, and what is made true afterwards."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from hub_ext.db.tables import AuditRow, BudgetCharge, DecisionRow, PlatformState, ServerStart
from hub_ext.db.types import new_id, now
from hub_ext.errors import InvalidInput, StorageFull, Unavailable
from hub_ext.settings import HubExt
from hub_ext.spawner.ledger import Asked, Ledger, Outcome

GOOD = {"profile": "standard", "options": {"memory": "8Gi"}}


@pytest.fixture
def ledger(tmp_path: Path, migrated_file: Path) -> Iterator[Ledger]:
    shutil.copy(migrated_file, tmp_path / "hub-ext.sqlite")
    found = Ledger(HubExt(state_dir=str(tmp_path)))
    yield found
    found.database.dispose()


def asked(options: Any, *, user: str = "ana", asker: str = "", groups: tuple[str, ...] = ("analysts",)) -> Asked:
    return Asked(new_id("s"), asker or user, user, "", options, groups)


def rows(ledger: Ledger, table: Any) -> list[Any]:
    with ledger.database.read() as session:
        return list(session.scalars(select(table).order_by(table.id)))


def acts(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [(row.actor, row.action, row.outcome) for row in rows(ledger, AuditRow)]


def test_an_allowed_start_is_decided_recorded_and_begun_at_once(ledger: Ledger) -> None:
    one = asked(GOOD, asker="admin")
    decision = ledger.open(one)
    assert decision.allowed
    (start,) = rows(ledger, ServerStart)
    assert (start.id, start.user, start.profile, start.outcome) == (one.start_id, "ana", "standard", "starting")
    assert start.decision_id == rows(ledger, DecisionRow)[0].id
    assert acts(ledger) == [("ana", "server.decide", "allowed"), ("admin", "server.start", "allowed")]


def test_a_denied_start_leaves_its_decision_and_no_start(ledger: Ledger) -> None:
    decision = ledger.open(asked({"profile": "machine-learning"}))
    assert not decision.allowed
    assert rows(ledger, ServerStart) == []
    assert acts(ledger) == [("ana", "server.decide", "denied")]


@pytest.mark.parametrize("options", [{}, None, {"image": "x"}, {"profile": "standard", "cmd": "sh"}, [], "standard"])
def test_what_is_no_start_at_all_is_refused_and_recorded(ledger: Ledger, options: Any) -> None:
    with pytest.raises(InvalidInput):
        ledger.open(asked(options))
    assert acts(ledger) == [("ana", "server.decide", "denied")]
    assert rows(ledger, ServerStart) == []


def test_the_last_allowed_options_are_those_before_a_denial(ledger: Ledger) -> None:
    assert ledger.last_allowed("ana", "") is None
    ledger.open(asked(GOOD))
    ledger.open(asked({"profile": "standard", "options": {"memory": "1Ti"}}))
    found = ledger.last_allowed("ana", "")
    assert found is not None
    assert found["options"] == {"memory": "8Gi"}
    assert ledger.last_allowed("ana", "second") is None
    assert ledger.last_allowed("bob", "") is None


def test_an_outcome_is_written_with_who_and_why_and_only_once(ledger: Ledger) -> None:
    one = asked(GOOD)
    ledger.open(one)
    ledger.close(Outcome(one.start_id, "ready"))
    ledger.close(Outcome(one.start_id, "stopped", "Stopped by admin.", "admin"))
    ledger.close(Outcome(one.start_id, "failed", "too late"))
    (start,) = rows(ledger, ServerStart)
    assert (start.outcome, start.reason) == ("stopped", "Stopped by admin.")
    assert start.ready_at is not None
    assert start.ended_at is not None
    assert acts(ledger)[2:] == [("service:hub", "server.ready", "allowed"), ("admin", "server.stop", "allowed")]


def test_a_ready_that_comes_after_the_end_changes_nothing(ledger: Ledger) -> None:
    one = asked(GOOD)
    ledger.open(one)
    ledger.close(Outcome(one.start_id, "cancelled", "Cancelled by you.", "ana"))
    ledger.close(Outcome(one.start_id, "ready"))
    assert rows(ledger, ServerStart)[0].outcome == "cancelled"


def age(ledger: Ledger, seconds: float) -> None:
    with ledger.database.write() as session:
        for start in session.scalars(select(ServerStart)):
            start.asked_at = now() - timedelta(seconds=seconds)


def test_starts_that_no_server_stands_behind_are_ended(ledger: Ledger) -> None:
    lost, left, alive = asked(GOOD), asked(GOOD), asked(GOOD)
    for one in (lost, left, alive):
        ledger.open(one)
    ledger.close(Outcome(left.start_id, "ready"))
    age(ledger, 60)
    assert ledger.settle({alive.start_id}) == 2
    found = {start.id: (start.outcome, start.reason) for start in rows(ledger, ServerStart)}
    assert found[lost.start_id] == ("failed", "The Hub ended while this server was starting.")
    assert found[left.start_id] == ("stopped", "It ended while the Hub was not running.")
    assert found[alive.start_id][0] == "starting"
    assert ledger.settle({alive.start_id}) == 0


def test_a_young_start_is_left_alone(ledger: Ledger) -> None:
    ledger.open(asked(GOOD))
    assert ledger.settle(set()) == 0
    assert rows(ledger, ServerStart)[0].outcome == "starting"


def test_what_an_earlier_hub_left_is_ended_at_once(ledger: Ledger) -> None:
    lost, left, alive = asked(GOOD), asked(GOOD), asked(GOOD)
    for one in (lost, left, alive):
        ledger.open(one)
    ledger.close(Outcome(left.start_id, "ready"))
    later = Ledger(ledger.settings)
    mine = asked(GOOD, user="bob")
    try:
        later.open(mine)
        assert later.settle({alive.start_id}) == 2
    finally:
        later.database.dispose()
    found = {start.id: start.outcome for start in rows(ledger, ServerStart)}
    assert (found[lost.start_id], found[left.start_id]) == ("failed", "stopped")
    assert (found[alive.start_id], found[mine.start_id]) == ("starting", "starting")


def test_an_end_that_is_being_written_down_keeps_its_reason(ledger: Ledger) -> None:
    one = asked(GOOD)
    ledger.open(one)
    ledger.close(Outcome(one.start_id, "ready"))
    age(ledger, 60)
    end = Outcome(one.start_id, "stopped", "Its pod was deleted in the cluster.")
    ledger.will_close(end)
    assert ledger.settle(set()) == 0
    ledger.close(end)
    assert ledger.settle(set()) == 0
    assert rows(ledger, ServerStart)[0].reason == end.reason


def test_an_outcome_that_could_not_be_written_is_written_later(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = asked(GOOD)
    ledger.open(one)
    with monkeypatch.context() as patch:

        def away(_session: object, _outcome: Outcome) -> bool:
            raise Unavailable("The database does not answer.")

        patch.setattr(ledger, "_write", away)
        ledger.close(Outcome(one.start_id, "ready"))
    assert rows(ledger, ServerStart)[0].outcome == "starting"
    ledger.settle({one.start_id})
    assert rows(ledger, ServerStart)[0].outcome == "ready"


def test_a_cancellation_that_overtakes_its_start_is_written_when_the_start_is_there(ledger: Ledger) -> None:
    one = asked(GOOD)
    ledger.close(Outcome(one.start_id, "cancelled", "Cancelled by you.", "ana"))
    ledger.open(one)
    ledger.settle({one.start_id})
    assert rows(ledger, ServerStart)[0].outcome == "cancelled"


def test_the_usual_time_is_the_median_of_the_last_starts(ledger: Ledger) -> None:
    assert ledger.typical_seconds("standard") is None
    for seconds in (2, 3, 30):
        one = asked(GOOD)
        ledger.open(one)
        with ledger.database.write() as session:
            start = session.get(ServerStart, one.start_id)
            assert start is not None
            start.ready_at = start.asked_at + timedelta(seconds=seconds)
    assert ledger.typical_seconds("standard") == 3
    assert ledger.typical_seconds("quick-look") is None


def test_the_usual_time_is_looked_up_once_for_many_that_start_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("hub_ext.spawner.ledger.time.monotonic", lambda: clock[0])

    def took(seconds: float) -> None:
        one = asked(GOOD)
        ledger.open(one)
        with ledger.database.write() as session:
            start = session.get_one(ServerStart, one.start_id)
            start.ready_at = start.asked_at + timedelta(seconds=seconds)

    took(2)
    assert ledger.typical_seconds("standard") == 2
    took(4)
    assert ledger.typical_seconds("standard") == 2
    clock[0] += 11
    assert ledger.typical_seconds("standard") == 3


def test_a_database_that_is_held_makes_the_decision_wait_and_not_fail(ledger: Ledger) -> None:
    decided = threading.Event()

    def decide() -> None:
        ledger.open(asked(GOOD))
        decided.set()

    with ledger.database.write() as session:
        session.execute(text("SELECT 1"))
        thread = threading.Thread(target=decide)
        thread.start()
        assert not decided.wait(0.2)
    assert decided.wait(10)
    thread.join()


def test_one_process_has_one_ledger_for_a_database(tmp_path: Path) -> None:
    settings = HubExt(state_dir=str(tmp_path))
    assert Ledger.shared(settings) is Ledger.shared(HubExt(state_dir=str(tmp_path)))
    Ledger.shared(settings).database.dispose()


# --- budget ----------------------------------------------------------------------------------------------------------


def charged(ledger: Ledger) -> list[tuple[str, bool]]:
    with ledger.database.read() as session:
        found = session.scalars(select(BudgetCharge).where(BudgetCharge.purpose == "server").order_by(BudgetCharge.use))
        return [(row.use, row.since is not None) for row in found]


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "stopped"])
def test_a_start_holds_its_budget_until_its_end_whatever_that_is(ledger: Ledger, outcome: str) -> None:
    ledger.settings.budget = {"servers": 1}
    one = asked(GOOD)
    assert ledger.open(one).allowed
    assert charged(ledger) == [(one.start_id, False)]
    other = Asked(new_id("s"), "ana", "ana", "second", GOOD, ("analysts",))
    denied = ledger.open(other)
    assert [reason.code for reason in denied.reasons] == ["budget"]
    if outcome == "stopped":
        ledger.close(Outcome(one.start_id, "ready"))
        assert charged(ledger) == [(one.start_id, True)]
    ledger.close(Outcome(one.start_id, outcome))
    assert charged(ledger) == []
    assert ledger.open(other).allowed


def test_a_server_that_starts_again_takes_the_place_of_the_one_that_it_was(ledger: Ledger) -> None:
    """The end of the old one may be written down later than the new one asks."""
    ledger.settings.budget = {"servers": 1}
    old, new = asked(GOOD), asked(GOOD)
    ledger.open(old)
    ledger.close(Outcome(old.start_id, "ready"))
    assert ledger.open(new).allowed
    ledger.close(Outcome(old.start_id, "stopped"))
    assert charged(ledger) == [(new.start_id, False)]


def test_a_server_that_vanished_gives_its_budget_back(ledger: Ledger) -> None:
    one = asked(GOOD)
    ledger.open(one)
    with ledger.database.write() as session:
        session.get_one(ServerStart, one.start_id).asked_at = now() - timedelta(minutes=5)
    assert ledger.settle(()) == 1
    assert charged(ledger) == []


# --- many at once ----------------------------------------------------------------------------------------------------


def test_many_starts_are_decided_as_each_would_be_alone(ledger: Ledger) -> None:
    good, strange, denied = asked(GOOD), asked({"cmd": "sh"}, user="bob"), asked({"profile": "none"}, user="eve")
    found = ledger.open_all([good, strange, denied])
    allowed, refused, no = found
    assert not isinstance(allowed, Exception)
    assert allowed.allowed
    assert isinstance(refused, InvalidInput)
    assert not isinstance(no, Exception)
    assert [reason.code for reason in no.reasons] == ["unknown-profile"]
    assert [start.id for start in rows(ledger, ServerStart)] == [good.start_id]
    assert acts(ledger) == [
        ("ana", "server.decide", "allowed"),
        ("ana", "server.start", "allowed"),
        ("bob", "server.decide", "denied"),
        ("eve", "server.decide", "denied"),
    ]


def test_of_many_that_are_decided_together_one_gets_the_last_place(ledger: Ledger) -> None:
    ledger.settings.budget = {"servers": 1}
    many = [Asked(new_id("s"), "ana", "ana", f"s{number}", GOOD, ("analysts",)) for number in range(5)]
    found = ledger.open_all(many)
    assert [not isinstance(one, Exception) and one.allowed for one in found] == [True, False, False, False, False]
    assert charged(ledger) == [(many[0].start_id, False)]


def test_one_that_goes_wrong_takes_no_other_with_it(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = ledger._begin

    def fails_for_bob(session: Any, one: Asked, *others: Any) -> None:
        begin(session, one, *others)
        if one.user == "bob":
            message = "of ours"
            raise ZeroDivisionError(message)

    monkeypatch.setattr(ledger, "_begin", fails_for_bob)
    many = [asked(GOOD, user=user) for user in ("ana", "bob", "eve")]
    found = ledger.open_all(many)
    assert [type(one).__name__ for one in found] == ["Decision", "ZeroDivisionError", "Decision"]
    assert sorted(start.user for start in rows(ledger, ServerStart)) == ["ana", "eve"]
    assert {use for use, _ in charged(ledger)} == {many[0].start_id, many[2].start_id}


def test_while_nothing_may_change_each_hears_so_and_what_is_no_start_is_recorded(ledger: Ledger) -> None:
    with ledger.database.write() as session:
        state = session.get_one(PlatformState, 1)
        state.read_only_since, state.read_only_until, state.read_only_why = now(), now() + timedelta(hours=1), "moving"
    found = ledger.open_all([asked(GOOD), asked({}, user="bob"), asked(GOOD, user="eve")])
    assert [type(one).__name__ for one in found] == ["ReadOnlyNow", "InvalidInput", "ReadOnlyNow"]
    assert acts(ledger) == [("bob", "server.decide", "denied")]


def test_how_many_went_on_is_written_together(ledger: Ledger) -> None:
    one, other = asked(GOOD), asked(GOOD, user="bob")
    ledger.open_all([one, other])
    unknown = Outcome(new_id("s"), "cancelled", "Cancelled by you.", "eve")
    outcomes = [Outcome(one.start_id, "ready"), unknown, Outcome(other.start_id, "failed", "It ended.")]
    assert ledger.close_all(outcomes) == [True, False, True]
    found = {start.user: (start.outcome, start.ready_at is not None) for start in rows(ledger, ServerStart)}
    assert found == {"ana": ("ready", True), "bob": ("failed", False)}
    assert charged(ledger) == [(one.start_id, True)]


@pytest.mark.parametrize("error", [Unavailable("The database is away."), StorageFull("It is full.")])
def test_outcomes_that_could_not_be_written_together_are_written_later(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    many = [asked(GOOD, user=user) for user in ("ana", "bob")]
    ledger.open_all(many)
    with monkeypatch.context() as patch:

        def fails(_session: object, _outcome: Outcome) -> bool:
            raise error

        patch.setattr(ledger, "_write", fails)
        assert ledger.close_all([Outcome(one.start_id, "ready") for one in many]) == [False, False]
    ledger.settle({one.start_id for one in many})
    assert {start.outcome for start in rows(ledger, ServerStart)} == {"ready"}
