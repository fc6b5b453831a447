"""Health: succeeded of ended runs that were not cancelled, over 30 days."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.db.tables import Run, Version, Workflow
from hub_ext.db.types import now
from hub_ext.sharing.health import Health, health

AT = now()


@pytest.fixture
def run(database):
    """Record a run that ended so many days ago."""

    def run(workflow, state, days=1.0):
        with database.write() as session:
            if session.get(Workflow, workflow) is None:
                session.add(Workflow(id=workflow, owner="amy", name=workflow, title=workflow))
                session.flush()
                version = Version(id=f"v-{workflow}", workflow_id=workflow, number=1, digest="d", author="amy")
                version.profile, version.schema, version.notebook = "standard", {}, "versions/x.ipynb"
                session.add(version)
                session.flush()
            ended = None if days is None else AT - timedelta(days=days)
            session.add(
                Run(workflow_id=workflow, version_id=f"v-{workflow}", caller="ben", state=state, profile="standard",
                    process=None, error=None, ended_at=ended)
            )  # fmt: skip

    return run


def test_runs_that_ended_are_counted_for_each_workflow(database, run):
    for state in ("succeeded", "succeeded", "failed", "lost"):
        run("w-1", state)
    run("w-2", "succeeded")
    with database.read() as session:
        found = health(session, ["w-1", "w-2", "w-3"], AT)
    assert found == {"w-1": Health(2, 4), "w-2": Health(1, 1), "w-3": Health(0, 0)}


@pytest.mark.parametrize(
    ("state", "days"), [("cancelled", 1), ("succeeded", 30.5), ("succeeded", -1), ("running", None), ("queued", None)]
)
def test_what_was_cancelled_is_older_or_has_not_ended_does_not_count(database, run, state, days):
    run("w-1", state, days)
    with database.read() as session:
        assert health(session, ["w-1"], AT) == {"w-1": Health(0, 0)}


def test_nothing_is_asked_for_nothing(database):
    with database.read() as session:
        assert health(session, [], AT) == {}


@pytest.mark.parametrize(
    ("succeeded", "ended", "words"),
    [
        (0, 0, "no runs yet"),
        (2, 2, "no runs yet"),
        (3, 3, "100 % (3 of 3 in 30 days)"),
        (24, 25, "96 % (24 of 25 in 30 days)"),
        (0, 4, "0 % (0 of 4 in 30 days)"),
        (999, 1000, "99 % (999 of 1000 in 30 days)"),
        (1, 1000, "1 % (1 of 1000 in 30 days)"),
    ],
)
def test_it_is_told_in_words_with_both_counts(succeeded, ended, words):
    assert Health(succeeded, ended).words() == words


@given(st.integers(0, 10**6), st.integers(3, 10**6))
def test_a_full_or_empty_share_is_said_only_where_it_is_exact(succeeded, ended):
    succeeded = min(succeeded, ended)
    percent = Health(succeeded, ended).percent
    assert (percent == 100) == (succeeded == ended)
    assert (percent == 0) == (succeeded == 0)
