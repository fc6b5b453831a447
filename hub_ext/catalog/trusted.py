"""What ships with this release and is trusted with it: profiles and rules, by digest.

`trusted.json` is made by `scripts/generate.py` from the files that ship, and `make check` compares the two: a shipped
file that is changed later is no longer what was released, and so a proposal like any other.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from hub_ext.catalog.loading import load
from hub_ext.settings import shipped

_FILE = Path(__file__).with_name("trusted.json")


@cache
def _trusted() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def trusted_profiles() -> dict[str, str]:
    """Return the profiles of this release: digest → ``name@number``."""
    return _trusted()["profiles"]


def trusted_rules() -> dict[str, str]:
    """Return the rules of this release, which were timed when it was made: digest → id."""
    return _trusted()["rules"]


def generate() -> str:
    """Return the text of `trusted.json` for the files that ship."""
    catalog = load(shipped("profiles"))
    if catalog.problems:
        raise ValueError(str(catalog.problems[0]))
    content = {
        "profiles": {profile.digest: f"{profile.name}@{profile.version}" for profile in catalog.profiles},
        "rules": {rule.digest: rule.id for rule in catalog.policy.rules},
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
