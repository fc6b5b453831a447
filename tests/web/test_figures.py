"""Figures of what goes on are true, and tell nothing about persons."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import event

from hub_ext import audit
from hub_ext.db.session import Database, hold_lease
from hub_ext.db.tables import Run, ServerStart, Version, Workflow
from hub_ext.db.types import now
from hub_ext.runs.rounds import LEASE
from hub_ext.web.figures import OperationFigures, Traffic

Figures = Callable[[], dict[str, float]]


@pytest.fixture
def figures(database: Database) -> Figures:
    """What is told now, by name and labels."""

    def read() -> dict[str, float]:
        registry = CollectorRegistry()
        registry.register(OperationFigures(database))  # type: ignore[arg-type]  # it has `collect`
        lines = generate_latest(registry).decode().splitlines()
        return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines if one[0] != "#")}

    return read


def test_nothing_happens(figures: Figures) -> None:
    found = figures()
    assert found["hub_ext_reconciler_up"] == 0
    assert found["hub_ext_runs_oldest_queued_seconds"] == 0
    assert found['hub_ext_runs_ended_last_hour{state="lost"}'] == 0
    assert found['hub_ext_server_starts_last_hour{outcome="ready"}'] == 0
    assert found["hub_ext_audit_oldest_unsealed_seconds"] == 0
    assert not [one for one in found if "quantile" in one], "no start, no time of a start"


def test_runs_that_wait_and_that_ended(figures: Figures, database: Database) -> None:
    at = now()
    hold_lease(database, LEASE, 60)
    with database.write() as session:
        workflow = Workflow(owner="amy", name="x", title="X")
        version = Version(workflow=workflow, number=1, digest="d", author="amy", profile="p", schema={}, notebook="k")
        session.add_all([workflow, version])
        session.flush()

        def run(state: str, **more: Any) -> Run:
            return Run(workflow_id=workflow.id, version_id=version.id, caller="amy", profile="p", state=state, **more)

        session.add(run("queued", created_at=at - timedelta(seconds=100)))
        session.add(run("queued", created_at=at - timedelta(seconds=10)))
        session.add_all(run("failed", ended_at=at - timedelta(minutes=number)) for number in (1, 59, 61))
    found = figures()
    assert found["hub_ext_reconciler_up"] == 1
    assert 100 <= found["hub_ext_runs_oldest_queued_seconds"] < 130
    assert found['hub_ext_runs_ended_last_hour{state="failed"}'] == 2
    assert found['hub_ext_runs_ended_last_hour{state="succeeded"}'] == 0


def test_starts_and_how_long_they_took(figures: Figures, database: Database) -> None:
    at = now() - timedelta(minutes=5)
    with database.write() as session:
        for seconds in range(1, 22):
            start = ServerStart(user="amy", profile="p", profile_version=1, outcome="stopped", asked_at=at)
            start.ready_at = at + timedelta(seconds=seconds)
            session.add(start)
        session.add(ServerStart(user="amy", profile="p", profile_version=1, outcome="failed", asked_at=at))
        old = at - timedelta(hours=2)
        session.add(ServerStart(user="amy", profile="p", profile_version=1, outcome="failed", asked_at=old))
    found = figures()
    assert found['hub_ext_server_starts_last_hour{outcome="ready"}'] == 21
    assert found['hub_ext_server_starts_last_hour{outcome="failed"}'] == 1
    assert found['hub_ext_server_start_seconds{quantile="0.5"}'] == 11
    assert found['hub_ext_server_start_seconds{quantile="0.95"}'] == 20


def test_acts_that_wait_for_their_seal(figures: Figures, database: Database) -> None:
    with database.write() as session:
        audit.record(session, "amy", "workflow.publish", ("workflow", "amy/x"))
    assert figures()["hub_ext_audit_oldest_unsealed_seconds"] > 0
    with database.write() as session:
        audit.seal(session)
    assert figures()["hub_ext_audit_oldest_unsealed_seconds"] == 0


def test_answers_are_counted_by_kind_and_no_address_or_odd_method_is_told() -> None:
    traffic = Traffic()

    class Page:
        streams = False

        def __init__(self, method: str) -> None:
            self.request = SimpleNamespace(method=method, path="/w/amy/secret-plan", request_time=lambda: 0.2)

        def get_status(self) -> int:
            return 200

    class Stream(Page):
        streams = True

    for handler in (Page("GET"), Page("PROPFIND"), Page("x" * 100), Stream("GET")):
        traffic.answered(handler)  # type: ignore[arg-type]  # what it looks at
    text = generate_latest(traffic.registry).decode()
    assert 'hub_ext_http_requests_total{handler="Page",method="GET",status="200"} 1.0' in text
    assert 'hub_ext_http_requests_total{handler="Page",method="other",status="200"} 2.0' in text
    assert 'hub_ext_http_requests_total{handler="Stream",method="GET",status="200"} 1.0' in text
    assert 'hub_ext_http_request_seconds_count{handler="Page"} 3.0' in text
    assert 'hub_ext_http_request_seconds_count{handler="Stream"}' not in text
    assert "secret-plan" not in text


def test_figures_are_read_from_indexes_and_never_from_whole_tables(database: Database) -> None:
    statements: list[tuple[str, Any]] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])), named=False
    )
    list(OperationFigures(database).collect())
    with database.engine.connect() as connection:
        steps = [
            row[3]
            for statement, values in list(statements)
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert any("runs USING COVERING INDEX ix_runs_ended" in step for step in steps)
    assert any("server_starts USING COVERING INDEX ix_server_starts_asked" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN")] == []
