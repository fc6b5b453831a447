"""Figures of what goes on: runs, starts of servers, the record, and what the service is asked."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session
from tornado.web import RequestHandler

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Lease, Run, ServerStart
from hub_ext.db.types import now
from hub_ext.runs.rounds import LEASE
from hub_ext.runs.states import ENDED

WINDOW = timedelta(hours=1)
OUTCOMES = ("ready", "failed", "cancelled")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST = 2000  # starts whose times are looked at, the last ones
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Traffic:
    """Counts what this process is asked: by kind of page, never by address, since that may name somebody."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kinds = ["handler", "method", "status"]
        self._count = Counter("hub_ext_http_requests", "Requests that were answered.", kinds, registry=self.registry)
        self._seconds = Histogram(
            "hub_ext_http_request_seconds",
            "How long answers took, streams of events aside.",
            ["handler"],
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def answered(self, handler: RequestHandler) -> None:
        """Count a request that was answered.

        Args:
            handler: What answered it.
        """
        kind, method = type(handler).__name__, str(handler.request.method or "")
        known = method if method in _METHODS else "other"  # anybody may send any word
        self._count.labels(kind, known, handler.get_status()).inc()
        if not getattr(handler, "streams", False):
            self._seconds.labels(kind).observe(handler.request.request_time())


class OperationFigures:
    """What goes on, as the database has it: the same from each process of the service.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        at = now()
        with self._database.read() as session:
            yield from _runs(session, at)
            yield from _starts(session, at)
            yield from _record(session, at)


def _gauge(name: str, help_: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, help_)
    family.add_metric([], value)
    return family


def _runs(session: Session, at: datetime) -> Iterator[Metric]:
    lease = session.get(Lease, LEASE)
    up = float(lease is not None and lease.expires_at > at)
    yield _gauge("hub_ext_reconciler_up", "1 while somebody looks after runs.", up)
    oldest = session.scalar(select(func.min(Run.created_at)).where(Run.state == "queued"))
    waits = _seconds(at, oldest)
    yield _gauge("hub_ext_runs_oldest_queued_seconds", "How long the run waits that waits longest; 0 for none.", waits)
    ended = GaugeMetricFamily("hub_ext_runs_ended_last_hour", "Runs that ended within the last hour.", labels=["state"])
    query = select(Run.state, func.count()).where(Run.ended_at > at - WINDOW, Run.ended_at <= at).group_by(Run.state)
    counts: dict[str, int] = {state: count for state, count in session.execute(query)}  # noqa: C416  # rows
    for state in sorted(ENDED):
        ended.add_metric([state], counts.get(state, 0))
    yield ended


def _starts(session: Session, at: datetime) -> Iterator[Metric]:
    starts = GaugeMetricFamily(
        "hub_ext_server_starts_last_hour", "Servers that were asked for within the last hour.", labels=["outcome"]
    )
    since = and_(ServerStart.asked_at > at - WINDOW, ServerStart.asked_at <= at)
    query = select(ServerStart.outcome, func.count()).where(since).group_by(ServerStart.outcome)
    counts: dict[str, int] = {outcome: count for outcome, count in session.execute(query)}  # noqa: C416  # rows
    counts["ready"] = counts.get("ready", 0) + counts.get("stopped", 0)  # it was ready before
    for outcome in OUTCOMES:
        starts.add_metric([outcome], counts.get(outcome, 0))
    yield starts
    times = select(ServerStart.asked_at, ServerStart.ready_at).where(since, ServerStart.ready_at.is_not(None))
    rows = session.execute(times.order_by(ServerStart.asked_at.desc()).limit(_MOST))
    taken = sorted((ready - asked).total_seconds() for asked, ready in rows if ready is not None)
    family = GaugeMetricFamily(
        "hub_ext_server_start_seconds",
        "From asked for to ready, of the servers that were asked for within the last hour.",
        labels=["quantile"],
    )
    if taken:
        cuts = statistics.quantiles(taken, n=20, method="inclusive") if len(taken) > 1 else taken * 19
        family.add_metric(["0.5"], cuts[9])
        family.add_metric(["0.95"], cuts[18])
    yield family


def _record(session: Session, at: datetime) -> Iterator[Metric]:
    oldest = session.scalar(select(func.min(AuditRow.at)).where(AuditRow.sequence.is_(None)))
    help_ = "How long the act waits for its seal that waits longest; 0 for none."
    yield _gauge("hub_ext_audit_oldest_unsealed_seconds", help_, _seconds(at, oldest))


def _seconds(at: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (at - since).total_seconds())
