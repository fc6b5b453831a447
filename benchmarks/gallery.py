"""The gallery page at 100 and at 10,000 workflows (100,000 runs): one client, one request after the other, warm.

Peer: the same page at 100 workflows.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import httpx

from benchmarks.harness import PASSWORD, Platform, hub_ext, show, summary
from benchmarks.seed import seed

_REQUESTS = 200
_PAGES = {"gallery": "gallery", "search": "gallery?q=weather", "home": "", "api": "api/v1/workflows"}


def sign_in(platform: Platform, name: str) -> httpx.Client:
    """Return a client with a browser's session of the sharing service."""
    client = httpx.Client(base_url=platform.url, trust_env=False, follow_redirects=True, timeout=60)
    page = client.get("/hub/login")
    xsrf = {"_xsrf": page.text.split('name="_xsrf" value="')[1].split('"')[0]}
    client.post("/hub/login", data={"username": name, "password": PASSWORD, **xsrf}).raise_for_status()
    client.get("/services/workflows/").raise_for_status()
    return client


def _measure(client: httpx.Client, path: str) -> dict[str, float]:
    times = []
    for number in range(_REQUESTS + 20):
        began = time.perf_counter()
        client.get(f"/services/workflows/{path}").raise_for_status()
        if number >= 20:
            times.append((time.perf_counter() - began) * 1000)
    return summary(times)


def main(folder: Path) -> None:
    """Print the figures."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    for workflows, runs in ((100, 1_000), (10_000, 100_000)):
        state = folder / str(workflows)
        state.mkdir(parents=True)
        seed(f"sqlite:///{state / 'hub-ext.sqlite'}", workflows, runs)
        with hub_ext(state) as platform, closing(sign_in(platform, "bench")) as client:
            found[workflows] = {name: _measure(client, path) for name, path in _PAGES.items()}
    figures: dict[str, object] = {}
    for name in _PAGES:
        small, large = found[100][name], found[10_000][name]
        figures[f"{name} at 100 (ms)"] = small
        figures[f"{name} at 10,000 (ms)"] = large
        figures[f"{name} ratio of p95"] = round(large["p95"] / small["p95"], 2)
    show("pages at 10,000 workflows", figures, "gallery p95 <= 60 ms and <= 1.5 x the same at 100")
