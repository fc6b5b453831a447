"""Real repositories of git, and platforms that take their profiles from one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hub_ext.db.session import Database
from hub_ext.governance.store import CatalogStore
from hub_ext.repository.address import Source
from hub_ext.repository.git import Git
from hub_ext.repository.reading import Commit, Reader, working
from hub_ext.repository.syncing import Repository, SourceState
from hub_ext.settings import HubExt

Files = Mapping[str, str | bytes | None]


class Origin:
    """A repository that somebody else works in.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, given: bytes = b"") -> str:
        """Run git in it; return what it says."""
        who = {f"GIT_{role}_{part}": said for role in ("AUTHOR", "COMMITTER") for part, said in _WHO.items()}
        plain = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        made = subprocess.run(
            ["git", *arguments], cwd=self.path, env=plain | who, input=given, capture_output=True, check=False
        )
        assert made.returncode == 0, made.stderr.decode()
        return made.stdout.decode().strip()

    def write(self, files: Files) -> None:
        """Write files into its working tree; None takes one away."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Files | None = None) -> str:
        """Commit files; return the id of the commit."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A change")
        return self.git("rev-parse", "HEAD")

    def source(self, ref: str = "main", folder: str = "", **more: Path) -> Source:
        """Return it as a source."""
        return Source(str(self.path), ref, folder, **more)


_WHO = {"NAME": "Ann Ö. Author", "EMAIL": "ann@example.org"}
MakeOrigin = Callable[..., Origin]


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """A repository with nothing in it."""
    return Origin(tmp_path / "origin")


def read(source: Source, root: Path, held: str = "") -> Commit:
    """Read the newest commit of a source."""
    with working(root) as work:
        reader = Reader(Git(work, source), source)
        return reader.read(*reader.tip(), held)


class Platform:
    """One process of a platform that takes its profiles from a repository.

    Attributes:
        settings: Its settings.
        database: The database, which other processes share.
        catalog: Its catalog.
        repository: What it syncs.
    """

    def __init__(self, settings: HubExt, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.catalog = CatalogStore(settings, database)
        self.repository = Repository(database, self.catalog, settings)

    def sync(self, by: str = "cleo", rewritten: str = "") -> SourceState:
        """Sync; return how the repository stands then."""
        self.repository.sync(by, rewritten=rewritten)
        return self.state()

    def state(self) -> SourceState:
        """Return how the repository stands."""
        found = self.repository.state()
        assert found is not None
        return found

    def proposals(self) -> list[str]:
        """Return the versions in files that nobody proposed."""
        return sorted(f"{one.name}@{one.version}" for one in self.catalog.refresh().proposals)


@pytest.fixture
def platform(settings: HubExt, database: Database, origin: Origin) -> Platform:
    """A platform on that repository."""
    settings.profiles_repository = str(origin.path)
    return Platform(settings, database)
