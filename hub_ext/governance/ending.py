"""Versions are deprecated: they warn, name a successor, and one day can be started no more."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches

from sqlalchemy.orm import Session

from hub_ext.catalog.options import shown
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.tables import ProfileVersion
from hub_ext.errors import Conflict, InvalidInput, NotFound
from hub_ext.governance.acts import Acts
from hub_ext.governance.rights import must_be
from hub_ext.governance.rows import by_number
from hub_ext.governance.views import VersionInfo
from hub_ext.people import Person


class Ending(Acts):
    """Deprecates versions."""

    def deprecate(
        self, person: Person, name: str, number: int, *, removal: datetime, successor: str = ""
    ) -> VersionInfo:
        """Say that a version ends: it warns from now on, and can be started no more after its removal.

        Args:
            person: Who.
            name: Name of the profile.
            number: Number of the version; it may be one that ships.
            removal: When it is removed, with its zone.
            successor: What to use in its place, as ``name@number``; empty for nothing.

        Raises:
            Forbidden: If she is no curator; that is audited.
            NotFound: If there is no such version that can be started.
            InvalidInput: If the time is over, or the successor cannot be one (itself, deprecated, not there).
            Conflict: If it is removed already.
        """
        must_be(self.database, person, "curator", "profile.deprecate", ("profile", f"{name}@{number}"))
        with self._act() as session:
            catalog, _ = self.catalog.fresh(session)
            row, now = self._startable(session, catalog, name, number), self._now(session)
            if row.removal_at is not None and now >= row.removal_at:
                raise Conflict(f"{name}@{number} is removed already.", hint="Propose its content as a new version.")
            if removal.tzinfo is None or removal <= now:
                raise InvalidInput.of("removal", "must be a time to come, with its zone")
            _check_successor(catalog, f"{name}@{number}", successor)
            row.state, row.successor, row.removal_at = "deprecated", successor, removal.astimezone(UTC)
            row.deprecated_at = row.deprecated_at or now
            session.flush()
            about = {"successor": successor, "removal": row.removal_at.isoformat()}
            self._record(session, person, "profile.deprecate", row, **about)
            return self._info(session, row)

    def _startable(self, session: Session, catalog: Catalog, name: str, number: int) -> ProfileVersion:
        row = by_number(session, name, number)
        if row is not None and row.state in ("approved", "deprecated"):
            return row
        shipped = [one for one in catalog.versions(name) if one.version == number] if row is None else []
        if not shipped:
            raise NotFound(f"{shown(name)}@{shown(number)} is no version that can be started.")
        content = shipped[0].model_dump(mode="json", by_alias=True)
        row = ProfileVersion(digest=shipped[0].digest, name=name, number=number, content=content)
        row.author, row.author_subject, row.message = "", "", "It shipped with a release."
        session.add(row)
        return row


def _check_successor(catalog: Catalog, own: str, successor: str) -> None:
    """Refuse a successor that cannot be one; since none may be deprecated itself, no chain of them closes."""
    if not successor:
        return
    if successor == own:
        raise InvalidInput.of("successor", f"{own} cannot be its own successor")
    known = {f"{one.name}@{one.version}": catalog.standing(one) for one in catalog.profiles}
    standing = known.get(successor)
    if standing is None or standing.state == "removed":
        near = get_close_matches(shown(successor), list(known), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidInput.of("successor", f"{shown(successor)!r} is no version that can be started{hint}")
    if standing.state == "deprecated":
        after = f", and its own successor is {standing.successor}" if standing.successor else ""
        raise InvalidInput.of("successor", f"{successor} is deprecated itself{after}: such a chain leads nowhere")
