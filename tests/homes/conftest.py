"""Homes of people who left, as they are written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_ext.db.session import Database
from hub_ext.homes.records import Homes
from hub_ext.settings import HubExt


@pytest.fixture
def homes(database: Database, settings: HubExt) -> Homes:
    """Homes that may be removed at once."""
    settings.home_kept_days = 0.0
    return Homes(database, settings)


def held(folder: Path) -> list[str]:
    """Return the names of what a folder holds, in their order."""
    return sorted(path.name for path in folder.iterdir())
