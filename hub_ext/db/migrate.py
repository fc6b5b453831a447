"""Bring the database to the version of this release.

While one release replaces another, processes of both are at work, and one that is rolled back meets tables that are
newer than itself. So each release says in the database which one before it may still use the tables (`USABLE_FROM`);
any other that does not know them refuses to start.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from hub_ext.db.session import Database
from hub_ext.db.tables import Base
from hub_ext.errors import HubExtError

log = logging.getLogger(__name__)

# The oldest version of the tables whose release may use those of this one.
USABLE_FROM = "0010"
_LOCK = 0x68756265  # PostgreSQL advisory lock: "hube"


class NewerDatabase(HubExtError):
    """The tables are of a release that this one knows nothing of."""

    title = "The database is of a newer release"
    code = "newer-database"


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


def upgrade(database: Database, to: str = "head") -> None:
    """Apply what is missing, one process at a time. Tables of the next release are left as they are.

    Args:
        database: The database; made if it is a SQLite file that does not exist.
        to: Up to which version; by default that of this release.

    Raises:
        NewerDatabase: If they are of a release that does not say that this one may use them.
    """
    config = _config()
    # Begun here, so that Alembic does not commit after each version: another process would go on from there.
    with database.engine.execution_options(hub_ext_write=True).begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if _is_newer(connection):
            return
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        if inspect(connection).has_table("platform_state"):
            connection.execute(text("UPDATE platform_state SET usable_from = :it"), {"it": USABLE_FROM})


def _is_newer(connection: Connection) -> bool:
    """Return whether the tables are of a newer release that lets this one use them."""
    found = revision(connection)
    if not found or knows(found):
        return False
    usable_from = ""
    if inspect(connection).has_table("platform_state"):
        usable_from = str(connection.execute(text("SELECT usable_from FROM platform_state")).scalar() or "")
    if not usable_from or not knows(usable_from):
        newest = ScriptDirectory.from_config(_config()).get_current_head()
        raise NewerDatabase(
            f"The tables are at {found}; this release knows those up to {newest}, and nothing was changed.",
            hint="Install the release that brought them there, or restore a backup that was made before.",
        )
    log.warning("the database is of a newer release (%s), which lets this one use it", found)
    return True


def differences(database: Database) -> list[object]:
    """Return how the migrated database differs from the tables in code; empty when it is current."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False, "render_as_batch": True})
        return list(compare_metadata(context, Base.metadata))
