"""Counts what a Hub asks the API server, in the Hub itself.

A proxy that counts would take the encryption of connections from the Hub that is measured, and would itself take more
of the machine the more a Hub asks.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

_PROJECT = Path(__file__).resolve().parent.parent
_KIND = re.compile(r"^https?://[^/]+/apis?/([a-z0-9.]+/)?v[0-9]+/")


def lines(asked: Path) -> str:
    """Return what a Hub's configuration says, so that each request is written down.

    Args:
        asked: File with a line for each.
    """
    return f"""
import sys
sys.path.insert(0, {str(_PROJECT)!r})
from benchmarks.counting import write_down
write_down({str(asked)!r})
"""


def write_down(asked: str) -> None:
    """Write down each request of this process.

    Args:
        asked: File with a line for each.
    """
    told = Path(asked).open("a", buffering=1)  # noqa: SIM115  # until the process ends
    make = aiohttp.ClientSession._request  # whatever a session is asked for comes here

    async def request(session: aiohttp.ClientSession, method: str, url: Any, **more: Any) -> aiohttp.ClientResponse:
        told.write(f"{method} {url}\n")
        return await make(session, method, url, **more)

    setattr(aiohttp.ClientSession, "_request", request)  # noqa: B010  # it has another type


class Asked:
    """What a Hub has asked since the last look.

    Args:
        file: The one of `lines`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = 0

    def new(self) -> Counter[str]:
        """Return how often each kind of request was made since the last call: `POST pods`."""
        made = self._file.read_text().splitlines()
        new, self._seen = made[self._seen :], len(made)
        return kinds(new)


def kinds(asked: list[str]) -> Counter[str]:
    """Return how often each kind of request was made to the API server: `POST pods`.

    Args:
        asked: Methods and addresses; of a Hub's, also those of its proxy and of servers.
    """
    found: Counter[str] = Counter()
    for one in asked:
        method, _, url = one.partition(" ")
        if not _KIND.match(url):
            continue
        parts = _KIND.sub("", url.partition("?")[0]).split("/")
        kind = parts[2] if parts[0] == "namespaces" and len(parts) > 2 else parts[0]
        found[f"{'WATCH' if 'watch=' in url else method} {kind}"] += 1
    return found
