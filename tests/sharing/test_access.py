"""Who sees a workflow, and who may change it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import Base, Workflow, WorkflowGroup
from hub_ext.people import EXAMPLES, Person
from hub_ext.sharing.access import may_edit, publishable_owners, visible_to

NAMES = ["amy", "ben", "rivers", "lakes"]
GROUPS = ["rivers", "lakes", "rivers-publishers", "lakes-publishers", "hub-ext-admins"]
PEOPLE = st.builds(Person, st.sampled_from(NAMES), st.frozensets(st.sampled_from(GROUPS)))


def workflow(owner, visibility, groups=(), name="flow"):
    row = Workflow(owner=owner, name=name, title=name, visibility=visibility)
    row.groups = [WorkflowGroup(group=group) for group in groups]
    return row


def should_see(person, owner, visibility, groups):
    """The rule once more, in plain words."""
    publishes_for = {group[: -len("-publishers")] for group in person.groups if group.endswith("-publishers")}
    if visibility == "everyone" or owner == person.name or owner in publishes_for:
        return True
    return visibility == "groups" and bool(person.groups & set(groups))


@pytest.fixture(scope="module")
def everything():
    """Every kind of workflow that there is, in one database."""
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    kinds = itertools.product(NAMES, ("private", "groups", "everyone"), ((), ("rivers",), ("lakes", "rivers")))
    with database.write() as session:
        for number, (owner, visibility, groups) in enumerate(kinds):
            session.add(workflow(owner, visibility, groups, f"flow-{number}"))
    yield database
    database.dispose()


@given(person=PEOPLE)
def test_exactly_what_the_rule_says_is_visible(everything, person):
    with everything.read() as session:
        seen = set(session.scalars(select(Workflow.id).where(visible_to(person))))
        for row in session.scalars(select(Workflow)):
            groups = [entry.group for entry in row.groups]
            assert (row.id in seen) == should_see(person, row.owner, row.visibility, groups), row.name


def test_groups_of_a_workflow_that_is_private_again_see_nothing(everything):
    with everything.read() as session:
        member = Person("x", frozenset({"rivers", "lakes"}))
        private = select(Workflow.id).where(Workflow.visibility == "private", visible_to(member))
        assert session.scalars(private).all() == []


def test_an_admin_sees_no_more_than_anybody(everything):
    with everything.read() as session:
        admin = Person("root", frozenset(), frozenset({"admin"}))
        assert set(session.scalars(select(Workflow.visibility).where(visible_to(admin)))) == {"everyone"}


def test_one_publishes_for_oneself_and_for_groups_whose_publisher_one_is():
    amy = Person("amy", frozenset({"lakes", "rivers-publishers", "coast-publishers", "analysts"}))
    assert publishable_owners(amy) == ["amy", "coast", "rivers"]


@pytest.mark.parametrize("group", [EXAMPLES, "", "a/b", "..", "a b", "a\nb", "a\\b", "\ud800"])
def test_nobody_publishes_under_a_name_that_is_no_owner(group):
    assert publishable_owners(Person("amy", frozenset({f"{group}-publishers"}))) == ["amy"]


def test_a_group_does_not_turn_a_person_into_her_own_publisher_twice():
    assert publishable_owners(Person("amy", frozenset({"amy-publishers"}))) == ["amy"]


def test_the_owner_and_publishers_may_edit_and_members_may_not():
    mine, ours = workflow("amy", "everyone"), workflow("rivers", "groups", ["rivers"])
    amy = Person("amy", frozenset({"rivers-publishers"}))
    ben = Person("ben", frozenset({"rivers"}), frozenset({"admin", "curator"}))
    assert may_edit(amy, mine)
    assert may_edit(amy, ours)
    assert not may_edit(ben, mine)
    assert not may_edit(ben, ours)
