"""A platform's catalog: a folder of files, a database, and curators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub_ext import cli
from hub_ext.db.session import Database
from hub_ext.governance.store import CatalogStore
from hub_ext.settings import HubExt

Run = Callable[..., tuple[int, str, str]]
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: {version}, title: {title}, owner: gis-team}}
spec:
  description: For tests.
  access: {{groups: [analysts]}}
  image: notebooks/standard
  resources: {{cpu: {{request: 0.5, limit: {cores}}}, memory: {{request: 1Gi, limit: {memory}}}}}
"""


def profile_text(
    name: str = "maps", version: int = 1, *, title: str = "Maps", memory: str = "4Gi", cores: int = 2
) -> str:
    """Return the text of a profile file."""
    return PROFILE.format(name=name, version=version, title=title, memory=memory, cores=cores)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        """Turn it (back, with negative numbers)."""
        self.at += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    """A clock that tests turn."""
    return Clock()


@pytest.fixture
def folder(tmp_path: Path, settings: HubExt) -> Path:
    """The profiles folder of the platform; empty."""
    path = tmp_path / "profiles"
    path.mkdir()
    settings.profiles_dir = str(path)
    return path


@pytest.fixture
def put(folder: Path) -> Callable[..., Path]:
    """Write a profile file (or any text under a path) into the folder."""

    def put(text: str, where: str = "maps/1.yaml") -> Path:
        path = folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put


@pytest.fixture
def store(settings: HubExt, folder: Path, database: Database, clock: Clock) -> CatalogStore:
    """The catalog of one process."""
    return CatalogStore(settings, database, clock=clock)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command; return its exit code and what it printed."""
    for name in ("HUB_EXT_STATE", "HUB_EXT_URL", "HUB_EXT_TOKEN", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["hub-ext", *(str(one) for one in arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
