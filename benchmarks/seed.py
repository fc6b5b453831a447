"""Fill a database with many workflows and runs, as a platform has them after years.

    python -m benchmarks.seed hub-ext.sqlite --workflows 10000 --runs 100000

Rows are what publishing and running would have made, except that no file lies behind them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, update

from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.db.tables import Favourite, Run, Version, Workflow, WorkflowGroup, WorkflowTag
from hub_ext.db.types import now
from hub_ext.sharing.search import fold, search_text

OWNERS = 200
GROUPS = 20
CALLERS = 300
_BATCH = 2000
_SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
_WORDS = str.split(
    """
    rain flow sea temperature model risk flood pump dose trial cohort fuel price wage jobs route flight season wind
    storm load demand supply stock crop yield soil water river city road bridge harbour energy solar carbon forest
    fire ice snow coast tide wave depth grain sensor signal noise error drift trend cycle shock return margin cost
    """
)
_TAGS = str.split(
    """
    weather water health finance energy transport climate labour food safety maps statistics forecast quality report
    python learning training monitoring logistics
    """
)


def seed(url: str, workflows: int, runs: int, *, person: str = "bench", random_seed: int = 1) -> None:
    """Fill a database that has no workflows yet.

    Of the workflows 80 % are for everyone, 10 % for a group, 10 % private; runs are spread over 60 days, and the
    workflows that changed last have the same share of them as any other.

    Args:
        url: SQLAlchemy address of the database; it is migrated first.
        workflows: How many workflows, one version each.
        runs: How many runs, all ended.
        person: Owner of some of them, with favourites.
        random_seed: The same number fills in the same rows, but for ids.
    """
    database = Database(url)
    upgrade(database)
    chance = random.Random(random_seed)
    at = now()
    rows = [_workflow(chance, number, person, at) for number in range(workflows)]
    versions = [_version(row) for row in rows]
    groups = [
        {"workflow_id": row["id"], "group_name": f"group-{number % GROUPS}"}
        for number, row in enumerate(rows)
        if row["visibility"] == "groups"
    ]
    tags = [
        {"workflow_id": row["id"], "tag": tag, "visibility": row["visibility"]} for row in rows for tag in row["tags"]
    ]
    kept = [
        {"user_name": person, "workflow_id": row["id"], "created_at": at} for row in rows[:: max(1, workflows // 5)]
    ]
    with database.engine.connect() as connection:
        for table, content in ((Workflow, rows), (Version, versions), (WorkflowGroup, groups), (WorkflowTag, tags)):
            _insert(connection, table, content)
        _insert(connection, Favourite, kept)
        last = _add_runs(connection, chance, rows, versions, runs, at)
        for workflow_id, ended in last.items():
            connection.execute(update(Workflow).where(Workflow.id == workflow_id).values(last_run_at=ended))
        connection.commit()
    database.dispose()


def _insert(connection: Connection, table: type[Any], rows: Iterable[dict[str, Any]]) -> None:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            connection.execute(insert(table.__table__), batch)
            batch = []
    if batch:
        connection.execute(insert(table.__table__), batch)


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(_WORDS, k=count))


def _workflow(chance: random.Random, number: int, person: str, at: datetime) -> dict[str, Any]:
    owner = person if number % OWNERS == 0 else f"person-{number % OWNERS}"
    title, description = _words(chance, 5).capitalize(), _words(chance, 50).capitalize() + "."
    tags, name = chance.sample(_TAGS, 3), f"workflow-{number}"
    changed = at - timedelta(seconds=chance.randrange(2 * 365 * 86400))
    return {
        "id": f"w-{number:026d}",
        "owner": owner,
        "name": name,
        "title": title,
        "description": description,
        "tags": tags,
        "visibility": chance.choices(["everyone", "groups", "private"], [8, 1, 1])[0],
        "title_key": fold(title),
        "search": search_text(title, name, owner, tags, description),
        "latest": 1,
        "picture": None,
        "example_run_id": None,
        "created_at": changed - timedelta(days=30),
        "updated_at": changed,
        "last_run_at": None,
    }


def _version(workflow: dict[str, Any]) -> dict[str, Any]:
    number = workflow["id"].removeprefix("w-")
    return {
        "id": f"v-{number}",
        "workflow_id": workflow["id"],
        "number": 1,
        "digest": f"sha256:{int(number):064x}",
        "author": workflow["owner"],
        "message": "",
        "profile": "standard",
        "parameters_schema": _SCHEMA,
        "findings": [],
        "cells": 2,
        "notebook": f"versions/{int(number):064x}.ipynb",
        "verified_at": None,
        "created_at": workflow["updated_at"],
    }


def _add_runs(
    connection: Connection,
    chance: random.Random,
    workflows: list[dict[str, Any]],
    versions: list[dict[str, Any]],
    runs: int,
    at: datetime,
) -> dict[str, datetime]:
    last: dict[str, datetime] = {}

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(runs):
            which = number % len(workflows)
            row = _run(chance, number, workflows[which]["id"], versions[which]["id"], at)
            last[row["workflow_id"]] = max(row["ended_at"], last.get(row["workflow_id"], row["ended_at"]))
            yield row

    _insert(connection, Run, rows())
    return last


def _run(chance: random.Random, number: int, workflow: str, version: str, at: datetime) -> dict[str, Any]:
    created = at - timedelta(seconds=60 + chance.randrange(60 * 86400))
    return {
        "id": f"r-{number:026d}",
        "workflow_id": workflow,
        "version_id": version,
        "caller": f"person-{chance.randrange(CALLERS)}",
        "state": chance.choices(["succeeded", "failed", "cancelled", "lost"], [90, 7, 2, 1])[0],
        "parameters": {},
        "secret_names": [],
        "profile": "standard",
        "profile_version": 1,
        "options": {},
        "spec": {},
        "cells_total": 2,
        "cells_done": 2,
        "reason": "",
        "artifacts": [],
        "created_at": created,
        "started_at": created + timedelta(seconds=1),
        "ended_at": created + timedelta(seconds=3),
    }


def main() -> None:
    """Read the command line and fill a file."""
    parser = argparse.ArgumentParser(description="Fill a SQLite file with workflows and runs.")
    parser.add_argument("file", help="the SQLite file; made if it does not exist")
    parser.add_argument("--workflows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--person", default="bench", help="owner of some of them")
    given = parser.parse_args()
    seed(f"sqlite:///{given.file}", given.workflows, given.runs, person=given.person)


if __name__ == "__main__":
    main()
