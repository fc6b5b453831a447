"""How long servers last: the end announced, and put off for an hour where the profile allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest

from hub_ext.access.budgets import Budgets, Limits
from hub_ext.access.lifetimes import Lifetimes
from hub_ext.catalog.models import Profile
from hub_ext.db.session import Database
from hub_ext.db.tables import ServerStart
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.errors import Conflict, Denied, Forbidden, NotFound
from hub_ext.settings import HubExt
from tests.access.conftest import ANN, CLEO, GIS, PLAIN, approve, profile
from tests.access.test_keeper import open_server
from tests.governance.conftest import Clock

Acts = Callable[[], list[tuple[str, str, str]]]


def long_maps() -> Profile:
    """Return a next version of maps that lasts two hours, and may be kept for two more."""
    made = profile("maps", "gis-team", lifetime={"idle": 60, "maximum": 120, "extensions": 2})
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"version": 2})})


@pytest.fixture
def gus(catalog: CatalogStore, database: Database, decisions: DecisionPoint, clock: Clock) -> Lifetimes:
    """Gus's server of a profile that may be kept twice; it became ready now."""
    approve(database, long_maps())
    catalog.current()
    open_server(decisions, "s-1", clock)
    return Lifetimes(decisions)


def test_the_end_is_told_and_announced_in_the_last_hour(gus: Lifetimes, clock: Clock) -> None:
    (one,) = gus.servers_of("gus")
    assert one.ends_at == clock.at + timedelta(hours=2)
    assert (one.announced, one.may_be_kept, one.left) == (False, False, 2)
    clock.forward(hours=1)
    (one,) = gus.servers_of("gus")
    assert (one.announced, one.may_be_kept) == (True, True)
    assert gus.servers_of("ann") == []


def test_it_is_kept_for_an_hour_as_often_as_the_profile_allows(gus: Lifetimes, clock: Clock, acts: Acts) -> None:
    began = clock.at
    with pytest.raises(Conflict, match="It ends only at"):
        gus.keep(GIS, "s-1")
    for hour in (1, 2):
        clock.forward(hours=1)
        kept = gus.keep(GIS, "s-1")
        assert (kept.start.kept, kept.left) == (hour, 2 - hour)
        assert kept.ends_at == began + timedelta(hours=2 + hour)
    clock.forward(hours=1)
    with pytest.raises(Conflict, match="as often as its profile allows"):
        gus.keep(GIS, "s-1")
    assert [act for act in acts() if act[1] == "server.keep"] == [("gus", "server.keep", "allowed")] * 2


def test_two_presses_at_once_are_two_hours_and_never_more_than_there_are(gus: Lifetimes, clock: Clock) -> None:
    clock.forward(hours=1, minutes=30)
    refused = []

    def press() -> None:
        try:
            gus.keep(GIS, "s-1")
        except Conflict as error:
            refused.append(error)

    threads = [Thread(target=press) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    (found,) = gus.servers_of("gus")
    assert found.start.kept == 5 - len(refused) <= 2


def test_by_default_no_server_is_kept(decisions: DecisionPoint, clock: Clock) -> None:
    open_server(decisions, "s-1", clock)
    clock.forward(hours=1, minutes=30)
    with pytest.raises(Conflict, match="does not let a server be kept"):
        Lifetimes(decisions).keep(GIS, "s-1")


def test_somebody_else_s_server_and_one_that_has_ended_are_not_there(
    gus: Lifetimes, clock: Clock, database: Database
) -> None:
    for who, start_id in ((ANN, "s-1"), (GIS, "s-none"), (GIS, "")):
        with pytest.raises(NotFound):
            gus.keep(who, start_id)
    with database.write() as session:
        session.get_one(ServerStart, "s-1").outcome = "stopped"
    with pytest.raises(NotFound):
        gus.keep(GIS, "s-1")


def test_a_server_s_own_token_keeps_nothing(gus: Lifetimes, clock: Clock) -> None:
    clock.forward(hours=1)
    with pytest.raises(Forbidden):
        gus.keep(replace(GIS, may_administer=False), "s-1")


def test_it_is_decided_anew(gus: Lifetimes, clock: Clock, acts: Acts) -> None:
    clock.forward(hours=1)
    with pytest.raises(Denied, match="you are not among them"):
        gus.keep(replace(GIS, groups=frozenset()), "s-1")
    assert acts()[-1] == ("gus", "server.keep", "denied")
    assert gus.servers_of("gus")[0].start.kept == 0


def test_hours_that_are_used_up_are_not_given_again(
    gus: Lifetimes, clock: Clock, database: Database, settings: HubExt
) -> None:
    clock.forward(hours=1)
    Budgets(database, settings).set(CLEO, "person", "gus", Limits(cpu_hours=2))
    with pytest.raises(Denied, match="core hours"):
        gus.keep(GIS, "s-1")
    Budgets(database, settings).set(CLEO, "person", "gus", Limits(servers=1))  # the one that runs does not count twice
    assert gus.keep(GIS, "s-1").start.kept == 1


def test_what_runs_by_no_right_any_more_is_not_kept(gus: Lifetimes, clock: Clock, database: Database) -> None:
    with database.write() as session:
        start = session.get_one(ServerStart, "s-1")
        start.must_end_at, start.must_end_why = clock.at + timedelta(minutes=5), "It is over."
    assert gus.servers_of("gus")[0].ends_at == clock.at + timedelta(minutes=5)
    with pytest.raises(Conflict, match="It is over"):
        gus.keep(GIS, "s-1")


def test_a_profile_that_allows_none_keeps_the_digest_that_it_had() -> None:
    plain, none = (
        profile("maps", "gis-team"),
        profile("maps", "gis-team", lifetime=PLAIN["lifetime"] | {"extensions": 0}),
    )  # type: ignore[operator]
    assert plain.digest == none.digest != long_maps().digest
    assert b"extensions" not in plain.canonical()
