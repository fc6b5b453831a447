"""What the doctor says of the record's chain, of who looks after runs, and of what answers by HTTP."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from hub_ext import audit
from hub_ext.db.session import Database, hold_lease
from hub_ext.db.tables import AuditRow, Lease
from hub_ext.db.types import now
from hub_ext.doctor import network, runs
from hub_ext.embedded.processes import free_port
from hub_ext.runs.rounds import LEASE
from hub_ext.settings import HubExt


def states(settings: HubExt, database: Database) -> dict[str, str]:
    """Return what was looked at, and how it is."""
    return {one.what: one.state for one in runs.look(settings, database)}


def test_runs_that_nobody_looks_after_are_told(settings: HubExt, database: Database) -> None:
    assert states(settings, database) == {"chain of the record": "ok", "runs": "warn"}
    hold_lease(database, LEASE, 60)
    assert states(settings, database) == {"chain of the record": "ok", "runs": "ok"}
    with database.write() as session:
        session.execute(update(Lease).values(expires_at=now() - timedelta(seconds=1)))
    assert states(settings, database)["runs"] == "warn"


def test_an_act_that_was_changed_is_found(settings: HubExt, database: Database) -> None:
    for name in ("amy/x", "amy/y"):
        with database.write() as session:
            audit.record(session, "amy", "workflow.publish", ("workflow", name))
    with database.write() as session:
        audit.seal(session)
    assert states(settings, database)["chain of the record"] == "ok"
    with database.write() as session:
        session.execute(update(AuditRow).where(AuditRow.object_id == "amy/y").values(actor="eve"))
    found = next(one for one in runs.look(settings, database) if one.state == "fail")
    assert found.detail == "it is broken at act 2"
    assert found.advice


def test_a_platform_that_does_not_answer_is_told_in_words(settings: HubExt) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    found = list(network.look(url, settings))
    assert [(one.what, one.state) for one in found] == [("Hub", "fail"), ("sharing service", "fail")]
    assert found[0].detail == f"does not answer at {url}: nobody listens there"
    assert all(one.advice for one in found)
