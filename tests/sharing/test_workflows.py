"""One workflow: found by those who may, changed by its owner, kept at hand by anybody."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from hub_ext.db.tables import AuditRow, Favourite, Run, Workflow, WorkflowGroup, WorkflowTag
from hub_ext.db.types import now
from hub_ext.errors import Forbidden, InvalidInput, NotFound
from hub_ext.people import Person
from hub_ext.sharing import workflows
from hub_ext.sharing.fields import Fields
from hub_ext.sharing.listing import Query, listing


def refusal(database, person, owner, name):
    with database.read() as session, pytest.raises(NotFound) as caught:
        workflows.find(session, person, owner, name)
    return caught.value.detail, caught.value.hint, caught.value.problems


def acts(database):
    with database.read() as session:
        query = select(AuditRow).where(AuditRow.action == "workflow.update").order_by(AuditRow.id)
        return [(row.actor, row.object_id, row.outcome, row.detail) for row in session.scalars(query)]


# --- finding ---------------------------------------------------------------------------------------------------------


def test_what_one_may_not_see_and_what_is_not_there_are_told_in_the_same_words(publish, database, amy, eve):
    publish("rain")
    with database.read() as session:
        assert workflows.find(session, amy, "amy", "rain").name == "rain"
    assert refusal(database, eve, "amy", "rain") == refusal(database, eve, "amy", "never-was")


@pytest.mark.parametrize(
    ("owner", "name"), [("", ""), ("amy", "../x"), ("\x00", "rain"), ("amy", "\ud800"), ("a" * 5000, "x")]
)
def test_an_address_that_cannot_be_is_not_found(database, amy, owner, name):
    assert refusal(database, amy, owner, name)


def test_versions_come_newest_first_in_pages(publish, make_notebook, database, amy):
    for number in range(5):
        publish("rain", data=make_notebook(str(number)))
    with database.read() as session:
        workflow = workflows.find(session, amy, "amy", "rain")
        first = workflows.versions(session, workflow, limit=3)
        second = workflows.versions(session, workflow, limit=3, cursor=first.next)
        assert [row.number for row in first.items + second.items] == [5, 4, 3, 2, 1]
        assert (first.total, second.next) == (5, None)
        assert workflows.version(session, workflow).number == 5
        assert workflows.version(session, workflow, 2).number == 2
        for wrong in (0, -1, 6, 2**40):
            with pytest.raises(NotFound, match="has no version"):
                workflows.version(session, workflow, wrong)
        for limit in (0, 101):
            with pytest.raises(InvalidInput, match="limit"):
                workflows.versions(session, workflow, limit=limit)
        with pytest.raises(InvalidInput, match="cursor"):
            workflows.versions(session, workflow, cursor="nonsense")


# --- changing --------------------------------------------------------------------------------------------------------


def test_its_owner_changes_what_is_said_about_it(publish, database, amy):
    publish("rain", tags=("old",))
    change = Fields(title="Better", tags=("New",), visibility="groups", groups=("rivers",))
    changed = workflows.update(database, amy, "amy", "rain", change)
    assert (changed.title, changed.tags, changed.visibility) == ("Better", ["new"], "groups")
    ((actor, subject, outcome, detail),) = acts(database)
    assert (actor, subject, outcome) == ("amy", "amy/rain", "allowed")
    assert (detail["changed"], detail["groups"]) == (["title", "visibility", "tags", "groups"], ["rivers"])
    with database.read() as session:
        assert session.execute(select(WorkflowTag.tag, WorkflowTag.visibility)).all() == [("new", "groups")]
        assert listing(session, amy, Query(q="better new")).total == 1
        assert listing(session, amy, Query(q="old")).total == 0


def test_groups_leave_when_it_is_for_everyone(publish, database, amy):
    publish("rain", visibility="groups", groups=("rivers",))
    workflows.update(database, amy, "amy", "rain", Fields(visibility="everyone"))
    with database.read() as session:
        assert session.scalars(select(WorkflowGroup)).all() == []
        assert session.scalar(select(func.count()).select_from(Workflow)) == 1


def test_a_change_that_changes_nothing_leaves_no_trace(publish, database, amy):
    publish("rain", title="Rain")
    before = workflows.update(database, amy, "amy", "rain", Fields()).updated_at
    assert workflows.update(database, amy, "amy", "rain", Fields(title=" Rain ")).updated_at == before
    assert acts(database) == []


def test_what_cannot_be_changes_nothing_at_all(publish, database, amy):
    publish("rain", title="Rain")
    with pytest.raises(InvalidInput) as caught:
        workflows.update(database, amy, "amy", "rain", Fields(title="Better", visibility="public"))
    assert caught.value.problems[0].field == "visibility"
    with database.read() as session:
        assert workflows.find(session, amy, "amy", "rain").title == "Rain"


def test_somebody_who_sees_it_is_forbidden_to_change_it_and_the_attempt_is_recorded(publish, database, eve):
    publish("rain", visibility="everyone")
    with pytest.raises(Forbidden, match="Only amy"):
        workflows.update(database, eve, "amy", "rain", Fields(title="Mine"))
    assert [(actor, outcome) for actor, _, outcome, _ in acts(database)] == [("eve", "denied")]


def test_somebody_who_does_not_see_it_learns_nothing(publish, database, eve):
    publish("rain")
    with pytest.raises(NotFound):
        workflows.update(database, eve, "amy", "rain", Fields(title="Mine"))
    assert acts(database) == []


def test_a_publisher_changes_what_belongs_to_her_group_and_a_member_does_not(publish, database, amy, ben):
    publish("rain", owner="rivers", visibility="groups", groups=("rivers",))
    assert workflows.update(database, amy, "rivers", "rain", Fields(title="Ours")).title == "Ours"
    with pytest.raises(Forbidden):
        workflows.update(database, ben, "rivers", "rain", Fields(title="Mine"))


# --- keeping at hand -------------------------------------------------------------------------------------------------


def kept(database):
    with database.read() as session:
        return session.scalars(select(Favourite.user).order_by(Favourite.user)).all()


def test_keeping_twice_is_keeping_once_and_letting_go_twice_too(publish, database, amy, eve):
    publish("rain", visibility="everyone")
    for _ in range(2):
        workflows.set_favourite(database, eve, "amy", "rain", on=True)
        workflows.set_favourite(database, amy, "amy", "rain", on=True)
    assert kept(database) == ["amy", "eve"]
    for _ in range(2):
        workflows.set_favourite(database, eve, "amy", "rain", on=False)
    assert kept(database) == ["amy"]


def test_keeping_at_once_is_keeping_once(publish, database, amy):
    publish("rain")
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: workflows.set_favourite(database, amy, "amy", "rain", on=True), range(6)))
    assert kept(database) == ["amy"]


def test_nobody_keeps_what_she_may_not_see(publish, database, eve):
    publish("rain")
    with pytest.raises(NotFound):
        workflows.set_favourite(database, eve, "amy", "rain", on=True)
    assert kept(database) == []


# --- what one sees first ---------------------------------------------------------------------------------------------


def test_home_shows_ones_own_last_three_runs_and_three_favourites(publish, database, amy, eve):
    for number in range(4):
        publish(f"flow-{number}", visibility="everyone")
        workflows.set_favourite(database, eve, "amy", f"flow-{number}", on=True)
    with database.write() as session:
        workflow = workflows.find(session, amy, "amy", "flow-0")
        version = workflows.version(session, workflow)
        for number in range(5):
            session.add(
                Run(id=f"r-{number}", workflow_id=workflow.id, version_id=version.id, profile="standard",
                    caller="amy" if number == 4 else "eve", created_at=now() + timedelta(seconds=number),
                    process=None, error=None)
            )  # fmt: skip
    with database.read() as session:
        found = workflows.home(session, eve)
        empty = workflows.home(session, Person("new"))
    assert [run.id for run in found.runs] == ["r-3", "r-2", "r-1"]
    assert {run.workflow.title for run in found.runs} == {"Rain by month"}
    assert [item.name for item in found.favourites] == ["flow-3", "flow-2", "flow-1"]
    assert (empty.runs, empty.favourites) == ([], [])
