"""`python -m hub_ext.deployed.answers`: whether the platform answers through its proxy; what `helm test` runs."""

from __future__ import annotations

import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

_PATHS = ("/hub/health", "/services/workflows/api/v1/health", "/hub/login")
_WITHIN = 60.0  # seconds
_PAUSE = 0.5  # seconds


def _ask(url: str) -> str:
    """Return an empty text when an address answers with 200, else what it said."""
    # The certificate is for the name that browsers use; here it is the way to the proxy that is looked at.
    trust = ssl._create_unverified_context()  # noqa: S323
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(url, timeout=10) as answer:
            return "" if answer.status == 200 else f"{answer.status}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(300).decode('utf-8', 'replace')}"
    except (OSError, ValueError) as error:
        return str(error)


def look(url: str, say: Callable[[str], None], within: float = _WITHIN) -> bool:
    """Return whether every part answers in time.

    Args:
        url: Of the proxy.
        say: Told how each is.
        within: Seconds.
    """
    until = time.monotonic() + within
    for path in _PATHS:
        while (said := _ask(url + path)) and time.monotonic() < until:
            time.sleep(_PAUSE)
        say(f"{path}: {said or 'answers'}")
        if said:
            return False
    return True


if __name__ == "__main__":
    sys.exit(0 if look(os.environ["HUB_EXT_PROXY_URL"].rstrip("/"), lambda text: print(text, flush=True)) else 1)  # noqa: T201
