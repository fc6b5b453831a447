"""What a stock Hub did, kept: it changes only with its releases, and a run of all paths takes minutes."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.hostile.paths import Results
from benchmarks.hostile.side import Outcome

FILE = Path(__file__).with_name("stock.json")
_RELEASES = ("jupyterhub", "jupyterhub-kubespawner")


def releases() -> dict[str, str]:
    """Return which releases are installed here."""
    return {name: version(name) for name in _RELEASES}


def save(results: Results) -> None:
    """Keep what became of each option set, with the releases."""
    found = {case: {path: asdict(one) for path, one in paths.items()} for case, paths in results.items()}
    text = json.dumps({"releases": releases(), "results": found}, indent=1, ensure_ascii=True)
    FILE.write_text(text + "\n", encoding="utf-8")


def load() -> tuple[dict[str, str], Results]:
    """Return the releases, and what became of each option set there."""
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    found = {case: {path: Outcome(**one) for path, one in paths.items()} for case, paths in kept["results"].items()}
    return kept["releases"], found
