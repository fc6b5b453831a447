"""Whether a server that was just started answers yet: asked closely, on its own port."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = "127.0.0.1"
_TAIL = 16 * 1024
_VERSION = "X-JupyterHub-Version"
_SECRET = re.compile(r"[0-9a-fA-F]{32,}")
# The best first, and whether the last or the first such line tells more: an exception, a message of high severity,
# anything else that sounds like an error.
_TELLING = (
    (re.compile(r"^[\w.]*(Error|Exception)\b"), -1),
    (re.compile(r"^\[[CE] "), 0),
    (re.compile(r"Error|error:|Exception|No module named|Permission denied|No space left"), -1),
)


def somebody_listens(port: int) -> bool:
    """Return whether a connection to a port of this machine is not refused (a few microseconds, nothing waits).

    Args:
        port: The port.
    """
    with socket.socket() as probe:
        probe.setblocking(False)
        return probe.connect_ex(("127.0.0.1", port)) != errno.ECONNREFUSED


@dataclass(frozen=True)
class Answer:
    """What a server answered when it was asked whether it is there.

    Attributes:
        headers: The one that JupyterHub reads, where there is one.
    """

    headers: Mapping[str, str]

    def spare(self, server: Any) -> None:
        """Have JupyterHub not ask a server of this start once more: it would wait for this very answer.

        Args:
            server: As JupyterHub made it for this start alone (`jupyterhub.objects.Server`).
        """
        server.wait_up = self._is_up

    async def _is_up(self, **_: Any) -> Answer:
        return self


async def answer(port: int, path: str, within: float = 5.0, *, host: str = _HERE) -> Answer | None:
    """Return what a server answers, None unless that is a 200.

    Args:
        port: Its port.
        path: What to ask for.
        within: How long one answer may take, in seconds.
        host: Its address; by default this machine.
    """
    if host == _HERE and not somebody_listens(port):
        return None
    try:
        async with asyncio.timeout(within):  # `wait_for` would lose a cancellation that comes with the refusal
            return await _ask(host, port, path)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return None


async def answers(port: int, path: str, within: float = 5.0, *, host: str = _HERE) -> bool:
    """Return whether a server answers a request with 200; arguments are those of `answer`."""
    return await answer(port, path, within, host=host) is not None


async def _ask(host: str, port: int, path: str) -> Answer | None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        if " 200 " not in status:
            return None
        fields = (line.partition(":") for line in lines)
        said = [value.strip() for name, _, value in fields if name.lower() == _VERSION.lower()]
        return Answer({_VERSION: said[0]} if said else {})
    finally:
        writer.close()


def last_words(log: Path, secrets: tuple[str, ...] = (), *, since: int | None = None) -> str:
    """Return the line of a log that tells best why a process ended, without secrets.

    Args:
        log: The log.
        secrets: What must not be shown.
        since: Look only at what was written after so many bytes, and only for a line that tells of an error.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(max(since or 0, log.stat().st_size - _TAIL))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return telling_line(text, secrets, only_errors=since is not None)


def telling_line(text: str, secrets: tuple[str, ...] = (), *, only_errors: bool = False) -> str:
    """Return the line of an output that tells best why a process ended, without secrets.

    Args:
        text: The end of what it wrote.
        secrets: What must not be shown.
        only_errors: Return nothing where no line tells of an error, in place of the last line.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = ([line for line in lines if pattern.search(line)][which:][:1] for pattern, which in _TELLING)
    telling = next(filter(None, found), [] if only_errors else lines[-1:])
    line = (telling or [""])[0][:300]
    for secret in filter(None, secrets):
        line = line.replace(secret, "•••")
    return _SECRET.sub("•••", line)
