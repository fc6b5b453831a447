"""Real users and spawners of JupyterHub, on a database in memory, without a Hub around them."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from traitlets.config import Config

from hub_ext.settings import HubExt
from hub_ext.spawner.base import DecidedSpawner
from hub_ext.spawner.ledger import Ledger
from hub_ext.spawner.local import LocalSpawner

MakeSpawner = Callable[..., LocalSpawner]


@pytest.fixture
def make_spawner(tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeSpawner]:
    """Return a function that makes the spawner of a person who is an analyst."""
    monkeypatch.setattr(DecidedSpawner, "_settling", object())  # the periodic look needs a loop that stays
    database = orm.new_session_factory("sqlite:///:memory:")()
    config = Config(HubExt={"state_dir": str(tmp_path / "state")})
    (tmp_path / "state").mkdir()
    shutil.copy(migrated_file, tmp_path / "state" / "hub-ext.sqlite")
    ledger = Ledger.shared(HubExt(config=config))

    analysts = orm.Group(name="analysts")

    def make(name: str = "ana", **sections: Any) -> LocalSpawner:
        person = orm.User(name=name)
        person.groups = [analysts]
        database.add(person)
        database.commit()
        settings = {"spawner_class": LocalSpawner, "hub": Hub(), "config": Config({**config, **sections})}
        spawner = User(person, settings).spawner
        assert isinstance(spawner, LocalSpawner)
        return spawner

    yield make
    ledger.database.dispose()
    database.close()
    database.get_bind().dispose()
    gc.collect()
    gc.freeze()  # what is there is no garbage of the next test: all that was imported is not looked through each time
