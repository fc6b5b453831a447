"""The start page and the catalog's pages with 200 profiles: one client, one request after the other, warm.

Peer: the same page with the 4 profiles that ship.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import httpx

from benchmarks.decide import PROFILES, _approve, _write, many
from benchmarks.gallery import sign_in
from benchmarks.harness import hub_ext, show, summary
from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database

_REQUESTS = 100
_WARM = 10
_PAGES = {
    "start page": "/hub/spawn",
    "catalog": "/services/workflows/profiles",
    "catalog, searched": "/services/workflows/profiles?q=standard-1",
    "cards": "/services/workflows/profiles/cards",
}


def _measure(client: httpx.Client, path: str) -> dict[str, float]:
    taken = []
    for number in range(_REQUESTS + _WARM):
        began = time.perf_counter()
        client.get(path).raise_for_status()
        if number >= _WARM:
            taken.append((time.perf_counter() - began) * 1000)
    return summary(taken)


def _checked(client: httpx.Client, seconds: float = 120) -> float:
    """Wait until every version is checked; return the seconds that it took."""
    began = time.perf_counter()
    while "being checked" in client.get(_PAGES["catalog"]).text:
        if time.perf_counter() - began > seconds:
            message = f"the versions were not checked within {seconds} s"
            raise RuntimeError(message)
        time.sleep(0.2)
    return time.perf_counter() - began


def _pages(folder: Path, **settings: str) -> tuple[dict[str, dict[str, float]], float]:
    with hub_ext(folder, **settings) as platform, closing(sign_in(platform, "admin")) as client:
        checked = _checked(client)
        return {name: _measure(client, path) for name, path in _PAGES.items()}, checked


def main(folder: Path) -> None:
    """Print the figures."""
    profiles, files, state = many(PROFILES), folder / "profiles", folder / "many"
    state.mkdir(parents=True)
    _write(files, profiles)
    database = Database(f"sqlite:///{state / 'hub-ext.sqlite'}")
    upgrade(database)
    _approve(database, profiles)
    database.dispose()
    large, checked = _pages(state, HUB_EXT_PROFILES_DIR=str(files))
    small, _ = _pages(folder / "few")
    figures: dict[str, object] = {f"first checks of {PROFILES} versions, while pages answer (s)": round(checked, 2)}
    for name in _PAGES:
        figures[f"{name} with {PROFILES} profiles (ms)"] = large[name]
        figures[f"{name} with 4 profiles (ms)"] = small[name]
        figures[f"{name} ratio of p95"] = round(large[name]["p95"] / small[name]["p95"], 2)
    show("pages with many profiles", figures, "start page with 200 profiles: p95 <= 60 ms")
