"""Readiness tells the truth: each part is asked, named with the reason when it is away, and well again by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_ext.db.migrate import upgrade
from hub_ext.errors import StorageFull, Unavailable
from hub_ext.settings import HubExt
from hub_ext.web import parts
from hub_ext.web.api import health, models
from hub_ext.web.api.health import Checkup
from hub_ext.web.context import Context
from tests.postgresql import Cluster

SECONDS = 30.0


@pytest.fixture
def url(postgresql: Cluster) -> str:
    return postgresql.make()


@pytest.fixture
def real(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """The parts of a service on PostgreSQL, with a store in a folder; its reconciler is said to be at work."""
    for name, value in (("API_URL", "http://127.0.0.1:1/hub/api"), ("API_TOKEN", "none"), ("CLIENT_ID", "service-x")):
        monkeypatch.setenv(f"JUPYTERHUB_{name}", value)
    monkeypatch.setattr(health, "_FRESH", {"ok": 0.0, "unavailable": 0.0})
    made = parts.build(HubExt(state_dir=str(tmp_path / "state"), database_url=url), {})
    upgrade(made.database)
    made.reconciler._worked = float("inf")
    yield made
    made.database.dispose()


def wrong(found: models.ServiceHealth) -> dict[str, str]:
    return {part.name: part.detail for part in found.parts if not part.ok}


async def until(checkup: Checkup, expected: set[str]) -> models.ServiceHealth:
    deadline = asyncio.get_running_loop().time() + SECONDS
    while set(wrong(found := await checkup.result())) != expected:
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.05)
    return found


async def test_a_database_that_is_away_is_named_and_ready_comes_back_with_it(
    real: Context, postgresql: Cluster, url: str
) -> None:
    checkup = Checkup(real)
    assert (await until(checkup, set())).status == "ok"
    with postgresql.away(url):
        found = await until(checkup, {"database"})
        assert found.status == "unavailable"
        assert wrong(found)["database"].startswith("The database does not answer")
        assert url not in found.model_dump_json()
    assert (await until(checkup, set())).status == "ok"


async def test_a_store_that_is_away_is_named_and_ready_comes_back_with_it(real: Context, tmp_path: Path) -> None:
    checkup, folder = Checkup(real), tmp_path / "state" / "results"
    await until(checkup, set())
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("where the store was mounted")
    assert wrong(await until(checkup, {"store"})) == {"store": "The result store does not answer."}
    folder.unlink()
    (tmp_path / "elsewhere").rename(folder)
    await until(checkup, set())


async def test_a_policy_that_cannot_be_read_is_told_and_takes_the_pages_from_nobody(
    real: Context, tmp_path: Path
) -> None:
    folder = tmp_path / "profiles"
    (folder / "_policy").mkdir(parents=True)
    (folder / "_policy" / "rules.yaml").write_text("this: [is no policy")
    context = parts.build(
        HubExt(state_dir=str(tmp_path / "state"), database_url=real.settings.database_url, profiles_dir=str(folder)), {}
    )
    try:
        found = {part.name: part for part in (await Checkup(context).result()).parts}["profiles"]
    finally:
        context.database.dispose()
    assert found.ok
    assert "nothing starts" in found.detail


async def test_what_hangs_is_told_in_time_and_keeps_one_thread_alone(real: Context) -> None:
    goes_on, asked = threading.Event(), []

    def hangs(_: Context) -> str:
        asked.append(1)
        goes_on.wait(SECONDS)
        raise Unavailable("It was away.")

    checkup = Checkup(real, {"slow": hangs, "quick": lambda _: ""}, patience=0.1)
    try:
        for _ in range(3):
            assert wrong(await checkup.result()) == {"slow": "It does not answer in time."}
        assert len(asked) == 1
    finally:
        goes_on.set()
    deadline = asyncio.get_running_loop().time() + SECONDS
    while wrong(await checkup.result()) != {"slow": "It was away."}:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def test_a_part_without_space_is_told_from_one_that_is_away(real: Context) -> None:
    def full(_: Context) -> str:
        raise StorageFull("The result store has no space left.")

    def away(_: Context) -> str:
        raise Unavailable("The result store does not answer.")

    found = await Checkup(real, {"full": full, "away": away}).result()
    assert (found.status, wrong(found)) == (
        "unavailable",
        {"full": "The result store has no space left.", "away": "The result store does not answer."},
    )
    assert {part.name for part in found.parts if part.full} == {"full"}


async def test_a_reconciler_that_cannot_write_for_want_of_space_is_full_and_not_dead(real: Context) -> None:
    def no_space() -> bool:
        raise StorageFull("The database has no space left, so nothing was changed.")

    real.reconciler._worked, real.reconciler._look = 0.0, no_space  # type: ignore[method-assign]
    await real.reconciler._once()
    (part,) = (await Checkup(real, {"reconciler": health._PARTS["reconciler"]}).result()).parts
    assert (part.ok, part.full) == (False, True)
