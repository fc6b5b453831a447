"""A start with its access and budgets among 50,000 people and 5,000 groups in PostgreSQL: facts, decision, reservation,
commit; and the start page there.

Peer: the same among 500 people and 50 groups, on the same PostgreSQL. Debian's, with fsync on.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text

from benchmarks.gallery import sign_in
from benchmarks.harness import hub_ext, show, summary
from hub_ext.access.charges import release
from hub_ext.catalog.decide import Request
from hub_ext.catalog.loading import load
from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.db.tables import AccessRequest, Budget, BudgetCharge, BudgetMeter, Entitlement
from hub_ext.db.types import new_id, now
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.settings import HubExt, shipped
from tests.postgresql import Cluster, cluster

SMALL, LARGE = (500, 50), (50_000, 5_000)
CALLS, WARM = 300, 20
_BATCH = 5_000
_ANALYSTS = "analysts"


def seed(database: Database, people: int, groups: int) -> None:
    """Write entitlements, requests, budgets and what was used, of so many people and groups."""
    profiles = [one.name for one in load(shipped("profiles")).profiles]
    at = now()
    with database.engine.begin() as connection:
        for table, rows in (
            (Entitlement, _entitlements(people, groups, profiles, at)),
            (AccessRequest, _requests(people, profiles, at)),
            (Budget, _budgets(people, groups, at)),
            (BudgetCharge, _charges(people, groups, at)),
            (BudgetMeter, _meters(people, groups, at)),
        ):
            while batch := list(itertools.islice(rows, _BATCH)):
                connection.execute(insert(table), batch)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def _entitlements(people: int, groups: int, profiles: list[str], at: Any) -> Iterator[dict[str, Any]]:
    """Yield two a person, one of them over, and one a group."""
    names = [("person", f"p{number}", days) for number in range(people) for days in (30, -10)]
    names += [("group", f"g{number}", 60) for number in range(groups)]
    for number, (kind, name, days) in enumerate(names):
        until = at + timedelta(days=days)
        yield {
            "id": new_id("n"),
            "profile": profiles[number % len(profiles)],
            "kind": kind,
            "name": name,
            "until": until,
            "granted_until": until,
            "reason": "Measured.",
            "granted_by": "cleo",
            "granted_at": at - timedelta(days=30),
        }


def _requests(people: int, profiles: list[str], at: Any) -> Iterator[dict[str, Any]]:
    for number in range(people):
        yield {
            "id": new_id("q"),
            "user_name": f"p{number}",
            "profile": profiles[number % len(profiles)],
            "reason": "Measured.",
            "state": "granted" if number % 10 else "waiting",
            "asked_at": at - timedelta(days=number % 60),
            "answered_by": "cleo",
            "answered_at": at - timedelta(days=number % 60),
        }


def _budgets(people: int, groups: int, at: Any) -> Iterator[dict[str, Any]]:
    limits = {"cpu_hours": 10.0**8, "servers": 10**6, "soft": 80, "reason": "", "changed_by": "cleo", "changed_at": at}
    for kind, count in (("person", people // 10), ("group", groups)):
        for number in range(count):
            yield {"kind": kind, "name": f"{kind[0]}{number}", **limits}
    yield {"kind": "everyone", "name": "everyone", **limits}


def _charges(people: int, groups: int, at: Any) -> Iterator[dict[str, Any]]:
    """Yield a server of every fifth person, that counts for her and for two groups, and everybody's home."""
    taken = {"cpu": 2.0, "memory": 4.0, "gpu": 0, "storage": 0, "since": at.timestamp() - 3600}
    for number in range(0, people, 5):
        holders = [("person", f"p{number}"), *(("group", f"g{(number + more) % groups}") for more in (0, 1))]
        for kind, name in holders:
            yield {"use_id": f"s-{number}", "kind": kind, "name": name, "purpose": "server", **taken}
    for number in range(people):
        home = {"use_id": f"home:p{number}", "purpose": "home", "storage": 10**10}
        yield {**taken, "cpu": 0.0, "memory": 0.0, "kind": "person", "name": f"p{number}", **home}


def _meters(people: int, groups: int, at: Any) -> Iterator[dict[str, Any]]:
    used = {"servers": 5, "runs": 20, "cpu": 3600.0, "memory": 7200.0, "gpu": 0.0}
    months = [f"{at - timedelta(days=30 * back):%Y-%m}" for back in range(3)]
    for kind, count in (("person", people), ("group", groups)):
        for number in range(count):
            for month in dict.fromkeys(months):
                yield {"kind": kind, "name": f"{kind[0]}{number}", "month": month, **used}


def _starts(point: DecisionPoint, people: int, groups: int, of_each: int) -> dict[str, float]:
    """Return how long a start takes of people who are in so many groups, in milliseconds."""
    taken = []
    for number in range(CALLS + WARM):
        who = number * 37 % people
        hers = {_ANALYSTS, *(f"g{(who + more * 7) % groups}" for more in range(of_each))}
        request, use = Request(f"p{who}", "server", "standard"), new_id("s")
        began = time.perf_counter()
        with point.database.write() as session:
            decision, _ = point.decide(session, request, hers, "", use)
        spent = (time.perf_counter() - began) * 1000
        assert decision.allowed, decision.sentence()
        with point.database.write() as session:
            release(session, use, now())
        if number >= WARM:
            taken.append(spent)
    return summary(taken)


def _page(folder: Path, url: str) -> dict[str, float]:
    """Return how long the start page takes of somebody with an entitlement, a request and a budget."""
    folder.mkdir(parents=True)
    taken = []
    with hub_ext(folder, HUB_EXT_DATABASE_URL=url) as platform, closing(sign_in(platform, "p3")) as client:
        for number in range(CALLS + WARM):
            began = time.perf_counter()
            client.get("/hub/spawn").raise_for_status()
            if number >= WARM:
                taken.append((time.perf_counter() - began) * 1000)
    return summary(taken)


def _measure(made: Cluster, folder: Path, people: int, groups: int) -> dict[str, dict[str, float]]:
    url = made.make()
    settings = HubExt(state_dir=str(folder / f"state-{people}"), database_url=url)
    database = Database(url)
    upgrade(database)
    seed(database, people, groups)
    point = DecisionPoint(database, CatalogStore(settings, database), settings)
    found = {
        "start, in 10 groups": _starts(point, people, groups, 10),
        f"start, in {min(groups, 500)} groups": _starts(point, people, groups, 500),
        "start page": _page(folder / f"page-{people}", url),
    }
    database.dispose()
    return found


def main(folder: Path) -> None:
    """Print the figures."""
    with cluster(fsync="on", synchronous_commit="on", full_page_writes="on") as made:
        small, large = (_measure(made, folder, *size) for size in (SMALL, LARGE))
    figures: dict[str, object] = {}
    for (few, less), (many, more) in zip(small.items(), large.items(), strict=True):
        figures[f"{few} of 500 people (ms)"] = less
        figures[f"{many} of 50,000 people (ms)"] = more
        figures[f"{many}: ratio of p95"] = round(more["p95"] / less["p95"], 2)
    show("access among 50,000 people", figures, "start p95 <= 50 ms; start page p95 <= 60 ms")
