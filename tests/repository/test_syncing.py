"""Commits are taken whole or not at all, what was good stays in force, and no commit approves anything."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Snapshot
from hub_ext.decisions import DecisionPoint, parse_request
from hub_ext.errors import Conflict, Forbidden, InvalidInput, StorageFull
from hub_ext.governance.desk import Desk
from hub_ext.people import Person
from hub_ext.repository.syncing import ACTOR, RepositoryWatch
from hub_ext.settings import HubExt
from tests.governance.conftest import profile_text
from tests.repository.conftest import Origin, Platform

CLEO = Person("cleo", roles=frozenset({"curator"}))
EVA = Person("eva", roles=frozenset({"curator"}))
AMY = Person("amy", groups=frozenset({"analysts"}))
MAPS = {"maps/1.yaml": profile_text()}
BROKEN = profile_text("rivers").replace("memory:", "memroy:")
RULES = """\
apiVersion: hub-ext/v1
kind: PolicyRules
metadata: {name: ours, title: Ours, owner: operations}
rules:
  - {id: ours, title: Ours, "on": request, controls: [AC-3], message: No., cel: "request.cpu < 8.0"}
"""


def acts(database: Database) -> list[tuple[str, str, str]]:
    """Return who synced, how it went, and the commit that is named."""
    with database.read() as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "catalog.sync").order_by(AuditRow.id))
        return [(row.actor, row.outcome, row.detail.get("commit", "")) for row in rows]


# --- good commits ----------------------------------------------------------------------------------------------------


def test_a_commit_is_in_force_and_its_files_are_proposals_of_nobody(platform: Platform, origin: Origin) -> None:
    commit = origin.commit(MAPS)
    state = platform.sync(ACTOR)
    assert (state.commit, state.fault, state.author) == (commit, "", "Ann Ö. Author <ann@example.org>")
    assert state.synced_at == state.taken_at == state.tried_at is not None
    catalog = platform.catalog.current()
    assert (catalog.commit, catalog.profiles, catalog.problems) == (commit, (), ())
    assert [one.name for one in catalog.proposals] == ["maps"]
    assert acts(platform.database) == [(ACTOR, "allowed", commit)]


def test_the_author_of_a_version_is_who_proposes_it_and_others_approve(platform: Platform, origin: Origin) -> None:
    commit = origin.commit(MAPS)
    platform.sync()
    desk = Desk(platform.database, platform.catalog, platform.settings, CLEO)
    made, _ = desk.propose(MAPS["maps/1.yaml"])
    assert made["author"] == "cleo"
    with pytest.raises(Forbidden):
        desk.judge("maps", 1, "approve", made["digest"])
    desk.propose(profile_text("typed"))
    with platform.database.read() as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "profile.propose").order_by(AuditRow.id))
        assert [(row.actor, row.detail.get("commit")) for row in rows] == [("cleo", commit), ("cleo", None)]


def test_a_decision_leads_to_the_commit_that_it_was_taken_under(platform: Platform, origin: Origin) -> None:
    commit = origin.commit(MAPS)
    platform.sync()
    point = DecisionPoint(platform.database, platform.catalog, platform.settings)
    with platform.database.write() as session:
        decision, _ = point.decide(session, parse_request("amy", "server", {"profile": "maps"}), AMY.groups, "")
    with platform.database.read() as session:
        assert session.scalar(select(Snapshot.commit_id).where(Snapshot.digest == decision.snapshot)) == commit


def test_a_new_commit_takes_the_place_of_the_last_and_nothing_new_is_nothing(
    platform: Platform, origin: Origin
) -> None:
    first = origin.commit(MAPS)
    platform.sync(ACTOR)
    platform.sync(ACTOR)
    second = origin.commit({"rivers/1.yaml": profile_text("rivers"), "maps/1.yaml": None})
    platform.sync(ACTOR)
    assert platform.proposals() == ["rivers@1"]
    assert acts(platform.database) == [(ACTOR, "allowed", first), (ACTOR, "allowed", second)]
    platform.sync("cleo")
    assert acts(platform.database)[2:] == [("cleo", "allowed", second)]  # what a person does is always recorded


def test_each_process_has_the_files_though_it_shares_no_folder(
    platform: Platform, origin: Origin, database: Database, tmp_path: Path
) -> None:
    origin.commit(MAPS | {"_policy/ours.yaml": RULES})
    platform.sync()
    away = HubExt(state_dir=str(tmp_path / "away"), profiles_repository=str(origin.path))
    other = Platform(away, database)
    shutil.rmtree(origin.path)
    catalog = other.catalog.current()
    assert catalog.digest == platform.catalog.current().digest
    assert [rule.id for rule in catalog.policy.rules] == ["ours"]
    assert other.proposals() == ["maps@1"]


def test_files_that_were_lost_or_changed_on_a_machine_are_made_again(platform: Platform, origin: Origin) -> None:
    commit = origin.commit(MAPS)
    platform.sync()
    folder = next((platform.settings.state / "profiles").glob(f"*/{commit}"))
    shutil.rmtree(folder)
    assert platform.proposals() == ["maps@1"]
    (folder / "maps" / "1.yaml").write_text("")
    assert Platform(platform.settings, platform.database).proposals() == ["maps@1"]


def test_files_that_are_the_same_in_the_next_commit_are_not_read_again(platform: Platform, origin: Origin) -> None:
    first = origin.commit(MAPS | {"rivers/1.yaml": profile_text("rivers")})
    platform.sync()
    second = origin.commit({"rivers/1.yaml": profile_text("rivers", title="Wide rivers")})
    platform.sync()
    (root,) = (platform.settings.state / "profiles").iterdir()
    files = {
        name: [(root / commit / name / "1.yaml").stat().st_ino for commit in (first, second)]
        for name in ("maps", "rivers")
    }
    assert files["maps"][0] == files["maps"][1]
    assert files["rivers"][0] != files["rivers"][1]
    assert "Wide" in (root / second / "rivers" / "1.yaml").read_text()
    assert "Wide" not in (root / first / "rivers" / "1.yaml").read_text()


def test_folders_of_old_commits_go(platform: Platform, origin: Origin) -> None:
    for number in range(1, 7):
        origin.commit({"maps/1.yaml": profile_text(memory=f"{number}Gi")})
        assert platform.sync().fault == ""
    kept = list((platform.settings.state / "profiles").glob("*/*"))
    assert len(kept) == 3
    assert platform.state().commit in {one.name for one in kept}


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_commit_with_a_broken_file_changes_nothing_and_says_which(platform: Platform, origin: Origin) -> None:
    good = origin.commit(MAPS)
    platform.sync(ACTOR)
    before = platform.catalog.current()
    bad = origin.commit({"rivers/1.yaml": BROKEN, "maps/1.yaml": profile_text(title="Other maps")})
    state = platform.sync(ACTOR)
    assert (state.commit, state.fault, state.refused) == (good, "broken", bad)
    assert {one.path for one in state.problems} == {"rivers/1.yaml"}
    assert any(one.line == 8 and "did you mean memory?" in one.message for one in state.problems)
    assert platform.catalog.refresh() is before
    assert platform.sync(ACTOR).tried_at != state.tried_at
    assert acts(platform.database) == [(ACTOR, "allowed", good), (ACTOR, "failed", bad)]  # told once
    mended = origin.commit({"rivers/1.yaml": profile_text("rivers")})
    after = platform.sync(ACTOR)
    assert (after.commit, after.fault, after.error, after.refused, after.problems) == (mended, "", "", "", ())
    assert platform.proposals() == ["maps@1", "rivers@1"]


ENDLESS = "[" + ",".join("123456789") + "]"
FOREVER = "".join(f"{ENDLESS}.all({name}, " for name in "abcdefgh") + "a+b+c+d+e+f+g+h > 0" + ")" * 8


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"_policy/ours.yaml": RULES.replace("cpu <", "cpu <<")}, "_policy/ours.yaml"),
        ({"_policy/ours.yaml": RULES.replace("request.cpu < 8.0", FOREVER)}, "the rule ours"),
        ({"_enclaves/local.yaml": "{"}, "_enclaves/local.yaml"),
        ({"maps/2.yaml": profile_text()}, "a version is one file, named for its number"),
        ({"maps/2.yaml": ""}, "must be a mapping"),
        ({"maps/2.yaml": "a: &a [x]\nb: [*a]\n"}, "aliases"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_commit_is_refused_for_whatever_cannot_be_in_force(
    platform: Platform, origin: Origin, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], told: str
) -> None:
    good = origin.commit(MAPS | {"_policy/ours.yaml": RULES})
    platform.sync()
    monkeypatch.setattr("hub_ext.catalog.timing._PATIENCE", 2.0)
    origin.commit(files)
    state = platform.sync()
    assert (state.commit, state.fault) == (good, "broken")
    assert told in " ".join(str(one) for one in state.problems)
    assert [rule.cel for rule in platform.catalog.refresh().policy.rules] == ["request.cpu < 8.0"]


def test_a_repository_or_a_ref_that_is_gone_leaves_what_was_good(platform: Platform, origin: Origin) -> None:
    good = origin.commit(MAPS)
    platform.sync(ACTOR)
    origin.git("branch", "--move", "main", "other")
    state = platform.sync(ACTOR)
    assert (state.commit, state.error) == (good, "There is no branch and no tag main in it.")
    away = origin.path.rename(origin.path.with_name("away"))
    assert platform.sync(ACTOR).error == "There is no git repository that we may see."
    assert platform.proposals() == ["maps@1"]
    assert [outcome for _, outcome, _ in acts(platform.database)] == ["allowed", "failed", "failed"]
    away.rename(origin.path)
    origin.git("branch", "--move", "other", "main")
    assert platform.sync(ACTOR).fault == ""


def test_a_history_that_was_written_anew_is_taken_only_by_its_commit(platform: Platform, origin: Origin) -> None:
    good = origin.commit(MAPS)
    platform.sync()
    origin.git("checkout", "--quiet", "--orphan", "anew")
    anew = origin.commit({"rivers/1.yaml": profile_text("rivers")})
    origin.git("branch", "--force", "main", "anew")
    state = platform.sync()
    assert (state.commit, state.fault, state.refused) == (good, "rewritten", anew)
    assert platform.sync(rewritten="f" * 40).commit == good
    origin.git("checkout", "--quiet", "main")
    later = origin.commit({"lakes/1.yaml": profile_text("lakes")})
    assert platform.sync(rewritten=anew).refused == later  # what she looked at is not what is there now
    assert platform.sync(rewritten=later).commit == later
    assert platform.proposals() == ["lakes@1", "maps@1", "rivers@1"]


def test_as_long_as_no_commit_was_good_only_what_is_in_the_database_can_be_started(
    platform: Platform, origin: Origin
) -> None:
    origin.commit({"maps/1.yaml": BROKEN})
    state = platform.sync()
    assert (state.commit, state.fault) == ("", "broken")
    catalog = platform.catalog.current()
    assert (catalog.profiles, catalog.proposals) == ((), ())
    assert [str(one) for one in catalog.problems] == ["profiles_repository: has given no commit that can be taken yet"]
    desk = Desk(platform.database, platform.catalog, platform.settings, CLEO)
    platform.settings.approvals_required = 1
    made, _ = desk.propose(profile_text())
    Desk(platform.database, platform.catalog, platform.settings, EVA).judge("maps", 1, "approve", made["digest"])
    assert [one.name for one in platform.catalog.refresh().newest()] == ["maps"]


def test_another_ref_is_another_source(platform: Platform, origin: Origin, database: Database) -> None:
    origin.commit(MAPS)
    platform.sync()
    origin.git("checkout", "--quiet", "--orphan", "next")
    commit = origin.commit({"rivers/1.yaml": profile_text("rivers")})
    platform.settings.profiles_ref = "next"
    other = Platform(platform.settings, database)
    assert other.state().commit == ""
    assert other.sync().commit == commit


def test_a_clock_that_jumps_changes_nothing(platform: Platform, origin: Origin) -> None:
    origin.commit(MAPS)
    clock = [datetime.now(UTC)]
    platform.repository._clock = lambda: clock[0]
    platform.sync(ACTOR)
    for days in (-400, 400):
        clock[0] += timedelta(days=days)
        commit = origin.commit({"maps/1.yaml": profile_text(title=f"After {days}")})
        state = platform.sync(ACTOR)
        assert (state.commit, state.synced_at) == (commit, clock[0])


@pytest.fixture
def full(platform: Platform) -> Iterator[Path]:
    """The folder of commits, on a disk that is nearly full."""
    folder = platform.settings.state / "profiles"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "hub-ext-test", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.backends("sqlite")
def test_a_disk_that_is_full_leaves_what_was_good_and_nothing_half_made(
    platform: Platform, origin: Origin, full: Path, database: Database
) -> None:
    good = origin.commit(MAPS)
    assert platform.sync().fault == ""
    many = {f"m-{number}/1.yaml": profile_text(f"m-{number}") for number in range(200)}
    bad = origin.commit(many)
    state = platform.sync()
    assert (state.commit, state.fault) == (good, "away")
    assert "full" in state.error or "No space left" in state.error
    assert [one.name for one in full.glob("*/*")] == [good]
    assert platform.proposals() == ["maps@1"]
    origin.commit(dict.fromkeys(many))
    assert platform.sync().fault == ""
    assert bad not in {one.name for one in full.glob("*/*")}


def test_a_process_that_cannot_write_the_files_decides_nothing(
    platform: Platform, origin: Origin, tmp_path: Path, database: Database
) -> None:
    origin.commit(MAPS)
    platform.sync()
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "profiles").write_text("a file in its way")
    away = HubExt(state_dir=str(tmp_path / "away"), profiles_repository=str(origin.path))
    with pytest.raises(StorageFull):
        Platform(away, database).catalog.current()


# --- several at once -------------------------------------------------------------------------------------------------


def test_two_processes_at_once_take_one_commit_once(platform: Platform, origin: Origin, tmp_path: Path) -> None:
    database = Database(platform.settings.database)
    settings = HubExt(state_dir=str(tmp_path / "other"), profiles_repository=str(origin.path))
    other = Platform(settings, database)
    for number in range(1, 4):
        commit = origin.commit({"maps/1.yaml": profile_text(memory=f"{number}Gi")})
        threads = [threading.Thread(target=one.repository.sync) for one in (platform, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert {one.catalog.refresh().commit for one in (platform, other)} == {commit}
        assert [named for _, _, named in acts(database)].count(commit) == 1
    database.dispose()


async def until(found: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(found):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_one_process_syncs_by_lease_and_another_goes_on_when_it_has_ended(
    platform: Platform, origin: Origin, database: Database
) -> None:
    first, second = (
        RepositoryWatch(database, one.repository, one.settings)
        for one in (platform, Platform(platform.settings, database))
    )
    commit = origin.commit(MAPS)
    task = asyncio.create_task(first.run())
    await until(lambda: platform.state().commit == commit)
    later = origin.commit({"rivers/1.yaml": profile_text("rivers")})
    second.look()
    assert platform.state().commit == commit
    await first.stop()
    await task
    second.look()
    assert platform.state().commit == later
    await second.stop()
    await second.run()


# --- people ----------------------------------------------------------------------------------------------------------


def test_curators_sync_others_are_refused_and_recorded(platform: Platform, origin: Origin) -> None:
    commit = origin.commit(MAPS)
    for who in (AMY, Person("rene", roles=frozenset({"reviewer"}))):
        desk = Desk(platform.database, platform.catalog, platform.settings, who)
        with pytest.raises(Forbidden):
            desk.sync()
    state = Desk(platform.database, platform.catalog, platform.settings, CLEO).sync()
    assert state["source"]["commit"] == commit
    assert [(who, outcome) for who, outcome, _ in acts(platform.database)] == [
        ("amy", "denied"),
        ("rene", "denied"),
        ("cleo", "allowed"),
    ]


def test_where_profiles_come_from_a_folder_there_is_nothing_to_sync(settings: HubExt, database: Database) -> None:
    settings.profiles_repository = ""
    desk = Desk(database, Platform(settings, database).catalog, settings, CLEO)
    assert desk.state()["source"] is None
    with pytest.raises(Conflict, match="Profiles come from a folder here"):
        desk.sync()


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REPOSITORY", "https://cleo:hunter2@git.example.org/p"),
        ("REPOSITORY", "http://git.example.org/p"),
        ("REF", "--upload-pack=x"),
        ("FOLDER", "../x"),
        ("SYNC_EVERY", "0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        HubExt.from_environment({f"HUB_EXT_PROFILES_{name}": value})
    assert caught.value.problems[0].field == f"HUB_EXT_PROFILES_{name}"
    assert "hunter2" not in caught.value.detail


def test_a_folder_and_a_repository_are_refused_together() -> None:
    both = {"HUB_EXT_PROFILES_DIR": "/p", "HUB_EXT_PROFILES_REPOSITORY": "/q"}
    with pytest.raises(InvalidInput, match="profiles come from a folder or from a repository"):
        HubExt.from_environment(both)
