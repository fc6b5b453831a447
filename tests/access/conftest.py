"""A platform with two profiles: `maps` of the group gis-team, and `models` of ola; a clock that tests turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hub_ext.access.entitlements import Entitlements
from hub_ext.access.requests import AccessRequests
from hub_ext.catalog.models import Profile
from hub_ext.db.session import Database
from hub_ext.db.tables import Approval, AuditRow, ProfileVersion
from hub_ext.db.types import now
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.governance.state import changed
from hub_ext.people import Person
from hub_ext.settings import HubExt
from tests.governance.conftest import Clock

PLAIN = {
    "description": "For tests.",
    "access": {"groups": ["gis"]},
    "image": "notebooks/standard",
    "resources": {"cpu": {"request": 0.5, "limit": 2}, "memory": {"request": "1Gi", "limit": "4Gi"}},
    "lifetime": {"idle": 60, "maximum": 120},
}

ANN = Person("ann", frozenset({"analysts"}))
BEN = Person("ben", frozenset({"analysts", "students"}))
GIS = Person("gus", frozenset({"gis", "gis-team"}))  # of the group that owns maps
OLA = Person("ola", frozenset({"analysts"}))  # owns models
CLEO = Person("cleo", frozenset({"hub-ext-curators"}), frozenset({"curator"}))
AUDE = Person("aude", frozenset({"hub-ext-auditors"}), frozenset({"auditor"}))


def profile(name: str, owner: str, **spec: object) -> Profile:
    """Return a profile."""
    about = {"name": name, "version": 1, "title": name.capitalize(), "owner": owner}
    content = {"apiVersion": "hub-ext/v1", "kind": "Profile", "metadata": about, "spec": PLAIN | spec}
    return Profile.model_validate(content)


def approve(database: Database, *profiles: Profile) -> None:
    """Write versions that enough people approved."""
    with database.write() as session:
        for one in profiles:
            content = one.model_dump(mode="json", by_alias=True)
            row = ProfileVersion(digest=one.digest, name=one.name, number=one.version, content=content)
            row.author = row.author_subject = "cleo"
            row.state, row.approved_at = "approved", now()
            row.approvals = [Approval(approver="eva", approver_subject="eva", verdict="approve")]
            session.add(row)
        changed(session)


@pytest.fixture
def clock() -> Clock:
    """A clock that tests turn."""
    return Clock()


@pytest.fixture
def catalog(settings: HubExt, database: Database, clock: Clock, tmp_path: Path) -> CatalogStore:
    """The catalog of one process."""
    (tmp_path / "profiles").mkdir()
    settings.profiles_dir = str(tmp_path / "profiles")
    approve(database, profile("maps", "gis-team"), profile("models", "ola", access={"groups": []}))
    return CatalogStore(settings, database, clock=clock)


@pytest.fixture
def decisions(database: Database, catalog: CatalogStore, settings: HubExt) -> DecisionPoint:
    """The decision point of one process."""
    return DecisionPoint(database, catalog, settings)


@pytest.fixture
def entitlements(database: Database, catalog: CatalogStore, settings: HubExt) -> Entitlements:
    """Grants."""
    return Entitlements(database, catalog, settings)


@pytest.fixture
def requests(entitlements: Entitlements, decisions: DecisionPoint) -> AccessRequests:
    """Takes requests."""
    return AccessRequests(entitlements, decisions)


@pytest.fixture
def acts(database: Database) -> Callable[[], list[tuple[str, str, str]]]:
    """Return who did what with which outcome, the oldest first."""

    def acts() -> list[tuple[str, str, str]]:
        with database.read() as session:
            rows = session.query(AuditRow).order_by(AuditRow.id)
            return [(row.actor, row.action, row.outcome) for row in rows]

    return acts
