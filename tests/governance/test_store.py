"""The snapshot follows files and database; what was good stays when a file breaks; nobody waits for a look."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError

from hub_ext.catalog.decide import Facts, Request, decide
from hub_ext.catalog.documents import parse
from hub_ext.catalog.locks import ImagesLock
from hub_ext.catalog.models import Profile
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.session import Database
from hub_ext.db.tables import Approval, CatalogState, ProfileVersion, Snapshot
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import Unavailable
from hub_ext.governance import state
from hub_ext.governance.store import CatalogStore
from hub_ext.kubernetes.yaml_text import to_yaml
from hub_ext.settings import HubExt, shipped
from tests.governance.conftest import Clock, profile_text

Put = Callable[..., Path]


def profile(**about: Any) -> Profile:
    found = parse(profile_text(**about), "x", Profile)
    assert isinstance(found, Profile)
    return found


def approve(database: Database, one: Profile, **more: Any) -> None:
    """Write a version as approved, as `Curation` would."""
    with database.write() as session:
        content = one.model_dump(mode="json", by_alias=True)
        row = {"author": "cleo", "author_subject": "cleo", "state": "approved"} | more
        session.add(ProfileVersion(digest=one.digest, name=one.name, number=one.version, content=content, **row))
        session.flush()
        session.add(Approval(digest=one.digest, approver="eva", approver_subject="eva", verdict="approve"))
        state.changed(session)


def names(catalog: Catalog) -> list[str]:
    return sorted(f"{one.name}@{one.version}" for one in catalog.profiles)


# --- what is startable -----------------------------------------------------------------------------------------------


def test_what_ships_is_trusted_with_this_release(settings: HubExt, database: Database) -> None:
    catalog = CatalogStore(settings, database).current()
    assert len(catalog.profiles) >= 4
    assert {catalog.standing(one).state for one in catalog.profiles} == {"trusted"}
    assert catalog.proposals == catalog.problems == catalog.notes == ()
    assert len(catalog.policy.rules) >= 40
    assert catalog.enclave.metadata.name == "local"


def test_a_copy_of_what_ships_is_trusted_and_a_changed_one_is_not(store: CatalogStore, folder: Path) -> None:
    shutil.copytree(shipped("profiles") / "standard", folder / "standard")
    shutil.copytree(shipped("profiles") / "quick-look", folder / "quick-look")
    path = folder / "quick-look" / "1.yaml"
    path.write_text(path.read_text().replace("limit: 1Gi", "limit: 2Gi"))
    catalog = store.current()
    assert names(catalog) == ["standard@1"]
    assert [one.name for one in catalog.proposals] == ["quick-look"]


def test_a_file_is_a_proposal_of_nobody_and_cannot_be_started(store: CatalogStore, put: Put) -> None:
    put(profile_text())
    catalog = store.current()
    assert catalog.profiles == ()
    assert [one.name for one in catalog.proposals] == ["maps"]
    truth = Facts(store.now(), frozenset({"analysts"}), catalog)
    assert decide(Request("amy", "server", "maps"), truth).reasons[0].code == "unknown-profile"


def test_a_folder_without_rules_gets_the_baseline_and_says_so(store: CatalogStore, put: Put) -> None:
    put(profile_text())
    catalog = store.current()
    assert len(catalog.policy.rules) >= 40
    assert [note.split(":")[0] for note in catalog.notes] == [
        "There are no rules in _policy",
        "There is no _enclaves/local.yaml",
    ]


def test_a_folder_that_is_not_there_is_told(settings: HubExt, database: Database, tmp_path: Path) -> None:
    settings.profiles_dir = str(tmp_path / "nowhere")
    catalog = CatalogStore(settings, database).current()
    assert [str(problem) for problem in catalog.problems] == ["profiles_dir: is no folder that can be read"]
    assert catalog.profiles == ()


def test_what_was_approved_is_started_whatever_happens_to_its_file(
    store: CatalogStore, database: Database, put: Put
) -> None:
    path = put(profile_text())
    approve(database, profile())
    catalog = store.refresh()
    assert names(catalog) == ["maps@1"]
    standing = catalog.standing(catalog.versions("maps")[0])
    assert (standing.state, standing.approvers) == ("approved", ("eva",))
    path.write_text(profile_text(memory="32Gi"))
    changed = store.refresh()
    assert changed.versions("maps")[0].spec.resources.memory.limit == "4Gi"
    assert [str(problem) for problem in changed.problems] == [
        "maps/1.yaml: is not what was proposed as version 1, which never changes; give it the next number"
    ]
    path.unlink()
    assert names(store.refresh()) == ["maps@1"]
    assert store.current().problems == ()


def test_content_that_was_changed_in_the_database_is_not_used(store: CatalogStore, database: Database) -> None:
    approve(database, profile())
    with database.write() as session:
        row = session.scalars(select(ProfileVersion)).one()
        row.content = row.content | {"spec": row.content["spec"] | {"access": {"groups": ["everybody"]}}}
    catalog = store.refresh()
    assert catalog.profiles == ()
    assert "has another digest" in str(catalog.problems[0])


def test_a_version_that_was_deprecated_is_removed_when_its_time_comes(
    store: CatalogStore, database: Database, clock: Clock
) -> None:
    approve(database, profile(), state="deprecated", removal_at=clock.at + timedelta(days=1))
    first = store.refresh()
    assert first.standing(first.profiles[0]).state == "deprecated"
    assert [one.name for one in first.newest()] == ["maps"]
    clock.forward(days=1)
    with database.read() as session:
        later, _ = store.fresh(session)
    assert later.standing(later.profiles[0]).state == "removed"
    assert later.newest() == []
    assert later.digest != first.digest


# --- changes ---------------------------------------------------------------------------------------------------------


def until(found: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found():
            return True
        time.sleep(0.01)
    return False


def test_a_changed_file_is_seen_within_a_second_or_so_without_anybody_waiting(store: CatalogStore, put: Put) -> None:
    put(profile_text())
    first = store.current()
    put(profile_text("rivers"), "rivers/1.yaml")
    assert store.current() is first
    assert until(lambda: len(store.current().proposals) == 2)


def test_nothing_new_is_the_same_snapshot(store: CatalogStore, put: Put) -> None:
    put(profile_text())
    first = store.current()
    assert store.refresh() is first
    put(profile_text())  # written again, with the same content
    assert store.refresh() is first


def test_a_decision_knows_at_once_what_was_approved_elsewhere(
    settings: HubExt, store: CatalogStore, database: Database
) -> None:
    other = CatalogStore(settings, database)
    assert other.current().profiles == ()
    approve(database, profile())
    with database.read() as session:
        catalog, _ = other.fresh(session)
    assert names(catalog) == ["maps@1"]
    assert store.refresh().digest == catalog.digest


def test_all_processes_have_one_snapshot_by_digest(settings: HubExt, database: Database, put: Put) -> None:
    put(profile_text())
    approve(database, profile(name="rivers"))
    found = {CatalogStore(settings, database).current().digest for _ in range(3)}
    assert len(found) == 1


def test_what_was_good_stays_when_its_file_breaks(store: CatalogStore, folder: Path, put: Put) -> None:
    shutil.copytree(shipped("profiles") / "standard", folder / "standard")
    put(profile_text())
    first = store.current()
    (folder / "standard" / "1.yaml").write_text("{")
    put("kind: Profile\n\tx: 1")
    second = store.refresh()
    assert names(second) == names(first) == ["standard@1"]
    assert [one.name for one in second.proposals] == ["maps"]
    assert [problem.path for problem in second.problems] == ["maps/1.yaml", "standard/1.yaml"]
    assert second.digest == first.digest
    put(profile_text(title="Mended"))
    assert [problem.path for problem in store.refresh().problems] == ["standard/1.yaml"]


def test_a_file_that_is_taken_away_takes_what_it_held_along(store: CatalogStore, folder: Path) -> None:
    shutil.copytree(shipped("profiles") / "standard", folder / "standard")
    assert names(store.current()) == ["standard@1"]
    shutil.rmtree(folder / "standard")
    assert store.refresh().profiles == ()


@pytest.mark.backends("sqlite")
def test_a_database_that_is_away_leaves_the_last_snapshot(
    settings: HubExt, folder: Path, database: Database, tmp_path: Path
) -> None:
    approve(database, profile())
    store = CatalogStore(settings, database)
    first = store.current()
    database.dispose()
    (settings.state / "hub-ext.sqlite").write_bytes(b"not a database any more" * 100)
    with pytest.raises((Unavailable, DatabaseError)):
        store.refresh()
    assert store.current() is first
    looks: list[bool] = []
    store.prefetch(lambda: looks.append(True))
    assert until(lambda: bool(looks))
    assert store.current() is first


def test_without_a_database_only_what_ships_can_be_started(settings: HubExt, folder: Path, put: Put) -> None:
    put(profile_text())
    shutil.copytree(shipped("profiles") / "standard", folder / "standard")
    assert names(CatalogStore(settings).current()) == ["standard@1"]


def test_many_threads_get_one_snapshot(settings: HubExt, database: Database) -> None:
    store = CatalogStore(settings, database)
    found: list[Catalog] = []
    threads = [threading.Thread(target=lambda: found.append(store.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({id(one) for one in found}) == 1


# --- the policy ------------------------------------------------------------------------------------------------------

RULES = """\
apiVersion: hub-ext/v1
kind: PolicyRules
metadata: {{name: ours, title: Ours, owner: operations}}
rules:
  - {{id: ours, title: Ours, "on": request, controls: [AC-3], message: No., cel: "{cel}"}}
"""
ENDLESS = "[" + ",".join("123456789") + "]"
FOREVER = "".join(f"{ENDLESS}.all({name}, " for name in "abcdefgh") + "a+b+c+d+e+f+g+h > 0" + ")" * 8


def rules(cel: str = "request.cpu < 8.0") -> str:
    return RULES.format(cel=cel)


def test_rules_of_the_folder_hold_in_place_of_the_baseline(store: CatalogStore, put: Put) -> None:
    put(rules(), "_policy/ours.yaml")
    catalog = store.current()
    assert [rule.id for rule in catalog.policy.rules] == ["ours"]
    assert catalog.policy.owners == {"ours": "operations"}


@pytest.mark.parametrize("broken", ["{", "kind: PolicyRules\n", rules("request.cpu <"), rules("object.kind == ''")])
def test_the_last_good_rules_hold_while_a_file_of_them_is_broken(store: CatalogStore, put: Put, broken: str) -> None:
    put(rules(), "_policy/ours.yaml")
    first = store.current()
    put(broken, "_policy/ours.yaml")
    second = store.refresh()
    assert second.policy == first.policy
    assert second.problems
    assert all(problem.path.startswith("_policy") for problem in second.problems)
    put(rules("request.cpu < 9.0"), "_policy/ours.yaml")
    third = store.refresh()
    assert third.problems == ()
    assert third.policy.rules[0].cel == "request.cpu < 9.0"


def test_one_id_in_two_files_is_told_and_changes_nothing(store: CatalogStore, put: Put) -> None:
    put(rules(), "_policy/ours.yaml")
    first = store.current()
    put(rules("true"), "_policy/theirs.yaml")
    second = store.refresh()
    assert second.policy == first.policy
    assert "the rule ours is there twice" in str(second.problems[0])


def test_rules_that_could_never_be_read_deny_everything(store: CatalogStore, put: Put) -> None:
    put("{", "_policy/ours.yaml")
    catalog = store.current()
    assert catalog.policy.unreadable
    assert catalog.problems


def test_an_enclave_that_is_not_there_denies_everything(
    settings: HubExt, folder: Path, database: Database, put: Put
) -> None:
    settings.enclave = "high"
    catalog = CatalogStore(settings, database).current()
    assert catalog.policy.unreadable
    assert "The enclave high cannot be read" in catalog.policy.rules[0].message
    put((shipped("profiles") / "_enclaves" / "local.yaml").read_text(), "_enclaves/high.yaml")
    problems = CatalogStore(settings, database).current().problems
    assert [str(one) for one in problems] == [
        "_enclaves/high.yaml: metadata.name says local: a file is named for its enclave"
    ]


@pytest.mark.backends("sqlite")  # a child is at work until it is ended, and asks no database
def test_a_rule_that_runs_for_ever_is_refused_by_its_name(
    store: CatalogStore, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(rules(), "_policy/ours.yaml")
    first = store.current()
    monkeypatch.setattr("hub_ext.catalog.timing._PATIENCE", 2.0)
    put(rules(FOREVER), "_policy/ours.yaml")
    second = store.refresh()
    assert second.policy == first.policy
    assert "_policy: the rule ours runs for ever" in str(second.problems[0])


def test_a_process_that_finds_broken_rules_takes_those_of_the_last_snapshot(
    settings: HubExt, folder: Path, database: Database, put: Put
) -> None:
    shutil.copytree(shipped("profiles") / "standard", folder / "standard")
    put(rules("request.cpu < 7.0"), "_policy/ours.yaml")
    point = DecisionPoint(database, CatalogStore(settings, database), settings)
    with database.write() as session:
        decision, _ = point.decide(session, Request("amy", "run", "standard"), ["analysts"], "x")
    assert decision.allowed
    put("{", "_policy/ours.yaml")
    later = CatalogStore(settings, database).current()
    assert [rule.cel for rule in later.policy.rules] == ["request.cpu < 7.0"]
    assert later.digest == decision.snapshot
    assert any("last snapshot hold" in note for note in later.notes)


LOW = {
    "apiVersion": "hub-ext/v1",
    "kind": "Enclave",
    "metadata": {"name": "low", "title": "Low side", "owner": "platform-team"},
    "spec": {
        "domain": "open",
        "registries": ["registry.low"],
        "largest": {"cpu": 16, "memory": "64Gi"},
        "signatures": 0,
    },
}


def locked(serial: int, digit: str) -> str:
    """Return the text of a lock that says which image the standard one is."""
    image = f"registry.low/notebooks/standard@sha256:{digit * 64}"
    lock = ImagesLock.of("low", serial, {"notebooks/standard": image})
    return to_yaml([lock.model_dump(mode="json", by_alias=True)])


@pytest.mark.parametrize("later", ["{", locked(1, "1")], ids=["broken", "older"])
def test_a_process_that_finds_a_lock_it_cannot_take_goes_on_with_that_of_the_last_snapshot(
    settings: HubExt, folder: Path, database: Database, put: Put, later: str
) -> None:
    shutil.copytree(shipped("profiles") / "standard", folder / "standard")
    settings.enclave = "low"
    put(to_yaml([LOW]), "_enclaves/low.yaml")
    put(locked(2, "2"), "_enclaves/low.images.lock")
    point = DecisionPoint(database, CatalogStore(settings, database), settings)
    with database.write() as session:
        decision, _ = point.decide(session, Request("amy", "run", "standard"), ["analysts"], "x")
    assert decision.allowed
    assert decision.image.endswith("2" * 64)
    put(later, "_enclaves/low.images.lock")
    found = CatalogStore(settings, database).current()
    assert found.images == {"notebooks/standard": decision.image}
    assert [problem.path for problem in found.problems] == ["_enclaves/low.images.lock"]
    put(locked(3, "3"), "_enclaves/low.images.lock")
    assert CatalogStore(settings, database).current().images["notebooks/standard"].endswith("3" * 64)


# --- what decisions leave behind -------------------------------------------------------------------------------------


def test_the_snapshot_that_a_decision_looked_at_is_kept_once(settings: HubExt, database: Database) -> None:
    point = DecisionPoint(database, CatalogStore(settings, database), settings)
    for _ in range(3):
        with database.write() as session:
            decision, _ = point.decide(session, Request("amy", "run", "standard"), ["analysts"], "x")
    with database.read() as session:
        (kept,) = session.scalars(select(Snapshot)).all()
    assert kept.digest == decision.snapshot
    assert ["standard", 1] in [entry[:2] for entry in kept.content["profiles"]]
    assert kept.enclave == "local"


def test_a_clock_that_jumps_back_does_not_turn_back_the_time(
    settings: HubExt, database: Database, clock: Clock
) -> None:
    before = clock.at
    point = DecisionPoint(database, CatalogStore(settings, database, clock=clock), settings)
    clock.forward(days=2)
    with database.write() as session:
        point.decide(session, Request("amy", "run", "standard"), ["analysts"], "x")
        assert session.scalars(select(CatalogState.clock)).one() == clock.at
    clock.forward(days=-2)
    assert point.facts(()).now == before + timedelta(days=2)
    other = DecisionPoint(database, CatalogStore(settings, database, clock=clock), settings)
    with database.read() as session:
        assert other.facts_now(session, ()).now == before + timedelta(days=2)


def test_the_time_is_not_written_with_each_decision(settings: HubExt, database: Database, clock: Clock) -> None:
    point = DecisionPoint(database, CatalogStore(settings, database, clock=clock), settings)
    found = []
    for _ in range(3):
        with database.write() as session:
            point.decide(session, Request("amy", "run", "standard"), ["analysts"], "x")
            found.append(session.scalars(select(CatalogState.clock)).one())
        clock.forward(seconds=20)
    assert (found[1] - found[0], found[2] - found[0]) == (timedelta(0), timedelta(seconds=40))


# --- what pages show -------------------------------------------------------------------------------------------------


def test_who_looks_first_after_a_long_silence_sees_what_was_approved_meanwhile(
    store: CatalogStore, settings: HubExt, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks at a quiet platform, so its snapshot is as old as the last visit."""
    point = DecisionPoint(database, store, settings)
    assert point.facts_of("ann", ["analysts"]).catalog.newest() == []
    monkeypatch.setattr(store, "prefetch", lambda also=None: None)  # nothing but the visit itself looks
    approve(database, profile())
    assert names(point.facts_of("ann", ["analysts"]).catalog) == ["maps@1"]


def test_a_recent_snapshot_waits_for_a_look_where_the_last_one_is_long_ago(
    store: CatalogStore, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.recent().proposals == ()
    put(profile_text())
    store._looked -= 60
    monkeypatch.setattr(store, "prefetch", lambda also=None: None)
    assert [one.name for one in store.recent().proposals] == ["maps"]


def test_a_recent_snapshot_is_the_last_one_while_the_database_is_away(
    store: CatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = store.recent()

    def away() -> Catalog:
        raise Unavailable("The database does not answer.")

    store._looked -= 60
    monkeypatch.setattr(store, "refresh", away)
    monkeypatch.setattr(store, "prefetch", lambda also=None: None)
    assert store.recent() is last
