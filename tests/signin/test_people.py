"""What admins do with people: block, let in again, hand workflows to an heir; nobody else does, and it is kept."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import Account, AuditRow, Workflow
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput, NotFound
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.signin.accounts import Accounts, Arrival
from hub_ext.signin.people import Handed, People

ADAM = Person("adam", roles=frozenset({"admin"}))
CLEO = Person("cleo", roles=frozenset({"curator", "reviewer"}))
AUDE = Person("aude", roles=frozenset({"auditor"}))
WEAK = Person("adam", roles=frozenset({"admin"}), may_administer=False)


@pytest.fixture
def people(database: Database) -> People:
    return People(database)


def acts(people: People) -> list[tuple[str, str, str]]:
    with people.database.read() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.action, row.object_id, row.outcome) for row in rows]


def workflow(people: People, owner: str, name: str) -> None:
    with people.database.write() as session:
        session.add(Workflow(owner=owner, name=name, title=name, visibility="private", latest=1))


def owned(people: People, owner: str) -> set[str]:
    with people.database.read() as session:
        return set(session.scalars(select(Workflow.name).where(Workflow.owner == owner)))


def test_whoever_is_blocked_is_known_and_let_in_again(people: People) -> None:
    row = people.block(ADAM, "ada", "Left the project.")
    assert (row.blocked_by, row.blocked_why) == ("adam", "Left the project.")
    again = people.block(Person("eve", roles=frozenset({"admin"})), "ada", "Once more.")
    assert again.blocked_by == "adam"  # the first word stays
    assert people.account(AUDE, "ada").blocked_at is not None
    people.let_in(ADAM, "ada")
    with pytest.raises(NotFound):
        people.let_in(ADAM, "ada")
    with pytest.raises(NotFound):
        people.account(AUDE, "ada")
    assert acts(people) == [("person.block", "ada", "allowed"), ("person.let_in", "ada", "allowed")]


def test_an_account_of_the_provider_stays_when_its_person_is_let_in(people: People, settings: HubExt) -> None:
    arrival = Arrival("https://p.example", "1", "e-1", "ada", ())
    Accounts(people.database, settings).sign_in(arrival)
    people.block(ADAM, "ada", "Why.")
    people.let_in(ADAM, "ada")
    assert people.account(CLEO, "ada").sub == "1"


@pytest.mark.parametrize(
    "person", [CLEO, AUDE, WEAK, Person("ada")], ids=["curator", "auditor", "server's token", "she"]
)
def test_only_an_admin_does_any_of_it(people: People, person: Person) -> None:
    for act in (
        lambda: people.block(person, "ada", "Why."),
        lambda: people.let_in(person, "ada"),
        lambda: people.hand_over(person, "ada", "bob"),
    ):
        with pytest.raises(Forbidden):
            act()
    assert [outcome for _, _, outcome in acts(people)] == ["denied"] * 3


def test_what_is_known_of_somebody_is_not_for_colleagues(people: People) -> None:
    people.block(ADAM, "ada", "Why.")
    for person in (Person("ada"), Person("bob"), WEAK):
        with pytest.raises(Forbidden):
            people.account(person, "ada")


@pytest.mark.parametrize(
    ("name", "reason", "error"),
    [
        ("ada", "", InvalidInput),
        ("ada", "x" * 100_000, InvalidInput),
        ("adam", "Why.", Conflict),
        ("", "Why.", InvalidInput),
        ("a\nb", "Why.", InvalidInput),
        ("x" * 256, "Why.", InvalidInput),
        ("examples", "Why.", InvalidInput),
    ],
)
def test_what_cannot_be_blocked_is_told(people: People, name: str, reason: str, error: type[HubExtError]) -> None:
    with pytest.raises(error):
        people.block(ADAM, name, reason)
    with people.database.read() as session:
        assert session.scalars(select(Account)).all() == []


def test_workflows_go_to_an_heir_and_no_name_is_lost(people: People) -> None:
    for owner, name in (("ada", "rain"), ("ada", "snow"), ("bob", "rain"), ("bob", "rain-2"), ("cyd", "rain")):
        workflow(people, owner, name)
    assert people.hand_over(ADAM, "ada", "bob") == [Handed("rain", "rain-3"), Handed("snow", "snow")]
    assert owned(people, "ada") == set()
    assert owned(people, "bob") == {"rain", "rain-2", "rain-3", "snow"}
    assert owned(people, "cyd") == {"rain"}
    assert ("workflow.hand_over", "ada/rain", "allowed") in acts(people)
    assert people.hand_over(ADAM, "ada", "bob") == []


def test_a_long_name_gets_its_number_within_what_a_name_may_have(people: People) -> None:
    for owner in ("ada", "bob"):
        workflow(people, owner, "x" * 64)
    (found,) = people.hand_over(ADAM, "ada", "bob")
    assert found.name == "x" * 62 + "-2"


@pytest.mark.parametrize(
    ("name", "heir"),
    [
        ("ada", "ada"),
        ("ada", ""),
        ("ada", "a/b"),
        ("ada", "examples"),
        ("examples", "bob"),
        ("ada", "x" * 256),
        ("", "bob"),
    ],
)
def test_an_heir_that_cannot_be_is_told(people: People, name: Any, heir: Any) -> None:
    with pytest.raises(InvalidInput):
        people.hand_over(ADAM, name, heir)
