"""The gallery: everything that one may see, once, in order, found by words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from hub_ext.db.session import Database
from hub_ext.db.tables import Base, Favourite, Version, Workflow, WorkflowGroup, WorkflowTag
from hub_ext.errors import InvalidInput
from hub_ext.people import Person
from hub_ext.sharing.fields import put_search
from hub_ext.sharing.listing import Listing, Query, favourites, listing

AMY = Person("amy", frozenset({"rivers"}))
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def add(database, name, *, owner="ben", visibility="everyone", groups=(), tags=(), day=0, used=None, **more):
    verified = more.pop("verified", False)
    with database.write() as session:
        row = Workflow(owner=owner, name=name, visibility=visibility, tags=list(tags), latest=1, description="")
        row.title = more.pop("title", name)
        row.updated_at = DAY + timedelta(days=day)
        row.last_run_at = None if used is None else DAY + timedelta(days=used)
        for field, value in more.items():
            setattr(row, field, value)
        put_search(row)
        session.add(row)
        session.flush()
        session.add_all(WorkflowTag(workflow_id=row.id, tag=tag, visibility=visibility) for tag in tags)
        session.add_all(WorkflowGroup(workflow_id=row.id, group=group) for group in groups)
        version = Version(workflow_id=row.id, number=1, digest=name, author=owner, profile="standard", schema={})
        version.notebook, version.verified_at = "versions/x.ipynb", DAY if verified else None
        session.add(version)
    return row.id


def look(database, person=AMY, **query):
    with database.read() as session:
        return listing(session, person, Query(**query))


def names(found: Listing):
    return [item.name for item in found.items]


def all_pages(database, person=AMY, **query):
    found, cursor = [], None
    for _ in range(200):
        page = look(database, person, cursor=cursor, **query)
        assert len(page.items) <= query.get("limit", 25)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found
    raise AssertionError("the pages never end")


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_an_empty_gallery_is_an_empty_page(database):
    assert look(database) == Listing([], None, 0, [])


def test_a_row_tells_what_one_wants_to_know(database):
    more = {"title": "Rain", "description": "word " * 100, "verified": True, "picture": "pictures/x.png"}
    id_ = add(database, "rain", tags=["water"], day=3, used=4, **more)
    with database.write() as session:
        session.add(Favourite(user="amy", workflow_id=id_))
    (item,) = look(database).items
    assert (item.id, item.owner, item.name, item.title, item.version) == (id_, "ben", "rain", "Rain", 1)
    assert (item.tags, item.visibility, item.verified, item.favourite) == (("water",), "everyone", True, True)
    assert (item.updated_at, item.last_run_at) == (DAY + timedelta(days=3), DAY + timedelta(days=4))
    assert (item.picture, item.health.words()) == ("pictures/x.png", "no runs yet")
    assert len(item.description) <= 300
    assert item.description.endswith("word…")


def test_only_what_may_be_seen_is_listed_and_counted(database):
    add(database, "open")
    add(database, "mine", owner="amy", visibility="private")
    add(database, "ours", visibility="groups", groups=["rivers"])
    add(database, "theirs", visibility="groups", groups=["lakes"])
    add(database, "secret", visibility="private")
    found = look(database)
    assert sorted(names(found)) == ["mine", "open", "ours"]
    assert found.total == 3
    assert look(database, q="secret").total == look(database, owner="ben", q="theirs").total == 0


def test_a_favourite_is_ones_own(database):
    id_ = add(database, "rain")
    with database.write() as session:
        session.add(Favourite(user="ben", workflow_id=id_))
    assert look(database).items[0].favourite is False
    assert names(look(database, Person("ben"), favourite=True)) == ["rain"]
    assert names(look(database, favourite=True)) == []


# --- order and pages -------------------------------------------------------------------------------------------------


def test_the_three_orders(database):
    add(database, "a", title="Éclair", day=1, used=None)
    add(database, "b", title="zebra", day=3, used=1)
    add(database, "c", title="Apple", day=2, used=2, owner="amy", visibility="private")
    assert names(look(database)) == ["b", "c", "a"]
    assert names(look(database, sort="used")) == ["c", "b", "a"]
    assert names(look(database, sort="title")) == ["c", "a", "b"]


@pytest.fixture(scope="module")
def many():
    """Sixty workflows with many ties."""
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    for number in range(60):
        add(
            database, f"flow-{number}", title=f"Flow {number % 5}", day=number % 4, used=(None, 1, 2)[number % 3],
            owner=("ben", "amy")[number % 2], visibility=("everyone", "private", "groups")[number % 3],
            groups=["rivers"] if number % 3 == 2 else [], tags=[f"tag-{number % 2}"],
        )  # fmt: skip
    yield database
    database.dispose()


@given(
    sort=st.sampled_from(["updated", "used", "title"]),
    limit=st.integers(1, 30),
    q=st.sampled_from(["", "flow", "flow 3"]),
    tag=st.sampled_from([None, "tag-1"]),
)
def test_pages_hold_everything_once_in_one_order(many, sort, limit, q, tag):
    whole = [item.id for item in all_pages(many, sort=sort, q=q, tag=tag, limit=100)]
    pages = [item.id for item in all_pages(many, sort=sort, q=q, tag=tag, limit=limit)]
    assert pages == whole
    assert len(set(whole)) == len(whole) == look(many, q=q, tag=tag, limit=limit).total


def test_the_total_is_the_same_on_every_page_and_past_the_end(many):
    first = look(many, q="flow", limit=30)
    second = look(many, q="flow", limit=30, cursor=first.next)
    assert first.total == second.total
    past = look(many, q="flow 3", cursor=first.next)
    assert past.total == look(many, q="flow 3").total


def test_a_page_goes_on_where_the_last_one_ended_though_others_publish(database):
    for number in range(6):
        add(database, f"flow-{number}", day=number)
    first = look(database, limit=3)
    add(database, "new", day=9)
    assert names(look(database, limit=3, cursor=first.next)) == ["flow-2", "flow-1", "flow-0"]


# --- search ----------------------------------------------------------------------------------------------------------


def test_every_word_is_needed_wherever_it_stands(database):
    add(database, "rain", title="Rain by month", tags=["water"], description="From the gauges.")
    add(database, "snow", title="Snow by month", owner="carla")
    for q in ("rain", "MONTH rain", "gauge", "water", "ain"):
        assert names(look(database, q=q)) == ["rain"], q
    assert names(look(database, q="carla")) == ["snow"]
    assert names(look(database, q="rain snow")) == []


def test_case_and_accents_do_not_matter(database):
    add(database, "size", title="Größe der Übersicht")
    assert all(names(look(database, q=q)) == ["size"] for q in ("grösse", "GROSSE", "ubersicht", "Übersicht"))


def test_a_title_comes_before_all_else_then_the_order_asked_for(database):
    add(database, "old", title="Storm", day=1)
    add(database, "half", title="Storm", description="wind", day=2)
    add(database, "both", title="Wind and storm", day=0)
    add(database, "new", title="Other", description="storm wind", day=9)
    assert names(look(database, q="storm")) == ["half", "old", "both", "new"]
    assert names(look(database, q="storm wind")) == ["both", "half", "new"]
    pages = [item.name for item in all_pages(database, q="storm", limit=1)]
    assert pages == ["half", "old", "both", "new"]


def test_signs_that_mean_something_to_a_database_are_only_signs(database):
    add(database, "share", title="100 % of a_b", description="it's \\ /x")
    add(database, "plain", title="100 of acb")
    for q in ("%", "a_b", "it's", "\\", "/x", "100 %"):
        assert names(look(database, q=q)) == ["share"], q


@given(st.text(st.characters(), max_size=20))
def test_no_search_whatever_breaks(many, q):
    total = look(many, q=q).total
    assert look(many, q=q, tag=q, owner=q).total <= total


# --- filters and tags ------------------------------------------------------------------------------------------------


def test_filters_narrow_and_add_up(database):
    add(database, "a", tags=["water", "sea"])
    add(database, "b", tags=["water"], owner="carla")
    add(database, "c", owner="carla")
    assert names(look(database, tag=" Water ")) == ["b", "a"]
    assert names(look(database, owner="carla")) == ["c", "b"]
    assert names(look(database, owner="carla", tag="water", q="b")) == ["b"]
    assert look(database, tag="water").total == 2
    assert look(database, tag="nothing") == Listing([], None, 0, [("water", 2), ("sea", 1)])
    assert look(database, owner="\x00").total == look(database, tag="\ud800").total == 0


def test_tags_are_counted_over_what_one_may_see_the_most_used_first(database):
    add(database, "a", tags=["water", "sea"])
    add(database, "b", tags=["water"], visibility="groups", groups=["rivers"])
    add(database, "c", tags=["water", "secret"], visibility="private")
    add(database, "d", tags=["mine"], visibility="private", owner="amy")
    with database.read() as session:
        assert listing(session, AMY, Query()).tags == [("water", 2), ("mine", 1), ("sea", 1)]
        assert listing(session, Person("ben"), Query()).tags == [("water", 3), ("sea", 1), ("secret", 1)]


def test_favourites_are_the_latest_kept_that_one_may_still_see(database):
    ids = [add(database, name) for name in ("a", "b", "c")] + [add(database, "gone", visibility="private")]
    with database.write() as session:
        for number, id_ in enumerate(ids):
            session.add(Favourite(user="amy", workflow_id=id_, created_at=DAY + timedelta(days=number)))
    with database.read() as session:
        assert [item.name for item in favourites(session, AMY, 2)] == ["c", "b"]


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"sort": "random"}, "sort"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"q": "x" * 10_000}, "q"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(database, query, named):
    with pytest.raises(InvalidInput) as caught:
        look(database, **query)
    assert caught.value.problems[0].field == named


def test_a_cursor_of_another_order_is_refused(many):
    cursor = look(many, sort="title", limit=5).next
    with pytest.raises(InvalidInput, match="for this order"):
        look(many, sort="used", cursor=cursor)


# --- what it costs ---------------------------------------------------------------------------------------------------


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("sort", ["updated", "used", "title"])
def test_a_page_is_read_from_indexes_and_never_from_whole_tables(database, sort):
    add(database, "rain", tags=["water"])
    statements = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])), named=False
    )
    cursor = None
    for _ in range(2):
        page = look(database, sort=sort, cursor=cursor)
        add(database, f"more-{len(statements)}")
        cursor = look(database, sort=sort, limit=1).next
    assert page.total
    with database.engine.connect() as connection:
        plans = [
            [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            for statement, values in list(statements)
            if statement.startswith("SELECT")
        ]
    steps = [step for plan in plans for step in plan]
    index = {"updated": "listing", "used": "used", "title": "title"}[sort]
    assert any(f"COVERING INDEX ix_workflows_{index} (visibility=?" in step for step in steps)
    assert any("runs USING COVERING INDEX ix_runs_workflow_ended" in step for step in steps)
    tables = ("workflows", "workflows_1", "workflow_tags", "versions", "runs", "favourites")
    assert [step for step in steps if step.startswith("SCAN") and step.split()[1] in tables] == []
