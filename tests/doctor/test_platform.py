"""What the doctor sees of a platform: nothing where all is well, and each harm by its name with what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from jupyterhub import orm
from sqlalchemy import text

from hub_ext import audit
from hub_ext.db.session import Database, hold_lease
from hub_ext.db.tables import AuditRow
from hub_ext.db.types import now
from hub_ext.doctor import platform
from hub_ext.doctor.finding import Finding
from hub_ext.runs.rounds import LEASE
from hub_ext.settings import HubExt, shipped
from tests.governance.conftest import profile_text
from tests.repository.conftest import Origin

Look = Callable[[], dict[str, Finding]]


@pytest.fixture
def whole(settings: HubExt, database: Database) -> HubExt:
    """A platform that nothing is wrong with."""
    url = f"sqlite:///{settings.state / 'jupyterhub.sqlite'}"
    session = orm.new_session_factory(url)()
    session.close()
    session.get_bind().dispose()
    (settings.state / "keys").mkdir(mode=0o700)
    key = settings.state / "keys" / "crypt-key"
    key.touch(mode=0o600)
    hold_lease(database, LEASE, 600)
    return settings


@pytest.fixture
def look(whole: HubExt) -> Look:
    """What is found, by what was looked at; the worst of each."""

    def looked() -> dict[str, Finding]:
        order = {"ok": 0, "warn": 1, "fail": 2}
        found: dict[str, Finding] = {}
        for one in platform.look(whole, ""):
            if one.what not in found or order[one.state] > order[found[one.what].state]:
                found[one.what] = one
        return found

    return looked


def test_nothing_is_wrong_where_all_is_well(look: Look) -> None:
    found = look()
    assert {one.state for one in found.values()} == {"ok"}, found
    assert set(found) >= {
        "state folder",
        "keys",
        "database",
        "the Hub's database",
        "result store",
        "profiles",
        "record",
    }
    assert all(one.advice == "" for one in found.values())


def test_a_key_that_others_read_is_named(look: Look, whole: HubExt) -> None:
    (whole.state / "keys" / "crypt-key").chmod(0o644)
    found = look()["keys"]
    assert (found.state, "crypt-key" in found.detail) == ("fail", True)
    assert "chmod" in found.advice


def test_a_database_of_a_later_release_is_told(look: Look, database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    found = look()["database"]
    assert (found.state, "later release" in found.detail) == ("fail", True)


def test_no_database_is_told_and_the_rest_is_looked_at(look: Look, whole: HubExt, database: Database) -> None:
    database.dispose()
    (whole.state / "hub-ext.sqlite").unlink()
    found = look()
    assert found["database"].state == "fail"
    assert found["result store"].state == "ok"


def test_acts_that_nobody_seals_are_told(look: Look, database: Database) -> None:
    with database.write() as session:
        audit.record(session, "ann", "server.start", ("server", "ann"))
        session.flush()
        session.query(AuditRow).update({"at": now() - timedelta(minutes=5)})
    assert look()["record"].state == "warn"


def test_a_store_that_is_away_is_told(look: Look, whole: HubExt) -> None:
    (whole.state / "results").parent.mkdir(exist_ok=True)
    shutil.rmtree(whole.state / "results", ignore_errors=True)
    (whole.state / "results").write_text("no folder")
    found = look()["result store"]
    assert (found.state, bool(found.advice)) == ("fail", True)


def test_a_broken_profile_is_named(look: Look, whole: HubExt, tmp_path: Path) -> None:
    shutil.copytree(shipped("profiles"), tmp_path / "profiles")
    whole.profiles_dir = str(tmp_path / "profiles")
    (tmp_path / "profiles" / "standard" / "1.yaml").write_text("kind: [")
    found = look()["profiles"]
    assert (found.state, "standard/1.yaml" in found.detail) == ("fail", True)


def test_no_state_folder_is_told(tmp_path: Path) -> None:
    found = list(platform.look(HubExt(state_dir=str(tmp_path / "none")), ""))
    assert found[0].state == "fail"
    assert "is not there" in found[0].detail


def test_a_repository_of_profiles_is_asked_and_its_files_are_looked_at(
    look: Look, whole: HubExt, tmp_path: Path
) -> None:
    origin = Origin(tmp_path / "origin")
    whole.profiles_repository = str(origin.path)
    empty = look()["repository of profiles"]
    assert (empty.state, empty.detail) == ("fail", "There is no branch and no tag main in it.")
    commit = origin.commit({"maps/1.yaml": profile_text()})
    found = look()
    assert (found["repository of profiles"].state, found["profiles"].state) == ("ok", "ok")
    assert found["repository of profiles"].detail == f"main is {commit[:12]}"
    assert found["profiles"].detail.startswith("1 versions, ")
    origin.commit({"maps/1.yaml": "{"})
    assert "maps/1.yaml" in look()["profiles"].detail
    assert not (whole.state / "profiles").exists()
