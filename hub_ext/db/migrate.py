"""Bring the database to the version of this release."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from hub_ext.db.session import Database
from hub_ext.db.tables import Base

_LOCK = 0x68756265  # PostgreSQL advisory lock: "hube"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def revision(connection: Connection) -> str:
    """Return the revision of a database's tables, ours or the Hub's; empty if it says none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def knows(revision: str) -> bool:
    """Return whether this release knows a revision of the tables.

    Args:
        revision: As a database says it.
    """
    return any(one.revision == revision for one in ScriptDirectory.from_config(_config()).walk_revisions())


def upgrade(database: Database, revision: str = "head") -> None:
    """Apply what is missing, one process at a time.

    Args:
        database: The database; made if it is a SQLite file that does not exist.
        revision: Up to which; by default that of this release.
    """
    config = _config()
    # Begun here, so that Alembic does not commit after each version: another process would go on from there.
    with database.engine.execution_options(hub_ext_write=True).begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def differences(database: Database) -> list[object]:
    """Return how the migrated database differs from the tables in code; empty when it is current."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False, "render_as_batch": True})
        return list(compare_metadata(context, Base.metadata))
