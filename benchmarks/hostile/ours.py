"""Our side: `hub-ext up` with a profile that two curators approved, beside those that ship."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx

from benchmarks import harness
from benchmarks.hostile.options import NOTHING, Case
from benchmarks.hostile.paths import PATHS, Results, drive
from benchmarks.hostile.side import PASSWORD, Outcome, Side, Words, server_path
from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.governance.curation import Curation
from hub_ext.governance.store import CatalogStore
from hub_ext.people import Person
from hub_ext.settings import HubExt, shipped

ALLOWED = Case("what is allowed", options={"memory": "8Gi", "idle": 30})
MAPS = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: maps, version: 1, title: Maps, owner: gis-team}
spec:
  description: Maps of rivers and roads.
  access: {groups: [analysts]}
  image: notebooks/standard
  resources: {cpu: {request: 0.5, limit: 2}, memory: {request: 1Gi, limit: 4Gi}}
  options:
    memory: {title: Memory, type: quantity, choices: [2Gi, 4Gi, 8Gi], default: 4Gi, sets: resources.memory.limit}
    cores: {title: Cores, type: number, minimum: 0.5, maximum: 4, default: 2, sets: resources.cpu.limit}
    idle: {title: Stop when idle for, type: integer, minimum: 15, maximum: 240, default: 60, sets: lifetime.idle}
    image: {title: Image, type: string, choices: [notebooks/standard, notebooks/geo], default: notebooks/standard,
      sets: image}
"""
_NEWEST = """
SELECT s.id, d.spec FROM server_starts AS s JOIN decisions AS d ON d.id = s.decision_id
WHERE s.user_name = ? AND s.server = ? ORDER BY s.id DESC LIMIT 1
"""


def _body(case: Case) -> dict[str, Any]:
    profile = {} if case.profile is NOTHING else {"profile": case.profile}
    options = {} if case.options == {} else {"options": case.options}
    return profile | options | case.beside


class Ours:
    """A platform in a folder.

    Args:
        folder: Where all of it is.
    """

    def __init__(self, folder: Path) -> None:
        self._state, profiles = folder / "state", folder / "profiles"
        shutil.copytree(shipped("profiles"), profiles)
        (profiles / "maps").mkdir()
        (profiles / "maps" / "1.yaml").write_text(MAPS)
        self._settings = HubExt(state_dir=str(self._state), profiles_dir=str(profiles))
        self._state.mkdir()
        self._approve()
        self._process = contextlib.ExitStack()
        self._seen: set[str] = set()
        self.side: Side | None = None

    def _approve(self) -> None:
        database = Database(self._settings.database)
        upgrade(database)
        curation = Curation(database, CatalogStore(self._settings, database), self._settings)
        cleo, eva, uma = (Person(name, roles=frozenset({"curator"})) for name in ("cleo", "eva", "uma"))
        digest = curation.propose(cleo, MAPS).version.digest
        for person in (eva, uma):
            curation.approve(person, digest)
        database.dispose()

    def start(self) -> str:
        """Start the platform, or start it again; return its address."""
        self.stop()
        settings = {"HUB_EXT_PROFILES_DIR": str(self._settings.profiles_dir), "HUB_EXT_PASSWORD": PASSWORD}
        settings["HUB_EXT_DECISION_TIMEOUT"] = "60"  # seconds; the machine may be busy, and time is not the question
        return self._process.enter_context(harness.hub_ext(self._state, **settings)).url

    def stop(self) -> None:
        """Stop the platform."""
        self._process.close()

    def find(self, user: str, server: str, answer: httpx.Response) -> Outcome:
        """Return what became of a start: from the record of starts, whatever was answered."""
        path = self._state / "hub-ext.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            newest = database.execute(_NEWEST, (user, server)).fetchone()
        if newest is None or newest[0] in self._seen:
            if answer.status_code == 202:  # the machine is busy
                assert self.side is not None
                answer = self.side.told_later(user, server)
            return Outcome(False, words=_reason(answer), handled=answer.status_code in (400, 403))
        self._seen.add(newest[0])
        self._end(user, server)
        wrong = _unapproved(json.loads(newest[1]))
        return Outcome(True, not wrong, wrong or "as approved")

    def _end(self, user: str, server: str) -> None:
        """End the server of a start that was allowed, so that the next case does not meet it."""
        assert self.side is not None
        deadline = time.monotonic() + 60
        while self.side.api(user).request("DELETE", server_path(user, server)).status_code not in (204, 404):
            if time.monotonic() > deadline:
                message = f"{user}/{server} does not end"
                raise RuntimeError(message)
            time.sleep(0.05)


def _reason(answer: httpx.Response) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return f"{answer.status_code}: {answer.json()['message']}"
    return str(answer.status_code)


def _unapproved(spec: dict[str, Any]) -> str:
    """Return which field of a spec no choice of the profile's options yields; empty for none."""
    memory, cores, idle, image = (
        spec["resources"]["memory"]["limit"],
        spec["resources"]["cpu"]["limit"],
        spec["lifetime"]["idle"],
        spec["image"],
    )
    found = {
        "memory": memory in ("2Gi", "4Gi", "8Gi"),
        "cores": type(cores) in (int, float) and 0.5 <= cores <= 4,
        "idle": type(idle) is int and 15 <= idle <= 240,
        "image": image in ("notebooks/standard", "notebooks/geo"),
        "maximum": spec["lifetime"]["maximum"] == 720,
        "environment": spec["local"]["environment"] == "default",
        "egress": spec["network"]["egress"] == [],
        "home": spec["storage"]["home"] is None,
        "gpu": spec["resources"]["gpu"] == 0,
    }
    return ", ".join(name for name, good in found.items() if not good)


def results(folder: Path, cases: list[Case], paths: Collection[str] = tuple(PATHS)) -> tuple[Results, set[str]]:
    """Send all cases to our platform by all paths; see `drive`."""
    folder.mkdir(parents=True)
    ours = Ours(folder)
    words = Words(_body, lambda profile, name: f"option:{profile}:{name}")
    try:
        side = ours.side = Side(ours.start(), words, ours.find)
        with contextlib.closing(side):
            return drive(side, cases, ALLOWED, ours.start, paths)
    finally:
        ours.stop()
