"""JupyterHub as the embedded default runs it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

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


def test_a_transaction_of_the_hub_asks_for_nothing_but_what_it_is_for(tmp_path: Path) -> None:
    hub = EmbeddedHub(db_url=f"sqlite:///{tmp_path / 'jupyterhub.sqlite'}")
    hub.init_db()
    asked: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    event.listen(hub.db.get_bind(), "before_cursor_execute", hear)
    with contextlib.closing(hub.db):
        hub.db.execute(text("SELECT 2"))
    assert asked == ["SELECT 2"]
    hub.db.get_bind().dispose()
