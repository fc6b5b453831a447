"""What curators do to versions: each act needs the right person, is recorded, and two at once are right."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub_ext.catalog.decide import Request
from hub_ext.catalog.loading import load
from hub_ext.db.session import Database
from hub_ext.db.tables import Approval, AuditRow, Change, ProfileVersion
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput, NotFound
from hub_ext.governance.curation import Curation
from hub_ext.governance.exceptions import Exceptions, Wish
from hub_ext.governance.store import CatalogStore
from hub_ext.governance.views import VersionInfo
from hub_ext.people import Person
from hub_ext.settings import HubExt, shipped
from tests.governance.conftest import Clock, profile_text

CURATOR = frozenset({"curator"})
CLEO, EVA, UMA = (Person(name, roles=CURATOR) for name in ("cleo", "eva", "uma"))
ADA = Person("ada", roles=frozenset({"admin"}))
ANN = Person("ann", frozenset({"analysts"}))


@pytest.fixture
def curation(settings: HubExt, folder: Path, database: Database, store: CatalogStore) -> Curation:
    return Curation(database, store, settings)


@pytest.fixture
def point(settings: HubExt, database: Database, store: CatalogStore) -> DecisionPoint:
    return DecisionPoint(database, store, settings)


def start(point: DecisionPoint, profile: str = "maps", version: int | None = None) -> Any:
    with point.database.write() as session:
        decision, _ = point.decide(session, Request("ann", "server", profile, version), ANN.groups, "")
    return decision


def propose(curation: Curation, person: Person = CLEO, **about: Any) -> VersionInfo:
    return curation.propose(person, profile_text(**about)).version


def approved(curation: Curation, **about: Any) -> VersionInfo:
    found = propose(curation, **about)
    for person in (EVA, UMA):
        found = curation.approve(person, found.digest)
    return found


def acts(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.actor, row.action, row.outcome) for row in rows]


# --- from a file to a start ------------------------------------------------------------------------------------------


def test_from_proposal_to_start(curation: Curation, point: DecisionPoint, database: Database) -> None:
    assert start(point).reasons[0].code == "unknown-profile"
    proposed = curation.propose(CLEO, profile_text(), "For the new maps.")
    assert (proposed.created, proposed.version.state, proposed.version.missing) == (True, "proposed", 2)
    assert start(point).reasons[0].code == "unknown-profile"
    first = curation.approve(EVA, proposed.version.digest, "Good.")
    assert (first.state, first.missing, first.approved_by) == ("proposed", 1, ("eva",))
    assert start(point).reasons[0].code == "unknown-profile"
    second = curation.approve(UMA, proposed.version.digest)
    assert (second.state, second.approved_by) == ("approved", ("eva", "uma"))
    assert second.badge().endswith("by two people")
    decision = start(point)
    assert decision.allowed
    assert decision.profile.digest == proposed.version.digest
    assert [act for act in acts(database) if act[1].startswith("profile")] == [
        ("cleo", "profile.propose", "allowed"),
        ("eva", "profile.approve", "allowed"),
        ("uma", "profile.approve", "allowed"),
    ]
    with database.read() as session:
        assert [change.payload["state"] for change in session.scalars(select(Change).order_by(Change.id))] == [
            "proposed",
            "proposed",
            "approved",
        ]


def test_an_approval_names_the_version_and_the_image(curation: Curation, database: Database) -> None:
    found = approved(curation)
    with database.read() as session:
        rows = session.scalars(select(Approval)).all()
    assert {row.digest for row in rows} == {found.digest}
    for row in rows:
        assert set(row.images) == {"environment/default"}
        assert row.images["environment/default"].startswith("localhost/environment/default@sha256:")


def test_one_approval_is_enough_where_the_setting_says_so(curation: Curation, settings: HubExt) -> None:
    settings.approvals_required = 1
    assert curation.approve(EVA, propose(curation).digest).state == "approved"


def test_more_may_be_required(curation: Curation, settings: HubExt) -> None:
    settings.approvals_required = 3
    digest = propose(curation).digest
    assert [curation.approve(person, digest).missing for person in (EVA, UMA)] == [2, 1]


# --- immutable -------------------------------------------------------------------------------------------------------


def test_the_same_content_again_answers_with_what_is_there(curation: Curation, database: Database) -> None:
    first = curation.propose(CLEO, profile_text())
    before = acts(database)
    again = curation.propose(EVA, profile_text() + "  # a comment\n")
    assert (again.created, again.version.digest, again.version.author) == (False, first.version.digest, "cleo")
    assert acts(database) == before


@pytest.mark.parametrize("state", ["proposed", "approved", "withdrawn"])
def test_a_name_and_number_mean_one_content_for_ever(curation: Curation, state: str) -> None:
    found = approved(curation) if state == "approved" else propose(curation)
    if state == "withdrawn":
        curation.withdraw(CLEO, "maps", 1)
    with pytest.raises(Conflict, match="a version never changes") as caught:
        propose(curation, memory="8Gi")
    assert caught.value.hint == "Make this one version 2."
    assert propose(curation, version=2, memory="8Gi").digest != found.digest


def test_what_ships_needs_no_approval_and_its_number_is_taken(
    settings: HubExt, database: Database, tmp_path: Path
) -> None:
    curation = Curation(database, CatalogStore(settings, database), settings)
    text = (shipped("profiles") / "standard" / "1.yaml").read_text()
    with pytest.raises(Conflict, match="ships with this release"):
        curation.propose(CLEO, text)
    with pytest.raises(Conflict, match="another content"):
        curation.propose(CLEO, text.replace("title: Standard analysis", "title: Other"))


def test_what_is_no_profile_is_told_by_line(curation: Curation) -> None:
    with pytest.raises(InvalidInput) as caught:
        curation.propose(CLEO, profile_text().replace("image:", "imge:"))
    assert any("did you mean image?" in problem.message and problem.line for problem in caught.value.problems)


# --- whose right it is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "author",
    [CLEO, Person("cleo", roles=CURATOR, subject="other"), Person("c2", roles=CURATOR, subject="cleo")],
    ids=["herself", "same name", "same subject"],
)
def test_nobody_approves_or_refuses_her_own(curation: Curation, database: Database, author: Person) -> None:
    digest = propose(curation).digest
    for act in (curation.approve, curation.refuse):
        with pytest.raises(Forbidden, match="proposed this version yourself"):
            act(author, digest, "Mine.")
    assert acts(database)[-1][2] == "denied"
    assert curation.approve(EVA, digest).approved_by == ("eva",)


def test_two_names_of_one_person_are_one_approval(curation: Curation) -> None:
    digest = propose(curation).digest
    one, other = (Person(name, roles=CURATOR, subject="sub-7") for name in ("eva", "eva-admin"))
    assert curation.approve(one, digest).missing == 1
    again = curation.approve(other, digest)
    assert (again.missing, again.approved_by) == (1, ("eva-admin",))
    assert curation.approve(UMA, digest).state == "approved"


@pytest.mark.parametrize("person", [ANN, ADA, Person("t", roles=CURATOR, may_administer=False)])
def test_only_curators_act_and_every_attempt_is_recorded(
    curation: Curation, database: Database, person: Person
) -> None:
    digest = propose(curation).digest
    soon = datetime.now(UTC) + timedelta(days=9)
    attempts: list[Callable[[], object]] = [
        lambda: curation.propose(person, profile_text("rivers")),
        lambda: curation.approve(person, digest),
        lambda: curation.refuse(person, digest, "No."),
        lambda: curation.deprecate(person, "maps", 1, removal=soon),
    ]
    before = len(acts(database))
    for attempt in attempts:
        with pytest.raises(Forbidden):
            attempt()
    denied = acts(database)[before:]
    assert [act[1] for act in denied] == [f"profile.{verb}" for verb in ("propose", "approve", "refuse", "deprecate")]
    assert {act[2] for act in denied} == {"denied"}


# --- refusing, withdrawing -------------------------------------------------------------------------------------------


def test_a_refusal_stands_until_its_author_approves(curation: Curation) -> None:
    digest = propose(curation).digest
    with pytest.raises(InvalidInput, match="say why"):
        curation.refuse(EVA, digest, "  ")
    assert curation.refuse(EVA, digest, "Too large.").refused_by == ("eva",)
    nina = Person("nina", roles=CURATOR)
    for person in (UMA, nina):
        found = curation.approve(person, digest)
    assert found.state == "proposed"
    assert curation.approve(EVA, digest, "Now I see.").state == "approved"


def test_a_proposal_can_be_withdrawn_by_its_author_or_an_admin(curation: Curation) -> None:
    digest = propose(curation).digest
    with pytest.raises(Forbidden):
        curation.withdraw(EVA, "maps", 1)
    assert curation.withdraw(CLEO, "maps", 1).state == "withdrawn"
    for act in (curation.approve, lambda *a: curation.refuse(*a, "No.")):
        with pytest.raises(Conflict, match="no proposal any more"):
            act(EVA, digest)
    with pytest.raises(Conflict, match="withdrawn by cleo"):  # else Eva would be its author, and Cleo could approve it
        curation.propose(EVA, profile_text())
    assert curation.propose(CLEO, profile_text()).version.state == "proposed"
    assert curation.withdraw(ADA, "maps", 1).state == "withdrawn"
    with pytest.raises(NotFound):
        curation.withdraw(CLEO, "nothing", 1)


def test_an_approved_version_is_judged_no_more(curation: Curation) -> None:
    found = approved(curation)
    with pytest.raises(Conflict, match="is approved"):
        curation.refuse(EVA, found.digest, "Late.")
    with pytest.raises(Conflict, match="is approved"):
        curation.withdraw(CLEO, "maps", 1)


# --- checks ----------------------------------------------------------------------------------------------------------


def test_what_breaks_a_rule_cannot_be_approved(curation: Curation, point: DecisionPoint, database: Database) -> None:
    digest = propose(curation, memory="128Gi").digest
    with pytest.raises(Conflict, match="memory-limit") as caught:
        curation.approve(EVA, digest)
    assert [problem.field for problem in caught.value.problems] == ["memory-limit"]
    assert acts(database)[-1] == ("eva", "profile.approve", "denied")


def test_an_exception_lets_it_be_approved_and_started(
    curation: Curation, point: DecisionPoint, database: Database, store: CatalogStore, clock: Clock
) -> None:
    digest = propose(curation, memory="128Gi").digest
    wish = Wish("maps", "memory-limit", "The flood models need it.", clock.at + timedelta(days=9))
    Exceptions(database, store).grant(EVA, wish)
    for person in (EVA, UMA):
        found = curation.approve(person, digest)
    assert found.state == "approved"
    decision = start(point)
    assert decision.allowed
    assert len(decision.exceptions) == 1
    clock.forward(days=9)
    assert [reason.rule for reason in start(point).reasons] == ["memory-limit"]


def test_an_environment_that_is_not_there_cannot_be_approved(curation: Curation) -> None:
    text = profile_text().replace("image: notebooks/standard", "image: notebooks/geo\n  local: {environment: geo}")
    digest = curation.propose(CLEO, text).version.digest
    with pytest.raises(Conflict, match="environment/geo is not there"):
        curation.approve(EVA, digest)


# --- deprecating -----------------------------------------------------------------------------------------------------


def test_a_deprecated_version_warns_and_then_is_gone(
    curation: Curation, point: DecisionPoint, clock: Clock, database: Database
) -> None:
    approved(curation)
    approved(curation, version=2, memory="8Gi")
    removal = clock.at + timedelta(days=30)
    found = curation.deprecate(CLEO, "maps", 1, successor="maps@2", removal=removal)
    assert (found.state, found.successor, found.removal_at) == ("deprecated", "maps@2", removal)
    decision = start(point, version=1)
    assert decision.allowed
    assert [warning.code for warning in decision.warnings] == ["deprecated"]
    assert start(point).profile.version == 2
    clock.forward(days=30)
    assert [reason.code for reason in start(point, version=1).reasons] == ["removed"]
    clock.forward(days=-20)  # back to before its removal: it stays removed
    assert [reason.code for reason in start(point, version=1).reasons] == ["removed"]
    with pytest.raises(Conflict, match="removed already"):
        curation.deprecate(CLEO, "maps", 1, removal=clock.at + timedelta(days=99))


def test_what_ships_can_be_deprecated(settings: HubExt, database: Database, clock: Clock) -> None:
    store = CatalogStore(settings, database, clock=clock)
    curation, point = Curation(database, store, settings), DecisionPoint(database, store, settings)
    removal = clock.at + timedelta(days=1)
    found = curation.deprecate(CLEO, "quick-look", 1, successor="standard@1", removal=removal)
    assert (found.state, found.author) == ("deprecated", "this release")
    assert [warning.code for warning in start(point, "quick-look").warnings] == ["deprecated"]
    clock.forward(days=1)
    assert [reason.code for reason in start(point, "quick-look").reasons] == ["removed"]
    assert "quick-look" not in [one.name for one in store.refresh().newest()]


@pytest.mark.parametrize(
    ("successor", "told"),
    [("maps@1", "its own successor"), ("maps@9", "no version that can be started; did you mean"), ("x" * 99, "no ver")],
)
def test_a_successor_must_be_one(curation: Curation, clock: Clock, successor: str, told: str) -> None:
    approved(curation)
    with pytest.raises(InvalidInput, match=told):
        curation.deprecate(CLEO, "maps", 1, successor=successor, removal=clock.at + timedelta(days=1))


def test_a_cycle_of_successors_is_refused(curation: Curation, clock: Clock) -> None:
    removal = clock.at + timedelta(days=9)
    for name in ("one", "two", "three"):
        approved(curation, name=name)
    curation.deprecate(CLEO, "one", 1, successor="two@1", removal=removal)
    curation.deprecate(CLEO, "two", 1, successor="three@1", removal=removal)
    with pytest.raises(InvalidInput, match="one@1 is deprecated itself, and its own successor is two@1"):
        curation.deprecate(CLEO, "three", 1, successor="one@1", removal=removal)


@pytest.mark.parametrize("by", [timedelta(0), timedelta(days=-1)])
def test_a_removal_is_to_come(curation: Curation, clock: Clock, by: timedelta) -> None:
    approved(curation)
    with pytest.raises(InvalidInput, match="removal"):
        curation.deprecate(CLEO, "maps", 1, removal=clock.at + by)
    with pytest.raises(InvalidInput, match="with its zone"):
        curation.deprecate(CLEO, "maps", 1, removal=datetime(2099, 1, 1))  # noqa: DTZ001


def test_a_removal_can_be_put_off_while_it_is_to_come(curation: Curation, clock: Clock) -> None:
    approved(curation)
    curation.deprecate(CLEO, "maps", 1, removal=clock.at + timedelta(days=1))
    later = curation.deprecate(CLEO, "maps", 1, removal=clock.at + timedelta(days=5))
    assert later.removal_at == clock.at + timedelta(days=5)


def test_a_refused_act_leaves_the_snapshot_as_it_is(
    curation: Curation, clock: Clock, settings: HubExt, database: Database
) -> None:
    approved(curation)
    with pytest.raises(InvalidInput):
        curation.deprecate(CLEO, "maps", 1, successor="nothing@1", removal=clock.at + timedelta(days=1))
    approved(curation, name="rivers")
    with database.read() as session:
        catalog, _ = curation.catalog.fresh(session)
    assert sorted(one.name for one in catalog.profiles) == ["maps", "rivers"]
    assert CatalogStore(settings, database, clock=clock).current().digest == catalog.digest


# --- two at once -----------------------------------------------------------------------------------------------------


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Call all at the same moment; return what each returned or raised."""
    barrier, found = threading.Barrier(len(calls)), [None] * len(calls)

    def one(number: int, call: Callable[[], object]) -> None:
        barrier.wait(30)
        try:
            found[number] = call()  # type: ignore[call-overload]
        except HubExtError as error:
            found[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return list(found)


def process(settings: HubExt, database: Database) -> Curation:
    """The same platform's catalog in a process of its own."""
    own = Database(str(database.url))
    return Curation(own, CatalogStore(settings, own), settings)


@pytest.mark.parametrize("trial", range(5))
def test_two_who_approve_at_once_are_two(curation: Curation, settings: HubExt, database: Database, trial: int) -> None:
    digest = propose(curation).digest
    one, other = process(settings, database), process(settings, database)
    found = at_once(lambda: one.approve(EVA, digest), lambda: other.approve(UMA, digest))
    assert all(isinstance(each, VersionInfo) for each in found), found
    with database.read() as session:
        (row,) = session.scalars(select(ProfileVersion)).all()
        assert row.state == "approved"
        assert sorted(each.approver for each in row.approvals) == ["eva", "uma"]
    for each in (one, other):
        each.database.dispose()


def test_one_person_who_approves_twice_at_once_is_one(curation: Curation, settings: HubExt, database: Database) -> None:
    digest = propose(curation).digest
    one, other = process(settings, database), process(settings, database)
    at_once(lambda: one.approve(EVA, digest), lambda: other.approve(EVA, digest))
    with database.read() as session:
        (row,) = session.scalars(select(ProfileVersion)).all()
        assert (row.state, len(row.approvals)) == ("proposed", 1)
    for each in (one, other):
        each.database.dispose()


def test_two_contents_for_one_number_at_once_are_one_version(
    curation: Curation, settings: HubExt, database: Database
) -> None:
    one, other = process(settings, database), process(settings, database)
    found = at_once(lambda: propose(one, memory="2Gi"), lambda: propose(other, EVA, memory="3Gi"))
    assert sorted(type(each).__name__ for each in found) == ["Conflict", "VersionInfo"]
    for each in (one, other):
        each.database.dispose()


def test_an_exception_that_ends_between_check_and_approval_is_noticed(
    curation: Curation, database: Database, store: CatalogStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = propose(curation, memory="128Gi").digest
    exceptions = Exceptions(database, store)
    granted = exceptions.grant(EVA, Wish("maps", "memory-limit", "Floods.", clock.at + timedelta(days=9)))
    check, seen = curation.check, []

    def check_and_then(one: str) -> Any:
        found = check(one)
        if not seen:
            seen.append(True)
            exceptions.revoke(UMA, granted.id, "The floods are over.")
        return found

    monkeypatch.setattr(curation, "check", check_and_then)
    with pytest.raises(Conflict, match="memory-limit"):
        curation.approve(EVA, digest)
    with database.read() as session:
        assert session.scalars(select(Approval)).all() == []


# --- for any input whatever ------------------------------------------------------------------------------------------


@given(st.text(), st.integers(), st.text())
@hypothesis_settings(max_examples=30)
def test_names_numbers_and_digests_of_any_kind_are_only_not_there(
    curation: Curation, name: str, number: int, digest: str
) -> None:
    removal = datetime(2099, 1, 1, tzinfo=UTC)
    for call in (
        lambda: curation.approve(EVA, digest),
        lambda: curation.withdraw(CLEO, name, number),
        lambda: curation.deprecate(CLEO, name, number, removal=removal),
    ):
        with pytest.raises(NotFound):
            call()


def test_the_profiles_that_ship_have_other_names_than_these_tests() -> None:
    assert {"maps", "rivers", "one", "two", "three"}.isdisjoint(one.name for one in load(shipped("profiles")).profiles)
