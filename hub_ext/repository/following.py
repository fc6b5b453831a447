"""Each process follows the commit that is in force: the database says which, and holds its files."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.catalog.documents import FileProblem
from hub_ext.db.session import Database
from hub_ext.db.tables import ProfilesSource
from hub_ext.errors import HubExtError, StorageFull
from hub_ext.repository.address import Source
from hub_ext.repository.folder import Folders, unpacked
from hub_ext.settings import HubExt

NO_COMMIT = FileProblem("profiles_repository", "has given no commit that can be taken yet")

log = structlog.get_logger("hub_ext.repository.following")


class Following:
    """The commit in force, as this process knows it.

    Attributes:
        commit: Its id; empty until there is one.

    Args:
        source: The source.
        folders: Where files of commits are on this machine.
    """

    def __init__(self, source: Source, folders: Folders) -> None:
        self._source = source
        self._folders = folders
        self.commit = ""

    @classmethod
    def of(cls, settings: HubExt) -> Following | None:
        """Return what follows the source of the settings, None where there is none.

        Args:
            settings: The settings.
        """
        source = Source.of(settings)
        return cls(source, Folders(settings, source.id)) if source is not None else None

    def look(self, database: Database) -> Path | None:
        """Return the folder of the commit in force if it is another one than at the last look.

        Args:
            database: Says which commit that is.

        Raises:
            StorageFull: If its files cannot be written, and no earlier ones are known.
        """
        try:
            commit, files = self._in_force(database)
            if not files:
                return None
            folder = self._folders.make(commit, files)
        except (HubExtError, SQLAlchemyError) as error:
            log.warning("which commit is in force is not known now; the last one stays", error=type(error).__name__)
            return None
        except (OSError, ValueError) as error:
            log.warning("the files of a commit cannot be written; the last ones stay", error=type(error).__name__)
            if self.commit:
                return None
            words = "The files of the profiles cannot be written into the state folder, so nothing can be decided."
            raise StorageFull(words, hint="Tell an admin.") from error
        self.commit = commit
        return folder

    def _in_force(self, database: Database) -> tuple[str, dict[str, str]]:
        """Return the commit in force, and its files unless they are here already."""
        own = ProfilesSource.id == self._source.id
        with database.read() as session:
            commit = session.scalar(select(ProfilesSource.commit_id).where(own)) or ""
            if not commit or (commit == self.commit and self._folders.path(commit).is_dir()):
                return commit, {}
            content = session.scalar(select(ProfilesSource.content).where(own))
        return commit, unpacked(content or b"")
