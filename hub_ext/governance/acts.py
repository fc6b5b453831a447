"""What all acts on versions share: they wait for each other, are recorded, and make the snapshot anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import ProfileVersion
from hub_ext.errors import Conflict, HubExtError
from hub_ext.governance.checks import Checks
from hub_ext.governance.state import agreed, changed, wait_for_others
from hub_ext.governance.store import CatalogStore
from hub_ext.governance.views import VersionInfo, info_of
from hub_ext.people import Person
from hub_ext.settings import HubExt

TOPIC = "profiles"


class Acts:
    """Base of the acts on versions.

    Args:
        database: Where versions are.
        catalog: The snapshot of this process; it is made anew after each act.
        settings: How many approvals are needed; which environments there are.
        checks: What versions must pass.
    """

    def __init__(
        self, database: Database, catalog: CatalogStore, settings: HubExt, checks: Checks | None = None
    ) -> None:
        self.database = database
        self.catalog = catalog
        self.settings = settings
        self.checks = checks or Checks()
        catalog.attach(database)

    @contextmanager
    def _act(self) -> Iterator[Session]:
        """Open a transaction of an act: acts wait for each other, and the snapshot is made anew after it."""
        with self.database.write() as session:
            wait_for_others(session)
            yield session
            changed(session)
        with suppress(HubExtError, SQLAlchemyError):  # it is done; who decides looks again
            self.catalog.refresh()

    @property
    def required(self) -> int:
        """How many approvals a version needs."""
        return int(self.settings.approvals_required)

    def _now(self, session: Session) -> datetime:
        return self.catalog.now(agreed(session))

    def _record(self, session: Session, person: Person, action: str, row: ProfileVersion, **more: Any) -> None:
        detail = {"digest": row.digest, **{key: value for key, value in more.items() if value}}
        audit.record(session, person.name, action, ("profile", f"{row.name}@{row.number}"), detail=detail)
        audit.announce(session, TOPIC, {"name": row.name, "version": row.number, "state": row.state})

    def _info(self, session: Session, row: ProfileVersion) -> VersionInfo:
        try:
            return info_of(row, self.required, self._now(session))
        except ValidationError:
            message = f"{row.name}@{row.number} cannot be read by this release, so nothing was changed."
            raise Conflict(message, hint="Nobody can start it here; the release that wrote it reads it.") from None


def must_be_proposed(row: ProfileVersion) -> None:
    """Refuse what is no proposal any more.

    Raises:
        Conflict: If it is none.
    """
    if row.state != "proposed":
        raise Conflict(f"{row.name}@{row.number} is {row.state}, and no proposal any more.")
