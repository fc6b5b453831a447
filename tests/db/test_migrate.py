"""A migrated database is what the tables in code say, from any version, whoever migrates at the same time."""

import subprocess
import sys

import pytest
from alembic import command
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from hub_ext.db.migrate import USABLE_FROM, NewerDatabase, _config, differences, upgrade
from hub_ext.db.session import Database
from hub_ext.db.tables import Base

SCRIPTS = ScriptDirectory.from_config(_config())
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]


@pytest.fixture
def empty(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/hub-ext.sqlite")
    yield database
    database.dispose()


def shape(database):
    """Columns (name, whether they may be empty), keys, indexes and unique constraints of every table."""
    found = {}
    look = inspect(database.engine)
    for table in look.get_table_names():
        if table == "alembic_version":
            continue
        found[table] = (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(table)),
            look.get_pk_constraint(table)["constrained_columns"],
            sorted((index["name"], tuple(index["column_names"]), index["unique"]) for index in look.get_indexes(table)),
            sorted(tuple(one["column_names"]) for one in look.get_unique_constraints(table)),
            sorted((tuple(one["constrained_columns"]), one["referred_table"]) for one in look.get_foreign_keys(table)),
        )
    return found


def migrate(database, revision, *, down=False):
    config = _config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
        connection.commit()


def test_a_migrated_database_equals_the_tables(empty, tmp_path):
    upgrade(empty)
    made = Database(f"sqlite:///{tmp_path}/made.sqlite")
    Base.metadata.create_all(made.engine)
    assert differences(empty) == []
    assert shape(empty) == shape(made)
    assert len(shape(empty)) == len(Base.metadata.tables)
    made.dispose()


def test_a_database_that_lacks_something_differs(empty):
    upgrade(empty)
    with empty.engine.connect() as connection:
        connection.execute(text("DROP INDEX ix_runs_state"))
        connection.commit()
    assert [step[0] for step in differences(empty)] == ["add_index"]


def test_migrating_again_changes_nothing(empty):
    upgrade(empty)
    before = shape(empty)
    upgrade(empty)
    assert shape(empty) == before


def test_there_is_one_line_of_versions():
    heads = SCRIPTS.get_heads()
    assert heads == REVISIONS[-1:]
    assert sorted(REVISIONS) == list(REVISIONS)


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_version_leads_to_the_newest_and_back(empty, revision):
    migrate(empty, revision)
    before = shape(empty)
    upgrade(empty)
    assert differences(empty) == []
    migrate(empty, revision, down=True)
    assert shape(empty) == before


def test_what_was_published_before_the_gallery_had_its_orders_is_still_found(empty):
    migrate(empty, "0001")
    with empty.engine.connect() as connection:
        connection.execute(
            text(
                "INSERT INTO workflows (id, owner, name, title, description, tags, visibility, search, latest,"
                " created_at, updated_at)"
                " VALUES ('w-1', 'amy', 'rain', 'Rain', '', '[]', 'everyone', 'rain', 1, '2026-01-01', '2026-01-01')"
            )
        )
        connection.execute(text("INSERT INTO workflow_tags (workflow_id, tag) VALUES ('w-1', 'water')"))
        connection.commit()
    upgrade(empty)
    with empty.engine.connect() as connection:
        assert connection.execute(text("SELECT title_key FROM workflows")).scalar_one() == "rain"
        assert connection.execute(text("SELECT visibility FROM workflow_tags")).scalar_one() == "everyone"


MIGRATE = """
import sys
from hub_ext.db.migrate import differences, upgrade
from hub_ext.db.session import Database
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
upgrade(database)
print(differences(database), flush=True)
"""


def test_processes_that_start_at_once_migrate_once(empty):
    command_ = [sys.executable, "-c", MIGRATE, str(empty.url)]
    processes = [subprocess.Popen(command_, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["[]\n"] * 3
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_a_migration_that_fails_half_way_changes_nothing(empty, monkeypatch):
    migrate(empty, REVISIONS[0])
    before = shape(empty)
    real = Operations.create_index

    def create_index(self, name, *columns, **more):
        if name == "ix_workflow_tags_visible":
            raise InterruptedError
        return real(self, name, *columns, **more)

    monkeypatch.setattr(Operations, "create_index", create_index)
    with pytest.raises(InterruptedError):
        upgrade(empty)
    assert shape(empty) == before
    monkeypatch.undo()
    upgrade(empty)
    assert differences(empty) == []


def later(database, usable_from):
    """Let a database be as a release after this one leaves it."""
    upgrade(database)
    with database.engine.begin() as connection:
        if usable_from is not None:
            connection.execute(text("DROP TABLE IF EXISTS platform_state"))
            connection.execute(text("CREATE TABLE platform_state (id INTEGER, usable_from VARCHAR(32))"))
            connection.execute(text("INSERT INTO platform_state VALUES (1, :it)"), {"it": usable_from})
        connection.execute(text("CREATE TABLE of_the_next_release (id INTEGER)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


def test_a_release_works_on_tables_of_the_next_one_and_leaves_them(empty):
    later(empty, REVISIONS[-1])
    upgrade(empty)
    upgrade(empty)
    with empty.engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
        assert inspect(connection).has_table("of_the_next_release")


@pytest.mark.parametrize("usable_from", ["9998", ""])
def test_tables_of_a_release_further_on_are_refused_and_left(empty, usable_from):
    later(empty, usable_from)
    with pytest.raises(NewerDatabase, match=f"at 9999; this release knows those up to {REVISIONS[-1]}") as caught:
        upgrade(empty)
    assert "backup" in caught.value.hint
    assert inspect(empty.engine).has_table("of_the_next_release")


def test_what_never_was_a_version_is_refused(empty):
    upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'none'"))
        connection.execute(text("DROP TABLE platform_state"))
    with pytest.raises(NewerDatabase):
        upgrade(empty)


def test_each_release_says_which_may_use_its_tables(empty):
    upgrade(empty)
    with empty.engine.connect() as connection:
        assert connection.execute(text("SELECT usable_from FROM platform_state")).scalar() == USABLE_FROM
    assert USABLE_FROM in REVISIONS[:-1]
