"""The workflows that ship are there after a start, once, whatever else lies in their folder."""

import pytest
import structlog
from sqlalchemy import select

from hub_ext.db.tables import AuditRow, Workflow
from hub_ext.people import EXAMPLES
from hub_ext.sharing.listing import Query, listing
from hub_ext.sharing.shipped import publish_shipped


@pytest.fixture
def folder(tmp_path, make_notebook):
    folder = tmp_path / "notebooks"
    (folder / "deeper").mkdir(parents=True)
    (folder / "rain_by month.ipynb").write_bytes(make_notebook("1", title="Rain", tags=["water"]))
    (folder / "snow.ipynb").write_bytes(make_notebook("2", title="Snow", profile="large-memory"))
    (folder / "deeper" / "other.ipynb").write_bytes(make_notebook("3"))
    (folder / "README.md").write_text("About these notebooks.")
    return folder


def test_they_belong_to_examples_and_everybody_sees_them(publisher, folder, database, eve):
    found = publish_shipped(publisher, folder)
    assert [(one.owner, one.name, one.version, one.created) for one in found] == [
        (EXAMPLES, "rain-by-month", 1, True),
        (EXAMPLES, "snow", 1, True),
    ]
    with database.read() as session:
        page = listing(session, eve, Query(sort="title"))
    assert [(item.title, item.tags, item.visibility) for item in page.items] == [
        ("Rain", ("water",), "everyone"),
        ("Snow", (), "everyone"),
    ]


def test_a_second_start_changes_nothing(publisher, folder, database):
    def traces():
        with database.read() as session:
            return session.scalars(select(AuditRow.id)).all(), session.scalars(select(Workflow.updated_at)).all()

    publish_shipped(publisher, folder)
    before = traces()
    assert [(one.version, one.created) for one in publish_shipped(publisher, folder)] == [(1, False), (1, False)]
    assert traces() == before


def test_a_new_release_brings_a_new_version_with_its_words(publisher, folder, make_notebook, database):
    publish_shipped(publisher, folder)
    (folder / "snow.ipynb").write_bytes(make_notebook("4", title="Snow and ice"))
    assert [one.version for one in publish_shipped(publisher, folder)] == [1, 2]
    with database.read() as session:
        assert session.scalar(select(Workflow.title).where(Workflow.name == "snow")) == "Snow and ice"


def test_a_broken_file_is_logged_and_leaves_the_others(publisher, folder):
    (folder / "a-broken.ipynb").write_text("{")
    (folder / "b-folder.ipynb").mkdir()
    (folder / "c-gone.ipynb").symlink_to(folder / "nowhere")
    (folder / "d-huge.ipynb").write_bytes(b" " * (publisher.settings.upload_limit + 1))
    with structlog.testing.capture_logs() as logs:
        found = publish_shipped(publisher, folder)
    assert [one.name for one in found] == ["rain-by-month", "snow"]
    assert [entry["file"] for entry in logs] == ["a-broken.ipynb", "b-folder.ipynb", "c-gone.ipynb", "d-huge.ipynb"]
    assert all(entry["log_level"] == "error" and entry["why"] for entry in logs)


def test_a_folder_that_is_not_there_ships_nothing(publisher, tmp_path):
    assert publish_shipped(publisher, tmp_path / "nothing") == []
