"""A curator sees every version with its state, its checks and who uses it, what waits, and what ends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import ProfileVersion, Run, ServerStart, Version, Workflow
from hub_ext.errors import Conflict, Forbidden, NotFound
from hub_ext.governance.curation import Curation
from hub_ext.governance.desk import Desk
from hub_ext.governance.exceptions import Exceptions, Wish
from hub_ext.governance.overview import Overview
from hub_ext.governance.store import CatalogStore
from hub_ext.people import Person
from hub_ext.settings import HubExt
from tests.governance.conftest import Clock, profile_text

CLEO, EVA = (Person(name, roles=frozenset({"curator"})) for name in ("cleo", "eva"))


@pytest.fixture
def curation(settings: HubExt, folder: Path, database: Database, store: CatalogStore) -> Curation:
    settings.approvals_required = 1
    return Curation(database, store, settings)


@pytest.fixture
def overview(curation: Curation) -> Overview:
    return Overview(curation.database, curation.catalog, curation.settings, curation.checks)


def approved(curation: Curation, **about: Any) -> None:
    curation.approve(EVA, curation.propose(CLEO, profile_text(**about)).version.digest)


def server(
    database: Database, clock: Clock, user: str, number: int = 1, *, outcome: str = "ready", days: int = 0
) -> None:
    with database.write() as session:
        at = clock.at - timedelta(days=days)
        session.add(ServerStart(user=user, profile="maps", profile_version=number, outcome=outcome, asked_at=at))


def run(database: Database, clock: Clock, user: str, number: int = 1, state: str = "running") -> None:
    with database.write() as session:
        workflow = session.get(Workflow, "w-1")
        if workflow is None:
            session.add(Workflow(id="w-1", owner="amy", name="rain", title="Rain"))
            session.flush()
            session.add(
                Version(
                    id="v-1",
                    workflow_id="w-1",
                    number=1,
                    digest="d",
                    author="amy",
                    profile="maps",
                    schema={},
                    notebook="n",
                )
            )
            session.flush()
        row = Run(workflow_id="w-1", version_id="v-1", caller=user, profile="maps", profile_version=number, state=state)
        row.created_at = clock.at
        session.add(row)


def test_every_version_wherever_it_is(curation: Curation, overview: Overview, put: Any, clock: Clock) -> None:
    approved(curation)
    approved(curation, version=2)
    curation.deprecate(CLEO, "maps", 1, successor="maps@2", removal=clock.at + timedelta(days=9))
    curation.propose(CLEO, profile_text(version=3))
    put(profile_text("rivers"), "rivers/1.yaml")
    overview.catalog.refresh()
    found = {(one.version.name, one.version.number): one.version for one in overview.entries()}
    assert {key: one.state for key, one in found.items()} == {
        ("maps", 1): "deprecated",
        ("maps", 2): "approved",
        ("maps", 3): "proposed",
        ("rivers", 1): "file",
    }
    assert found["maps", 2].badge().endswith("by one person")
    assert found["maps", 1].badge().startswith("ends ")
    assert [one.number for one in overview.waiting()] == [3]
    newest = overview.version("maps")
    assert newest is not None
    assert newest.number == 3
    assert overview.version("maps", 9) is None


def test_what_ships_is_shown_as_that(settings: HubExt, database: Database) -> None:
    overview = Overview(database, CatalogStore(settings, database), settings)
    found = overview.entries(name="standard")
    assert [(one.version.state, one.version.author, one.version.badge()) for one in found] == [
        ("trusted", "this release", "trusted with this release")
    ]


def test_checks_are_shown_when_they_are_known(curation: Curation, overview: Overview) -> None:
    curation.propose(CLEO, profile_text(memory="128Gi"))
    assert overview.entries()[0].findings is None
    (checked,) = overview.entries(check=True)
    assert [finding.rule for finding in checked.findings or ()] == ["memory-limit"]
    assert overview.entries()[0].findings == checked.findings


def test_an_exception_shows_in_the_findings(curation: Curation, overview: Overview, clock: Clock) -> None:
    curation.propose(CLEO, profile_text(memory="128Gi"))
    exceptions = Exceptions(curation.database, curation.catalog)
    exceptions.grant(EVA, Wish("maps", "memory-limit", "Floods.", clock.at + timedelta(days=9)))
    exceptions.grant(EVA, Wish("maps", "cpu-limit", "Floods.", clock.at + timedelta(days=90)))
    (checked,) = overview.entries(check=True)
    assert [(one.rule, one.severity) for one in checked.findings or ()] == [("memory-limit", "excepted")]
    assert [one.rule for one in overview.ending_exceptions()] == ["memory-limit"]


def test_who_uses_a_version_now_and_lately(
    curation: Curation, overview: Overview, database: Database, clock: Clock
) -> None:
    approved(curation)
    server(database, clock, "amy")
    server(database, clock, "bob", outcome="stopped", days=3)
    server(database, clock, "old", outcome="stopped", days=40)
    run(database, clock, "dan")
    run(database, clock, "eve", state="succeeded")
    (entry,) = overview.entries()
    assert entry.use.people == ["amy", "dan"]
    assert entry.use.starts == 2
    assert entry.use.last == clock.at
    assert overview.affected("maps").people == ["amy", "dan"]
    assert overview.affected("maps", 2).people == []
    assert entry.as_dict()["people_now"] == ["amy", "dan"]


def test_who_runs_what_is_deprecated(curation: Curation, overview: Overview, database: Database, clock: Clock) -> None:
    approved(curation)
    approved(curation, name="rivers")
    server(database, clock, "amy")
    assert overview.on_deprecated() == []
    for name in ("maps", "rivers"):
        curation.deprecate(CLEO, name, 1, removal=clock.at + timedelta(days=2))
    assert [(one.version.name, one.use.people) for one in overview.on_deprecated()] == [("maps", ["amy"])]


def test_a_change_is_against_the_version_before(curation: Curation, overview: Overview) -> None:
    approved(curation)
    curation.propose(CLEO, profile_text(version=2, memory="8Gi"))
    found = overview.change("maps", 2)
    assert found is not None
    assert found.before is not None
    assert "It can have more memory: 8 GB in place of 4 GB." in found.further
    first = overview.change("maps", 1)
    assert first is not None
    assert first.before is None
    assert overview.change("maps", 3) is None


def test_an_entry_is_json(curation: Curation, overview: Overview) -> None:
    approved(curation)
    (entry,) = overview.entries(check=True)
    found = entry.as_dict()
    assert (found["name"], found["version"], found["state"], found["findings"]) == ("maps", 1, "approved", [])
    assert found["approvals"][0]["by"] == "eva"


# --- what another release wrote --------------------------------------------------------------------------------------


def spoil(database: Database, number: int) -> None:
    """Write a field into a version that this release does not know."""
    with database.write() as session:
        row = session.scalars(select(ProfileVersion).where(ProfileVersion.number == number)).one()
        row.content = row.content | {"spec": row.content["spec"] | {"colour": "blue"}}


def test_a_proposal_that_cannot_be_read_is_listed_as_that_and_does_not_hide_the_others(
    curation: Curation, overview: Overview, database: Database
) -> None:
    curation.propose(CLEO, profile_text())
    curation.propose(CLEO, profile_text(version=2))
    spoil(database, 1)
    assert [one.number for one in overview.waiting()] == [2]
    assert [one.version.number for one in overview.entries()] == [2]
    (found,) = overview.unreadable()
    assert (found.name, found.number, found.author, found.state) == ("maps", 1, "cleo", "proposed")
    assert found.why == "spec.colour: Extra inputs are not permitted"
    assert found.hint.startswith("cleo or an admin takes it back, and it is proposed again as the next version")
    desk = Desk(database, curation.catalog, curation.settings, EVA)
    assert [one["name"] for one in desk.state()["unreadable"]] == ["maps"]
    with pytest.raises(NotFound):
        desk.judge("maps", 1, "approve", found.digest)
    with pytest.raises(Forbidden):
        desk.withdraw("maps", 1)
    taken = Desk(database, curation.catalog, curation.settings, CLEO).withdraw("maps", 1)
    assert (taken["state"], taken["digest"]) == ("withdrawn", found.digest)
    assert overview.unreadable() == []


def test_an_approved_version_that_cannot_be_read_is_not_ended_half(
    curation: Curation, database: Database, clock: Clock
) -> None:
    approved(curation)
    spoil(database, 1)
    with pytest.raises(Conflict, match="maps@1 cannot be read by this release"):
        curation.deprecate(EVA, "maps", 1, removal=clock.at + timedelta(days=1))
    with database.read() as session:
        assert session.scalars(select(ProfileVersion.state)).one() == "approved"
