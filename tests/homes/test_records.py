"""A home is kept for its time; then an admin alone lets it go, once, by its name; and all of it is on record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, LeftHome, Run, ServerStart, Version, Workflow
from hub_ext.db.types import now
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput, NotFound
from hub_ext.homes.places import Found
from hub_ext.homes.records import MOST, Homes, Left
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.signin.people import People

ADAM = Person("adam", roles=frozenset({"admin"}))
EVE = Person("eve", roles=frozenset({"admin"}))
CLEO = Person("cleo", roles=frozenset({"curator", "reviewer"}))
AUDE = Person("aude", roles=frozenset({"auditor"}))
WEAK = Person("adam", roles=frozenset({"admin"}), may_administer=False)
FOUND = Found("the folder homes/lea", 1000, "lea")


def noted(homes: Homes, *names: str, days: float = 1, **more: Any) -> None:
    """Have people left homes."""
    for name in names:
        found = Found(f"the folder homes/{name}", 1000, name, **more)
        homes.note(name, Left(now() - timedelta(days=days), "was deleted at the Hub"), found)


def acts(homes: Homes) -> list[tuple[str, str, str, str]]:
    with homes.database.read() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.actor, row.action, row.object_id, row.outcome) for row in rows]


def states(homes: Homes) -> dict[str, str]:
    with homes.database.read() as session:
        return {row.name: row.state for row in session.scalars(select(LeftHome))}


def test_it_is_kept_for_its_time_and_confirmed_afterwards(database: Database, settings: HubExt) -> None:
    settings.home_kept_days = 30.0
    homes = Homes(database, settings)
    noted(homes, "lea", days=29.9)
    noted(homes, "old", days=30.1)
    assert [(one.row.name, one.removable) for one in homes.listing(ADAM)] == [("old", True), ("lea", False)]
    with pytest.raises(Conflict, match="is kept until"):
        homes.confirm(ADAM, ["old", "lea"])
    assert states(homes) == {"lea": "kept", "old": "kept"}  # all or none
    (found,) = homes.confirm(ADAM, ["old"])
    assert (found.row.state, found.row.confirmed_by) == ("confirmed", "adam")
    assert acts(homes) == [("adam", "home.confirm", "old", "allowed")]


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ([], InvalidInput),
        (["lea", "lea"], InvalidInput),
        ([""], InvalidInput),
        (["a\x00b"], InvalidInput),
        (["x" * 300], InvalidInput),
        ([f"p{number}" for number in range(MOST + 1)], InvalidInput),
        (["lea", "nobody"], NotFound),
        (["Lea"], NotFound),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_happens(
    homes: Homes, names: list[str], error: type[HubExtError]
) -> None:
    noted(homes, "lea")
    with pytest.raises(error):
        homes.confirm(ADAM, names)
    assert states(homes) == {"lea": "kept"}


@pytest.mark.parametrize("person", [Person("lea"), CLEO, AUDE, WEAK])
def test_nobody_but_an_admin_lets_one_go(homes: Homes, person: Person) -> None:
    noted(homes, "lea")
    with pytest.raises(Forbidden):
        homes.confirm(person, ["lea"])
    assert states(homes) == {"lea": "kept"}
    assert acts(homes) == [(person.name, "home.confirm", "lea", "denied")]


def test_auditors_and_admins_alone_see_them(homes: Homes) -> None:
    noted(homes, "lea")
    assert len(homes.listing(AUDE)) == len(homes.listing(ADAM)) == 1
    for person in (Person("lea"), CLEO):
        with pytest.raises(Forbidden):
            homes.listing(person)


def test_of_two_admins_at_once_one_confirms(homes: Homes) -> None:
    noted(homes, "lea")

    def confirm(person: Person) -> str:
        try:
            homes.confirm(person, ["lea"])
        except Conflict as error:
            return error.detail
        return "confirmed"

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(confirm, [ADAM, EVE] * 4))
    assert said.count("confirmed") == 1
    assert sum("confirmed the removal" in one for one in said) == 7


def test_one_that_is_not_ours_to_remove_is_told_and_kept(homes: Homes) -> None:
    noted(homes, "lea", hindrance="It is a link.")
    with pytest.raises(Conflict, match="It is a link"):
        homes.confirm(ADAM, ["lea"])
    homes.found_again("lea", FOUND)  # somebody has put it in order
    assert homes.confirm(ADAM, ["lea"])[0].row.state == "confirmed"
    noted(homes, "bob", hindrance="It is a link.")
    homes.found_again("bob", None)
    assert states(homes)["bob"] == "removed"


def test_whoever_is_back_has_hers_as_it_was_and_it_begins_anew_when_she_leaves_again(homes: Homes) -> None:
    noted(homes, "lea", days=100)
    homes.confirm(ADAM, ["lea"])
    homes.returned("lea")
    assert states(homes) == {}
    assert acts(homes)[-1] == ("service:hub", "home.keep", "lea", "allowed")
    assert not homes.begin("lea", "lea")  # a look that was under way
    noted(homes, "lea", days=0)
    assert states(homes) == {"lea": "kept"}


def test_one_that_is_being_taken_is_not_given_back_by_halves(homes: Homes) -> None:
    noted(homes, "lea")
    homes.confirm(ADAM, ["lea"])
    assert homes.begin("lea", "the very one")
    homes.returned("lea")
    assert homes.waiting() == [("lea", "the very one")]
    homes.removed("lea")
    homes.removed("lea")  # the second time does nothing
    assert states(homes) == {"lea": "removed"}
    assert [one[1] for one in acts(homes)] == ["home.confirm", "home.remove"]
    assert homes.listing(ADAM)[0].row.confirmed_by == "adam"


def test_why_one_is_there_still_is_told_once_and_it_is_tried_again(homes: Homes) -> None:
    noted(homes, "lea")
    homes.confirm(ADAM, ["lea"])
    for _ in range(3):
        homes.stays("lea", "A run of hers has not ended yet.")
    assert [one[1:] for one in acts(homes)][1:] == [("home.remove", "lea", "failed")]
    assert homes.waiting() == [("lea", "")]
    assert homes.listing(ADAM)[0].row.hindrance == "A run of hers has not ended yet."


@pytest.mark.parametrize("what", ["server", "run"])
def test_what_has_not_ended_keeps_it(homes: Homes, what: str) -> None:
    assert homes.busy("lea") == ""
    with homes.database.write() as session:
        if what == "server":
            session.add(ServerStart(user="lea", profile="x", profile_version=1, outcome="ready"))
        else:
            session.add(Workflow(id="w", owner="lea", name="w", title="w", latest=1))
            session.flush()
            about = {"author": "lea", "digest": "d", "profile": "x", "notebook": "k", "schema": {}}
            session.add(Version(id="v", workflow_id="w", number=1, **about))
            session.flush()
            session.add(Run(workflow_id="w", version_id="v", caller="lea", profile="x"))
    assert homes.busy("lea") == f"A {what} of hers has not ended yet."
    assert homes.busy("bob") == ""


def test_who_started_a_server_may_have_a_home_and_who_is_blocked_has_left(homes: Homes) -> None:
    with homes.database.write() as session:
        session.add(ServerStart(user="lea", profile="x", profile_version=1, outcome="stopped"))
    assert homes.started_since(None) == {"lea"}
    assert homes.started_since(now()) == {"lea"}  # clocks may differ by an hour
    assert homes.started_since(now() + timedelta(hours=2)) == set()
    assert homes.gone({"lea"}) == {}
    People(homes.database).block(ADAM, "lea", "Left the project.")
    assert homes.gone({"lea"})["lea"].why == "blocked by adam: Left the project."
    assert homes.gone({"bob"}) == {}
