"""Orders: checked whole before anything is written, written once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, BudgetCharge, Change, DecisionRow, IdempotencyKey, Run, Workflow
from hub_ext.errors import Conflict, Denied, Forbidden, InvalidInput, NotFound
from hub_ext.people import Person
from hub_ext.runs.service import Claim, CreatedRun, Order, RunService
from hub_ext.runs.states import move
from hub_ext.runs.vault import Vault

PARAMETERS = "from pydantic import SecretStr\nn: int = 2\nkey: SecretStr = None"


@pytest.fixture
def workflow(publish: Callable[..., str]) -> str:
    return publish("print(n)", parameters="n: int = 2")


def count(database: Database, table: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def end(database: Database, run_id: str, *states: Any) -> None:
    with database.write() as session:
        run = session.get_one(Run, run_id)
        for state in states:
            move(session, run, state, writer="reconciler", actor="service:reconciler")


def test_an_order_becomes_a_queued_run(service: RunService, workflow: str, amy: Person, database: Database) -> None:
    told = []
    service.notify = lambda: told.append(1)
    made = service.create(amy, workflow, Order({"n": 5}, options={"memory": "2Gi"}))
    run = made.run
    assert made.created
    assert (run.state, run.caller, run.parameters, run.profile, run.profile_version) == (
        "queued",
        "amy",
        {"n": 5},
        "standard",
        1,
    )
    assert run.spec["resources"]["memory"]["limit"] == "2Gi"
    assert run.options["memory"] == "2Gi"
    assert (run.version.number, run.workflow.name, run.cells_total) == (1, "rain", 2)
    assert told == [1]
    with database.read() as session:
        decision = session.get_one(DecisionRow, run.decision_id)
        assert (decision.user, decision.allowed, decision.object_id) == ("amy", True, workflow)
        acts = set(session.scalars(select(AuditRow.action).where(AuditRow.actor == "amy")))
        assert {"run.decide", "run.create"} <= acts
        topics = set(session.scalars(select(Change.topic)))
        assert {f"run:{run.id}", "runs:amy"} <= topics
        assert session.get_one(Workflow, workflow).last_run_at is not None


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (Order({"n": "many"}), "parameters.n"),
        (Order({"m": 1}), "parameters.m"),
        (Order({}, version=7), "version"),
        (Order({}, again_of="r-none"), "again_of"),
    ],
)
def test_an_order_that_cannot_be_accepted_leaves_nothing(
    service: RunService, workflow: str, amy: Person, database: Database, order: Order, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        service.create(amy, workflow, order)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert count(database, Run) == 0


def test_the_decision_is_for_the_caller_and_a_denial_is_recorded(
    service: RunService, publish: Callable[..., str], database: Database
) -> None:
    workflow = publish("1")
    eve = Person("eve", frozenset())
    with pytest.raises(Denied):
        service.create(eve, workflow, Order({}), claim=Claim("k", "0" * 64))
    with pytest.raises(Denied):
        service.create(eve, workflow, Order({}, profile="no-such"))
    assert count(database, Run) == count(database, IdempotencyKey) == 0
    with database.read() as session:
        assert list(session.scalars(select(DecisionRow.allowed))) == [False, False]
        denied = select(AuditRow.actor, AuditRow.action).where(AuditRow.outcome == "denied")
        assert set(session.execute(denied)) == {("eve", "run.decide")}


def test_an_unknown_workflow_is_not_found(service: RunService, amy: Person) -> None:
    with pytest.raises(NotFound):
        service.create(amy, "w-none", Order({}))


def test_secrets_go_into_the_vault_and_into_no_row(
    service: RunService, publish: Callable[..., str], amy: Person, vault: Vault, database: Database
) -> None:
    workflow = publish("1", parameters=PARAMETERS)
    run = service.create(amy, workflow, Order({"key": "hunter2-hunter2"})).run
    assert (run.parameters.get("key"), run.secret_names) == (None, ["key"])
    assert vault.get(run.id) == {"key": "hunter2-hunter2"}
    with pytest.raises(Denied):
        service.create(amy, workflow, Order({"key": "hunter2-hunter2"}, profile="no-such"))
    assert vault.sweep([]) == 0
    assert len(list((service.settings.state / "secrets").iterdir())) == 1
    database.dispose()
    for path in service.settings.state.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path
    service.cancel(amy, run.id)
    assert vault.get(run.id) == {}


def test_a_retry_with_the_same_key_gives_the_same_run(
    service: RunService, workflow: str, amy: Person, ben: Person, database: Database
) -> None:
    claim = Claim("key", "a" * 64)
    first = service.create(amy, workflow, Order({"n": 1}), claim=claim)
    again = service.create(amy, workflow, Order({"n": 1}), claim=claim)
    assert (first.created, again.created, again.run.id) == (True, False, first.run.id)
    with pytest.raises(Conflict):
        service.create(amy, workflow, Order({"n": 2}), claim=Claim("key", "b" * 64))
    assert service.create(ben, workflow, Order({"n": 1}), claim=claim).created
    assert count(database, Run) == 2


def test_retries_at_the_same_time_give_one_run(
    service: RunService, publish: Callable[..., str], amy: Person, database: Database
) -> None:
    workflow = publish("1", parameters=PARAMETERS)
    made: list[CreatedRun] = []
    start = threading.Barrier(6)

    def order() -> None:
        start.wait()
        made.append(service.create(amy, workflow, Order({"key": "hunter2"}), claim=Claim("key", "a" * 64)))

    threads = [threading.Thread(target=order) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.created for one in made].count(True) == 1
    assert len({one.run.id for one in made}) == 1
    assert count(database, Run) == 1
    assert [path.name for path in (service.settings.state / "secrets").iterdir()] == [made[0].run.id]


def test_a_list_has_ones_own_runs_newest_first_in_pages(
    service: RunService, workflow: str, amy: Person, ben: Person, database: Database, publish: Callable[..., str]
) -> None:
    made = [service.create(amy, workflow, Order({"n": n})).run.id for n in range(5)]
    service.create(ben, workflow, Order({}))
    other = service.create(amy, publish("2", name="other"), Order({})).run.id
    service.cancel(amy, made[0])
    seen: list[str] = []
    cursor = None
    with database.read() as session:
        while True:
            page, cursor = service.listing(session, amy, cursor=cursor, limit=2)
            seen += [run.id for run in page]
            if cursor is None:
                break
        assert seen == [other, *reversed(made)]
        assert [run.id for run in service.listing(session, amy, state="cancelled")[0]] == [made[0]]
        assert len(service.listing(session, amy, workflow_id=workflow)[0]) == 5
        assert service.listing(session, ben)[0][0].workflow.name == "rain"
        with pytest.raises(InvalidInput):
            service.listing(session, amy, state="sleeping")
        with pytest.raises(InvalidInput):
            service.listing(session, amy, cursor="nonsense")


def test_a_run_is_seen_by_its_caller_alone_until_it_is_an_example(
    service: RunService, workflow: str, amy: Person, ben: Person, database: Database, publish: Callable[..., str]
) -> None:
    run = service.create(amy, workflow, Order({})).run
    with database.read() as session, pytest.raises(NotFound):
        service.get(session, ben, run.id)
    with pytest.raises(Conflict):
        service.set_example(amy, run.id, on=True)
    end(database, run.id, "starting", "running", "succeeded")
    service.set_example(amy, run.id, on=True)
    with database.read() as session:
        assert service.get(session, ben, run.id).id == run.id
    assert service.create(ben, workflow, Order({}, again_of=run.id)).run.again_of == run.id
    with pytest.raises(Forbidden):
        service.cancel(ben, run.id)
    with pytest.raises(Forbidden):
        service.set_example(ben, run.id, on=False)
    service.set_example(amy, run.id, on=False)
    with database.read() as session, pytest.raises(NotFound):
        service.get(session, ben, run.id)


def test_the_example_of_a_private_workflow_is_for_those_who_see_the_workflow(
    service: RunService, publish: Callable[..., str], amy: Person, ben: Person, database: Database
) -> None:
    run = service.create(amy, publish("1", visibility="private"), Order({})).run
    end(database, run.id, "starting", "running", "succeeded")
    service.set_example(amy, run.id, on=True)
    with database.read() as session, pytest.raises(NotFound):
        service.get(session, ben, run.id)


def test_only_the_owner_of_a_workflow_chooses_its_example(
    service: RunService, workflow: str, ben: Person, database: Database
) -> None:
    run = service.create(ben, workflow, Order({})).run
    end(database, run.id, "starting", "running", "succeeded")
    with pytest.raises(Forbidden):
        service.set_example(ben, run.id, on=True)


def test_cancelling_ends_a_queued_run_at_once_and_asks_a_running_one_once(
    service: RunService, workflow: str, amy: Person, ben: Person, database: Database
) -> None:
    queued = service.create(amy, workflow, Order({})).run
    with pytest.raises(NotFound):
        service.cancel(ben, queued.id)
    assert service.cancel(amy, queued.id).state == "cancelled"
    running = service.create(amy, workflow, Order({})).run
    end(database, running.id, "starting", "running")
    first = service.cancel(amy, running.id)
    again = service.cancel(amy, running.id)
    assert (first.state, first.cancelled_by) == ("running", "amy")
    assert first.cancel_requested_at == again.cancel_requested_at
    end(database, running.id, "cancelled")
    with database.read() as session:
        asked = select(func.count()).select_from(AuditRow).where(AuditRow.action == "run.cancel")
        assert session.scalar(asked) == 2
    done = service.create(amy, workflow, Order({})).run
    end(database, done.id, "starting", "running", "succeeded")
    with pytest.raises(Conflict, match="has ended already: it succeeded"):
        service.cancel(amy, done.id)


# --- budget ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end_state", ["succeeded", "failed", "cancelled", "lost", "cancelled while it waits"])
def test_a_run_holds_its_budget_from_the_order_to_its_end(
    service: RunService, workflow: str, amy: Person, database: Database, end_state: str
) -> None:
    service.settings.budget = {"runs": 1}
    run = service.create(amy, workflow, Order({})).run
    with pytest.raises(Denied, match="you have 1 of 1 runs at once"):
        service.create(amy, workflow, Order({}))
    assert count(database, Run) == 1
    if end_state == "cancelled while it waits":
        service.cancel(amy, run.id)
    else:
        end(database, run.id, "starting", "running")
        with pytest.raises(Denied):
            service.create(amy, workflow, Order({}))
        end(database, run.id, end_state)
    assert count(database, BudgetCharge) == 0
    assert service.create(amy, workflow, Order({})).created


def test_a_retry_of_an_order_takes_no_second_place(service: RunService, workflow: str, amy: Person) -> None:
    service.settings.budget = {"runs": 1}
    claim = Claim("again", "0" * 64)
    first = service.create(amy, workflow, Order({}), claim=claim)
    again = service.create(amy, workflow, Order({}), claim=claim)
    assert (again.run.id, again.created) == (first.run.id, False)
