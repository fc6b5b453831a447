"""JupyterHub as the embedded default runs it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy import text

from hub_ext.embedded.hub import EmbeddedHub

NORMAL = 1  # of `PRAGMA synchronous`: the disk is waited for at checkpoints, not at each commit


def test_a_commit_of_the_hub_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    hub = EmbeddedHub(db_url=f"sqlite:///{tmp_path / 'jupyterhub.sqlite'}")
    hub.init_db()
    with contextlib.closing(hub.db):
        assert hub.db.scalar(text("PRAGMA journal_mode")) == "wal"
        assert hub.db.scalar(text("PRAGMA synchronous")) == NORMAL
        assert hub.db.scalar(text("PRAGMA foreign_keys")) == 1  # as JupyterHub sets it
    hub.db.get_bind().dispose()
