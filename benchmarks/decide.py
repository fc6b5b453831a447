"""The decision: alone with 100 rules and 200 profiles, whole with the Hub's groups call, and beside a loop."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import yaml

from benchmarks import harness
from benchmarks.harness import BIN, percentile, show, summary
from hub_ext.catalog.decide import Facts, Request, decide
from hub_ext.catalog.judging import judge
from hub_ext.catalog.loading import load
from hub_ext.catalog.models import Profile
from hub_ext.catalog.policy import Policy, Rule
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.db.tables import Approval, ProfileVersion
from hub_ext.db.types import new_id, now
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.governance.environments import environment_images
from hub_ext.governance.state import changed
from hub_ext.kubernetes.render import render, request_view
from hub_ext.settings import HubExt, shipped
from hub_ext.web.hub import HubClient

PROFILES, RULES, CALLS = 200, 100, 400
GROUPS = frozenset({"analysts", "modellers"})


def many(count: int) -> list[Profile]:
    """Return so many profiles: those that ship, under other names."""
    found = load(shipped("profiles")).profiles
    copies = []
    for number in range(count):
        profile = found[number % len(found)]
        about = profile.metadata.model_copy(update={"name": f"{profile.name}-{number}"})
        copies.append(profile.model_copy(update={"metadata": about}))
    return copies


def rules(count: int) -> tuple[Rule, ...]:
    """Return so many rules: those that ship, and again under other names with texts that are compiled anew."""
    baseline = load(shipped("profiles")).policy.rules
    found = list(baseline)
    while len(found) < count:
        rule = baseline[len(found) % len(baseline)]
        more = {"id": f"{rule.id}-{len(found)}", "cel": f"{rule.cel} || {len(found)} == 0"}
        found.append(rule.model_copy(update=more))
    return tuple(found)


def _write(folder: Path, profiles: list[Profile]) -> None:
    for profile in profiles:
        path = folder / profile.name / f"{profile.version}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (shipped("profiles") / profile.name.rpartition("-")[0] / "1.yaml").read_text()
        path.write_text(text.replace(f"name: {profile.name.rpartition('-')[0]},", f"name: {profile.name},"))


def _timed(
    call: Callable[[int], object], calls: int = CALLS, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return median and 95th percentile of a call, in milliseconds."""
    call(0)
    taken = []
    for number in range(calls):
        began = clock()
        call(number)
        taken.append((clock() - began) * 1000)
    return summary(taken)


def _alone(profiles: list[Profile]) -> dict[str, object]:
    """Time `decide`, and its peer: the same rules on objects that are rendered already."""
    shipping = load(shipped("profiles"))
    policy = Policy(rules(RULES))
    catalog = Catalog(tuple(profiles), (), policy, shipping.enclave)
    environments = {"default": "localhost/environment/default@sha256:" + "a" * 64}
    facts = Facts(now(), GROUPS, catalog, environments)
    profile = profiles[0]
    image = environments["default"]
    made = render(profile, profile.spec, catalog.enclave, user="amy", purpose="server", name="", image=image)
    about = {"user": "amy", "groups": GROUPS, "purpose": "server", "hour": 12, "weekday": 3}
    view = request_view(profile, profile.spec, about)

    def ours(number: int) -> None:
        assert decide(Request("amy", "server", profiles[number % len(profiles)].name), facts).allowed

    peer = _timed(lambda _: judge(policy, catalog.enclave, made, view))
    decided = _timed(ours)
    return {
        "decide (ms)": decided,
        "decide, time of the processor (ms)": _timed(ours, clock=time.thread_time),
        "peer: the compiled rules alone (ms)": peer,
        "decide / peer, median": round(decided["median"] / peer["median"], 2),
    }


def _approve(database: Database, profiles: list[Profile]) -> None:
    with database.write() as session:
        for profile in profiles:
            content = profile.model_dump(mode="json", by_alias=True)
            row = ProfileVersion(digest=profile.digest, name=profile.name, number=profile.version, content=content)
            row.author = row.author_subject = "cleo"
            row.state, row.approved_at = "approved", now()
            row.approvals = [Approval(approver="eva", approver_subject="eva", verdict="approve")]
            session.add(row)
        changed(session)


def _recorded(folder: Path, profiles: list[Profile]) -> tuple[DecisionPoint, Callable[[int], object]]:
    """Return a decision point on SQLite, and what takes facts, decides, reserves, records and commits there."""
    policy = folder / "profiles" / "_policy" / "many.yaml"
    policy.parent.mkdir(parents=True)
    about = {"name": "many", "title": "Many", "owner": "platform-team"}
    content = {"apiVersion": "hub-ext/v1", "kind": "PolicyRules", "metadata": about}
    policy.write_text(yaml.safe_dump(content | {"rules": [rule.model_dump(mode="json") for rule in rules(RULES)]}))
    budget = {"servers": 5, "cpu_hours": 1000, "memory_hours": 10_000}
    settings = HubExt(state_dir=str(folder / "state"), profiles_dir=str(folder / "profiles"), budget=budget)
    database = Database(settings.database)
    upgrade(database)
    _approve(database, profiles)
    store = CatalogStore(settings, database)
    point = DecisionPoint(database, store, settings)
    assert len(store.refresh().policy.rules) == RULES
    environment_images(settings)

    people = itertools.count()  # each has a server: one person would reach her limit

    def whole(number: int) -> None:
        with database.write() as session:
            request = Request(f"amy-{next(people)}", "server", profiles[number % len(profiles)].name)
            decision, _ = point.decide(session, request, GROUPS, "", use_id=new_id("s"))
            assert decision.allowed

    return point, whole


@dataclass(frozen=True)
class _Word:
    """What `HubClient` has to know of the Hub."""

    api_url: str
    api_token: str


async def _whole(folder: Path, whole: Callable[[int], object]) -> dict[str, object]:
    """Time what a start costs with us: the groups of now from a real Hub, then all that the decision point does.

    Its peer is the Hub's call alone.
    """
    with harness.hub_ext(folder) as platform, ThreadPoolExecutor(4) as threads:
        client = HubClient(_Word(f"{platform.url}/hub/api", platform.admin_token))
        client.open()
        asked, taken = [], []
        for number in range(CALLS):
            began = time.perf_counter()
            await client.groups("admin")
            asked.append((time.perf_counter() - began) * 1000)
            await asyncio.get_running_loop().run_in_executor(threads, whole, number)
            taken.append((time.perf_counter() - began) * 1000)
        await client.close()
    figures, peer = summary(taken[10:]), summary(asked[10:])
    return {
        "groups + facts + decide + reserve + record + commit (ms)": figures,
        "peer: the Hub's groups call alone (ms)": peer,
        "whole / peer, median": round(figures["median"] / peer["median"], 2),
    }


async def _loop(point: DecisionPoint, profiles: list[Profile], calls: int) -> list[float]:
    """Return how late each tick of a loop came while decisions were taken in a thread, in milliseconds."""
    late: list[float] = []
    done = asyncio.Event()

    async def tick() -> None:
        while not done.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append((time.perf_counter() - began - 0.002) * 1000)

    def one(number: int) -> None:
        with point.database.write() as session:
            point.decide(session, Request("amy", "server", profiles[number % len(profiles)].name), GROUPS, "")

    ticking = asyncio.create_task(tick())
    with ThreadPoolExecutor(4) as threads:
        if calls:
            for number in range(calls):
                await asyncio.get_running_loop().run_in_executor(threads, one, number)
        else:
            await asyncio.sleep(1)
    done.set()
    await ticking
    return late


def _checked(folder: Path, profiles: list[Profile]) -> dict[str, object]:
    """Time `profiles check`, and its peer: PyYAML and jsonschema, which know the shape of files and no policy."""
    _write(folder, profiles)
    began = time.perf_counter()
    subprocess.run([str(BIN / "hub-ext"), "profiles", "check", str(folder)], check=True, stdout=subprocess.DEVNULL)
    checked = time.perf_counter() - began
    began = time.perf_counter()
    validator = jsonschema.Draft202012Validator(Profile.model_json_schema())
    for path in sorted(folder.glob("*/*.yaml")):
        validator.validate(yaml.safe_load(path.read_text()))
    peer = time.perf_counter() - began
    return {
        f"profiles check of {len(profiles)} (s)": round(checked, 2),
        "peer: PyYAML and jsonschema on the same files (s)": round(peer, 2),
        "check / peer": round(checked / peer, 2),
    }


def main(folder: Path) -> None:
    """Print the figures."""
    profiles = many(PROFILES)
    figures = _alone(profiles)
    point, whole = _recorded(folder, profiles)
    figures["facts + decide + reserve + record + commit (ms)"] = _timed(whole)
    figures |= asyncio.run(_whole(folder / "hub", whole))
    quiet = asyncio.run(_loop(point, profiles, 0))
    busy = asyncio.run(_loop(point, profiles, 200))
    figures["a tick of the loop is late by (ms)"] = {
        "without decisions": {"p95": round(percentile(quiet, 0.95), 2), "most": round(max(quiet), 2)},
        "with decisions in a thread": {"p95": round(percentile(busy, 0.95), 2), "most": round(max(busy), 2)},
    }
    figures |= _checked(folder / "files", profiles)
    _write(folder / "more", many(10_000))
    wrote = time.perf_counter()
    load(folder / "more")
    figures["reading 10,000 files (s)"] = round(time.perf_counter() - wrote, 2)
    point.database.dispose()
    bar = "decide p95 <= 6 ms; with groups and commit p95 <= 50 ms; check of 200 <= 10 s; the loop held <= 10 ms"
    show("the decision", figures, bar)
