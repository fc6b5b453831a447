"""Figures of the service for Prometheus, at `metrics`: for admins and auditors alone, and nothing about persons."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import and_, case, func, select

from hub_ext import __version__
from hub_ext.db.tables import ProfileVersion, Run
from hub_ext.db.types import now
from hub_ext.errors import Forbidden
from hub_ext.governance.state import agreed
from hub_ext.web.base import BaseHandler
from hub_ext.web.context import Context
from hub_ext.web.figures import OperationFigures

_READERS = ("admin", "auditor")


class CatalogFigures:
    """How the last load of the catalog went, and what is in it; asked when somebody asks for figures.

    Args:
        context: The parts of the service.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        catalog = self._context.catalog.recent()
        about = {"version": __version__, "snapshot": catalog.digest, "enclave": catalog.enclave.metadata.name}
        yield InfoMetricFamily("hub_ext", "Which release, and which catalog is in force.", value=about)
        failed = GaugeMetricFamily(
            "hub_ext_catalog_last_load_failed", "1 while a file of the catalog is broken: its last good content holds."
        )
        failed.add_metric([], float(bool(catalog.problems)))
        yield failed
        problems = GaugeMetricFamily("hub_ext_catalog_problems", "What is wrong with files of the catalog.")
        problems.add_metric([], len(catalog.problems))
        yield problems
        rules = GaugeMetricFamily("hub_ext_policy_rules", "Policy rules in force.")
        rules.add_metric([], len(catalog.policy.rules))
        yield rules
        yield from self._source()
        yield from self._counts()

    def _source(self) -> Iterator[Metric]:
        """Yield how the repository of profiles stands, where they come from one."""
        state = self._context.repository.state()
        if state is None:
            return
        well = GaugeMetricFamily(
            "hub_ext_profiles_sync_ok", "1 while the last sync of the repository of profiles went well."
        )
        well.add_metric([], float(not state.fault and state.synced_at is not None))
        yield well
        if state.synced_at is not None:
            age = GaugeMetricFamily(
                "hub_ext_profiles_sync_age_seconds", "Seconds since the last sync of the repository that went well."
            )
            age.add_metric([], max(0.0, (now() - state.synced_at).total_seconds()))
            yield age
        about = {"commit": state.commit, "ref": state.ref}
        yield InfoMetricFamily("hub_ext_profiles_commit", "The commit of the repository that is in force.", value=about)

    def _counts(self) -> Iterator[Metric]:
        versions = GaugeMetricFamily(
            "hub_ext_profile_versions", "Versions that curators proposed, by state.", labels=["state"]
        )
        runs = GaugeMetricFamily("hub_ext_runs", "Runs on record, by state.", labels=["state"])
        with self._context.database.read() as session:
            gone = ProfileVersion.removal_at <= self._context.catalog.now(agreed(session))
            removed = and_(ProfileVersion.state == "deprecated", gone)
            standing = case((removed, "removed"), else_=ProfileVersion.state).label("standing")
            for family, column in ((versions, standing), (runs, Run.state.label("standing"))):
                for state, count in session.execute(select(column, func.count()).group_by("standing")):
                    family.add_metric([state], count)
        yield versions
        yield runs


def exposition(context: Context) -> bytes:
    """Return all figures in Prometheus' text format.

    Args:
        context: The parts of the service.

    Raises:
        Unavailable: If the database does not answer.
    """
    registry = CollectorRegistry()
    registry.register(CatalogFigures(context))
    registry.register(OperationFigures(context.database))
    return generate_latest(registry)


class Metrics(BaseHandler):
    """`metrics`."""

    async def get(self) -> None:
        """Answer with the figures.

        Raises:
            Forbidden: If the caller is neither admin nor auditor, or her token may not act in roles.
        """
        if not any(self.person.has_role(role) for role in _READERS):
            raise Forbidden(
                "The figures of the service are for admins and auditors.",
                hint="Prometheus sends a token of one of them: authorization: {type: token, credentials: …}.",
            )
        figures = await self.call(exposition, self.context)
        figures += generate_latest(self.application.settings["traffic"].registry)
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.set_header("Cache-Control", "no-store")
        self.finish(figures)
