"""A notebook becomes a version: once for each content, in order, whatever happens at the same time."""

import base64
import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Change, Version, Workflow, WorkflowGroup, WorkflowTag
from hub_ext.errors import Conflict, Forbidden, InvalidInput, StorageFull, TooLarge, Unavailable
from hub_ext.people import EXAMPLES, Person
from hub_ext.sharing import publishing
from hub_ext.sharing.publishing import Draft, Publisher
from hub_ext.store import Store

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 4000).decode()


def rows(database, table):
    with database.read() as session:
        return session.scalars(select(table).order_by(table.id)).all()


def one(database, table=Workflow):
    (row,) = rows(database, table)
    return row


def acts(database):
    return [(row.actor, row.action, row.object_id, row.outcome, row.detail) for row in rows(database, AuditRow)]


# --- a new workflow --------------------------------------------------------------------------------------------------


def test_a_new_workflow_takes_what_is_not_said_from_its_notebook(publisher, amy, make_notebook, database):
    data = make_notebook(title="Rain by Month", text="How much?", tags=["water"], profile="large-memory")
    found = publisher.publish(amy, Draft(data, "rain"))
    workflow, version = one(database), one(database, Version)
    assert (found.owner, found.name, found.version, found.created) == ("amy", "rain", 1, True)
    assert found.workflow_id == workflow.id
    assert (workflow.title, workflow.description, workflow.tags) == ("Rain by Month", "How much?", ["water"])
    assert (workflow.visibility, workflow.latest) == ("private", 1)
    assert (version.author, version.profile, version.cells, version.number) == ("amy", "large-memory", 2, 1)
    assert version.schema["properties"]["start"]["default"] == 3


def test_what_the_draft_says_goes_before_what_the_notebook_says(publisher, amy, make_notebook, database):
    draft = Draft(
        make_notebook(title="Of the notebook", tags=["notebook"], profile="large-memory"),
        "rain", title="Mine", description="Mine.", tags=("Own",), profile="quick-look",
        visibility="groups", groups=("rivers",), message="First.",
    )  # fmt: skip
    publisher.publish(amy, draft)
    workflow, version = one(database), one(database, Version)
    assert (workflow.title, workflow.description, workflow.tags) == ("Mine", "Mine.", ["own"])
    assert (version.profile, version.message) == ("quick-look", "First.")
    with database.read() as session:
        assert session.scalars(select(WorkflowGroup.group)).all() == ["rivers"]
        assert session.execute(select(WorkflowTag.tag, WorkflowTag.visibility)).all() == [("own", "groups")]


def test_a_notebook_without_a_title_is_called_by_its_name(publisher, amy, make_notebook, database):
    publisher.publish(amy, Draft(make_notebook(title=None), "rain-by-month"))
    assert one(database).title == "Rain by month"


def test_the_file_and_its_picture_are_stored_under_their_own_hash(publisher, amy, make_notebook, database, store):
    publisher.publish(amy, Draft(make_notebook(picture=PNG), "rain"))
    version, workflow = one(database, Version), one(database)
    for key, folder in ((version.notebook, "versions"), (workflow.picture, "pictures")):
        stem = Path(key).stem
        assert key.startswith(f"{folder}/")
        assert hashlib.sha256(store.get(key)).hexdigest() == stem
    assert store.get(workflow.picture).startswith(b"\x89PNG")


def test_the_act_is_recorded_and_open_pages_hear_of_it_without_a_name(publisher, amy, make_notebook, database):
    found = publisher.publish(amy, Draft(make_notebook(), "rain"))
    ((actor, action, subject, outcome, detail),) = acts(database)
    assert (actor, action, subject, outcome) == ("amy", "workflow.publish", "amy/rain", "allowed")
    assert (detail["version"], detail["new_version"], detail["visibility"]) == (1, True, "private")
    change = one(database, Change)
    assert (change.topic, change.payload) == ("workflows", {"id": found.workflow_id})


# --- the next version ------------------------------------------------------------------------------------------------


def test_another_content_under_the_same_name_is_the_next_version(publish, make_notebook, database):
    first = publish("rain", data=make_notebook("1"), title="Kept", tags=("kept",), visibility="everyone")
    second = publish("rain", data=make_notebook("2", title="Other", profile="large-memory"))
    assert (first.version, second.version, second.created) == (1, 2, True)
    assert first.workflow_id == second.workflow_id
    workflow = one(database)
    assert (workflow.title, workflow.tags, workflow.visibility, workflow.latest) == ("Kept", ["kept"], "everyone", 2)
    assert [version.profile for version in rows(database, Version)] == ["standard", "large-memory"]


def test_the_same_content_answers_with_the_version_that_exists_and_leaves_no_trace(publish, make_notebook, database):
    for code in ("1", "2"):
        publish("rain", data=make_notebook(code))
    before = (one(database).updated_at, len(acts(database)))
    again = publish("rain", data=make_notebook("1"))
    assert (again.version, again.created) == (1, False)
    assert (one(database).updated_at, len(acts(database))) == before
    assert one(database).latest == 2


def test_the_same_content_still_changes_what_the_draft_says_about_the_workflow(publish, make_notebook, database):
    publish("rain", data=make_notebook("1"))
    again = publish("rain", data=make_notebook("1"), title="Better", visibility="everyone")
    assert (again.version, again.created) == (1, False)
    assert (one(database).title, one(database).visibility) == ("Better", "everyone")
    detail = acts(database)[-1][-1]
    assert (detail["new_version"], detail["changed"]) == (False, ["title", "visibility"])


def test_how_the_file_was_written_makes_no_version(publish, make_notebook):
    data = make_notebook("1")
    publish("rain", data=data)
    assert publish("rain", data=data.replace(b": ", b":")).created is False


def test_a_version_keeps_its_profile_and_the_next_one_inherits_it(publish, make_notebook, database):
    publish("rain", data=make_notebook("1"), profile="large-memory")
    with pytest.raises(Conflict, match=r"Version 1 .* runs with the profile large-memory") as caught:
        publish("rain", data=make_notebook("1"), profile="quick-look")
    assert caught.value.problems[0].field == "profile"
    publish("rain", data=make_notebook("1"), profile="large-memory")
    publish("rain", data=make_notebook("2"))
    assert [version.profile for version in rows(database, Version)] == ["large-memory", "large-memory"]


def test_two_people_may_use_one_name_and_one_content(publish, make_notebook, ben):
    assert publish("rain", data=make_notebook()).workflow_id != publish("rain", ben, data=make_notebook()).workflow_id


# --- for a group -----------------------------------------------------------------------------------------------------


def test_a_publisher_publishes_for_her_group(publish, database):
    assert publish("rain", owner="rivers", visibility="groups", groups=("rivers",)).owner == "rivers"
    assert (one(database).owner, one(database, Version).author) == ("rivers", "amy")


@pytest.mark.parametrize("owner", ["rivers", "amy", EXAMPLES, "nobody", "a/b", "\ud800"])
def test_for_anybody_else_it_is_refused_and_recorded(publish, ben, database, owner):
    with pytest.raises(Forbidden) as caught:
        publish("rain", ben, owner=owner)
    assert caught.value.problems[0].field == "owner"
    ((actor, action, subject, outcome, _),) = acts(database)
    assert (actor, action, outcome) == ("ben", "workflow.publish", "denied")
    assert subject.endswith("/rain")
    assert rows(database, Workflow) == []


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": "../x"}, {"name"}),
        ({"name": "💧"}, {"name"}),
        ({"name": "x" * 300}, {"name"}),
        ({"title": "x" * 201, "tags": ("y" * 33,)}, {"title", "tags"}),
        ({"profile": "standrad", "visibility": "public"}, {"profile", "visibility"}),
        ({"profile": ""}, {"profile"}),
        ({"groups": ("lakes",), "visibility": "groups"}, {"groups"}),
        ({"message": "x" * 1001}, {"message"}),
        ({"message": "\ud800"}, {"message"}),
        ({"data": b"not json"}, None),
        ({"data": b""}, None),
    ],
)
def test_nothing_is_half_made_by_what_cannot_be(publisher, amy, make_notebook, database, store, fields, named):
    with pytest.raises(InvalidInput) as caught:
        publisher.publish(amy, Draft(**{"data": make_notebook(), "name": "rain"} | fields))
    assert named is None or {problem.field for problem in caught.value.problems} == named
    assert rows(database, Workflow) == rows(database, AuditRow) == []
    assert not store.exists("versions")


def test_a_misspelt_profile_is_answered_with_the_one_that_was_meant(publish):
    with pytest.raises(InvalidInput, match="did you mean standard"):
        publish("rain", profile="standrad")


def test_somebody_without_a_profile_has_to_name_one(publish, database):
    new = Person("new")
    with pytest.raises(InvalidInput, match="name the profile"):
        publish("rain", new)
    assert rows(database, Workflow) == []
    assert publish("rain", new, profile="standard").created


def test_a_notebook_above_the_limit_is_refused(database, store, catalog_store, settings, amy, make_notebook):
    settings.upload_limit = 1024
    with pytest.raises(TooLarge):
        Publisher(database, store, catalog_store, settings).publish(amy, Draft(make_notebook("x" * 2000), "rain"))


# --- a store or a database that fails --------------------------------------------------------------------------------


def test_no_row_is_made_for_a_file_that_could_not_be_stored(database, catalog_store, settings, amy, make_notebook):
    (settings.state / "results").write_text("a file where the folder should be")
    broken = Publisher(database, Store(settings.results), catalog_store, settings)
    with pytest.raises((Unavailable, StorageFull)):
        broken.publish(amy, Draft(make_notebook(), "rain"))
    assert rows(database, Workflow) == []


@pytest.mark.backends("sqlite")
def test_a_file_is_there_before_the_row_that_names_it(database, store, catalog_store, settings, amy, make_notebook):
    database.engine.dispose()
    (settings.state / "hub-ext.sqlite").unlink()  # an empty database: the row cannot be made
    lost = Publisher(Database(settings.database), store, catalog_store, settings)
    lost._check = lambda *_: None  # these ask the database first
    lost._entitlements = lambda _: ()
    with pytest.raises(Unavailable):
        lost.publish(amy, Draft(make_notebook(), "rain"))
    assert store.exists("versions")
    lost.database.dispose()


# --- at the same time ------------------------------------------------------------------------------------------------


def at_once(count, act):
    """Do something in many threads that begin together; return what came of each."""
    begin = threading.Barrier(count)

    def wait_and_act(number):
        begin.wait(10)
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(wait_and_act, range(count)))


def test_different_contents_at_once_get_numbers_without_gap_or_repeat(publish, make_notebook, database):
    found = at_once(8, lambda number: publish("rain", data=make_notebook(str(number))))
    assert sorted(one.version for one in found) == list(range(1, 9))
    assert all(one.created for one in found)
    assert one(database).latest == 8
    assert len({version.digest for version in rows(database, Version)}) == 8


def test_the_same_content_at_once_is_made_once(publish, make_notebook, database):
    found = at_once(8, lambda _: publish("rain", data=make_notebook("same")))
    assert [one.version for one in found] == [1] * 8
    assert sum(one.created for one in found) == 1
    assert len(rows(database, Version)) == 1
    assert len(acts(database)) == 1


PROCESSES = """
import os, sys
from hub_ext.db.session import Database
from hub_ext.decisions import CatalogStore
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.sharing.publishing import Draft, Publisher
from hub_ext.store import Store

ready, go = os.pipe(), os.pipe()

def publish(*paths):
    settings = HubExt.from_environment()
    publisher = Publisher(Database(settings.database), Store(settings.results), CatalogStore(settings), settings)
    os.write(ready[1], b".")
    os.read(go[0], 1)
    for path in paths:
        with open(path, "rb") as file:
            found = publisher.publish(Person("amy", frozenset({"analysts"})), Draft(file.read(), "rain"))
        os.write(1, f"{os.getpid()} {found.version} {found.created}\\n".encode())  # one line, whole

same, *others = sys.argv[1:]
children = []
for other in others:  # each loads its modules with us, and its database by itself
    children.append(os.fork())
    if not children[-1]:
        try:
            publish(same, other)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
for _ in children:
    assert os.read(ready[0], 1)
os.write(go[1], b"." * len(children))
sys.exit(max(os.waitpid(child, 0)[1] for child in children) != 0)
"""


def test_processes_at_once_agree_too(settings, database, make_notebook, tmp_path):
    paths = []
    for name in ("same", "a", "b", "c"):
        path = tmp_path / f"{name}.ipynb"
        path.write_bytes(make_notebook(name))
        paths.append(str(path))
    environment = {**os.environ, **settings.to_environment()}
    command = [sys.executable, "-c", PROCESSES, *paths]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    first = [next(line for line in lines if line[0] == process) for process in {line[0] for line in lines}]
    assert len(first) == 3
    assert sum(line[2] == "True" for line in first) == 1, "the content that all have is made by one"
    assert len({line[1] for line in first}) == 1
    assert sorted(version.number for version in rows(database, Version)) == [1, 2, 3, 4]


def test_two_that_a_database_lets_in_at_once_are_told_apart(publish, make_notebook, database, monkeypatch):
    """PostgreSQL does; here somebody else's workflow is committed, and this transaction has not seen it."""
    publish("rain", data=make_notebook("1"))
    real, blind = publishing._find, [True]

    def find(session, owner, name, *, lock=False):
        return None if lock and blind and blind.pop() else real(session, owner, name, lock=lock)

    monkeypatch.setattr(publishing, "_find", find)
    found = publish("rain", data=make_notebook("2"))
    assert (found.version, found.created) == (2, True)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Workflow)) == 1


def test_a_race_that_is_lost_again_and_again_is_told(publish, make_notebook, monkeypatch):
    publish("rain", data=make_notebook("1"))
    monkeypatch.setattr(publishing, "_find", lambda *_args, **_more: None)
    with pytest.raises(Conflict, match="at this very moment"):
        publish("rain", data=make_notebook("2"))
