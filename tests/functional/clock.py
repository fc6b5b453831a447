"""The clock that counts on a platform: the latest time that its processes agreed on."""

from __future__ import annotations

from datetime import timedelta

from hub_ext.db.session import Database
from hub_ext.db.tables import CatalogState
from hub_ext.db.types import now
from tests.functional.conftest import Platform


def forward(platform: Platform, **by: float) -> None:
    """Move the clock that counts."""
    database = Database(f"sqlite:///{platform.state / 'hub-ext.sqlite'}")
    with database.write() as session:
        row = session.get_one(CatalogState, 1)
        row.clock = max(row.clock, now()) + timedelta(**by)
    database.dispose()
