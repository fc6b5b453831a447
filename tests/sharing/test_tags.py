"""Tags of the gallery: counted anew when something has changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select

from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.db.tables import Workflow, WorkflowTag
from hub_ext.people import Person
from hub_ext.sharing import tags
from hub_ext.sharing.tags import tags_of

AMY = Person("amy")
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def tag(database: Database, name: str, *found: str, day: int = 0, visibility: str = "everyone") -> None:
    """Publish a workflow with these tags, or change those it has."""
    with database.write() as session:
        known = session.scalar(select(Workflow).where(Workflow.name == name))
        row = known or Workflow(owner="ben", name=name, title=name)
        row.visibility, row.updated_at = visibility, DAY + timedelta(days=day)
        session.add(row)
        session.flush()
        for old in session.scalars(select(WorkflowTag).where(WorkflowTag.workflow_id == row.id)):
            session.delete(old)
        session.flush()
        session.add_all(WorkflowTag(workflow_id=row.id, tag=one, visibility=visibility) for one in found)


def look(database: Database, person: Person = AMY) -> dict[str, int]:
    with database.read() as session:
        everyones = session.scalar(select(func.count()).where(Workflow.visibility == "everyone")) or 0
        return dict(tags_of(session, person, everyones))


def test_a_change_is_seen_at_once(database: Database) -> None:
    tag(database, "a", "water", "sea")
    tag(database, "b", "water")
    assert look(database) == {"water": 2, "sea": 1}
    tag(database, "a", "fire", day=1)
    assert look(database) == {"water": 1, "fire": 1}
    tag(database, "b", "water", day=2, visibility="private")
    assert look(database) == {"fire": 1}
    assert look(database, Person("ben")) == {"fire": 1, "water": 1}
    tag(database, "c", "ice", day=-1)  # dated before the others: there is one more
    assert look(database) == {"fire": 1, "ice": 1}


def test_nothing_is_counted_again_while_nothing_has_changed(database: Database) -> None:
    tag(database, "a", "water")
    look(database)
    asked: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    assert look(database) == look(database, Person("ben")) == {"water": 1}
    assert not [one for one in asked if "GROUP BY" in one and "visibility = " in one and "workflow_id IN" not in one]


def test_a_change_that_leaves_no_trace_is_seen_half_a_minute_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag(database, "last", "water", day=9)
    tag(database, "a", "sea")
    assert look(database) == {"water": 1, "sea": 1}
    tag(database, "a", "fire", day=1)  # committed later, dated earlier than the last
    now = tags.time.monotonic()
    monkeypatch.setattr("hub_ext.sharing.tags.time.monotonic", lambda: now + 31)
    assert look(database) == {"water": 1, "fire": 1}


def test_another_database_has_other_tags(database: Database, tmp_path: object) -> None:
    tag(database, "a", "water")
    assert look(database) == {"water": 1}
    other = Database(f"sqlite:///{tmp_path}/other.sqlite")
    try:
        upgrade(other)
        assert look(other) == {}
    finally:
        other.dispose()
