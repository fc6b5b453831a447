"""Memory at rest: Hub, proxy and service, beside a stock JupyterHub with the same proxy (proportional set size)."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from benchmarks.harness import Platform, hub_ext, pss, show, stock

_PARTS = {
    "service": ("hub_ext.web.server",),
    "supervisor": ("supervisor",),
    "proxy": ("traefik",),
    "hub": ("jupyterhub", "hub_ext.embedded"),
    "up": ("hub-ext",),
}


def _by_part(platform: Platform) -> dict[str, float]:
    found: dict[str, float] = {}
    for process in platform.tree():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue  # it has ended meanwhile
        part = next((name for name, words in _PARTS.items() if any(word in line for word in words)), "other")
        found[part] = round(found.get(part, 0) + pss(process) / 2**20, 1)
    return found | {"all": round(sum(found.values()), 1)}


def main(folder: Path) -> None:
    """Print the figures."""
    with hub_ext(folder / "ours") as platform, stock(folder / "stock") as peer:
        time.sleep(15)  # what start-up leaves has been given back
        ours, theirs = _by_part(platform), _by_part(peer)
    service = round(ours.get("service", 0) + ours.get("supervisor", 0), 1)
    figures: dict[str, object] = {
        "ours (MiB)": ours,
        "stock (MiB)": theirs,
        "ours / stock": round(ours["all"] / theirs["all"], 2),
        "service with its supervisor (MiB)": service,
    }
    show("memory at rest", figures, "service with its supervisor <= 150 MB")
