"""What answers by HTTP: the Hub and the sharing service, through the proxy, as a browser sees them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from hub_ext import __version__
from hub_ext.db.types import now
from hub_ext.doctor.finding import Finding, ok
from hub_ext.settings import HubExt

_WITHIN = 10.0  # seconds
_REACHED_WITHIN = 3.0  # seconds; what a policy stops says nothing
_CLOCKS_APART = 10.0  # seconds; signatures and tokens count in these


def look(url: str, settings: HubExt) -> Iterator[Finding]:
    """Look at the Hub, and at the sharing service with what it says of its parts.

    Args:
        url: The public address.
        settings: Name the service.
    """
    yield from _hub(url)
    yield from _service(url, settings)


def closed(address: str) -> Finding:
    """Try to reach what a NetworkPolicy of ours keeps from us: a network that holds none lets it happen.

    Args:
        address: Host and port of a part that listens there.
    """
    host, _, port = address.rpartition(":")
    try:
        where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][4]
    except OSError:
        return Finding(
            "network policies", "warn", f"could not be tried: nobody knows {host}", "Is the proxy installed?"
        )
    try:
        socket.create_connection((str(where[0]), int(port)), _REACHED_WITHIN).close()
    except OSError:
        return ok("network policies", "they are held: what is closed to this part cannot be reached")
    advice = "Use a network plugin that holds them: without one, anybody's code reaches what the nodes reach."
    return Finding("network policies", "warn", f"this network holds none: {address} is closed, and was reached", advice)


def _hub(url: str) -> Iterator[Finding]:
    answer = _get(f"{url}/hub/api/")
    if isinstance(answer, str) or answer.status_code != 200:
        said = answer if isinstance(answer, str) else f"it answers {answer.status_code}"
        advice = "Is the platform running, and is the address right (--url)? See the logs of proxy and Hub."
        yield Finding("Hub", "fail", f"does not answer at {url}: {said}", advice)
        return
    yield ok("Hub", f"JupyterHub {_json(answer).get('version', '?')} answers at {url}")
    date = answer.headers.get("date", "")
    apart = abs((_moment(date) - now()).total_seconds()) if date else 0.0
    if apart > _CLOCKS_APART:
        advice = "Set the clocks by a time server."
        yield Finding("Hub", "warn", f"its clock and ours are {apart:.0f} s apart", advice)


def _service(url: str, settings: HubExt) -> Iterator[Finding]:
    answer = _get(f"{url}/services/{settings.service_name}/api/v1/health")
    if isinstance(answer, str) or answer.status_code not in (200, 503):
        said = answer if isinstance(answer, str) else f"it answers {answer.status_code}"
        yield Finding("sharing service", "fail", f"does not answer: {said}", "See its log.")
        return
    found = _json(answer)
    for part in found.get("parts", []):
        if not part.get("ok"):
            detail = f"cannot use its {part.get('name')}: {part.get('detail')}"
            yield Finding("sharing service", "fail", detail, "See its log; the same part was looked at from here.")
    version = found.get("version")
    if version != __version__:
        advice = "Use the command of the same release."
        yield Finding("sharing service", "warn", f"is of release {version}, this command of {__version__}", advice)
    elif answer.status_code == 200:
        yield ok("sharing service", f"{version} answers, and all its parts work")


def _get(url: str) -> httpx.Response | str:
    """Return an answer, or why there is none, in words."""
    try:
        return httpx.get(url, timeout=_WITHIN, trust_env=False)
    except httpx.ConnectError:
        return "nobody listens there"
    except httpx.TimeoutException:
        return f"no answer in {_WITHIN:.0f} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return type(error).__name__


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _moment(date: str) -> datetime:
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return now()
