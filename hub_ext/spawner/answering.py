"""Whether a server that was just started answers yet: asked closely, on its own port."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

_TAIL = 16 * 1024
_SECRET = re.compile(r"[0-9a-fA-F]{32,}")
_TELLING = re.compile(r"^\[C |Error|Exception|No module named|error:|Permission denied|No space left")


async def answers(port: int, path: str, within: float = 5.0) -> bool:
    """Return whether a server on this machine answers a request with 200.

    Args:
        port: Its port.
        path: What to ask for.
        within: How long one answer may take, in seconds.
    """
    try:
        async with asyncio.timeout(within):  # `wait_for` would lose a cancellation that comes with the refusal
            return await _ask(port, path)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def _ask(port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status = await reader.readline()
        return b" 200 " in status
    finally:
        writer.close()


def last_words(log: Path, secrets: tuple[str, ...] = ()) -> str:
    """Return the line of a log that tells best why a process ended, without secrets.

    Args:
        log: The log.
        secrets: What must not be shown.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    line = (telling or lines or [""])[-1][:300]
    for secret in filter(None, secrets):
        line = line.replace(secret, "•••")
    return _SECRET.sub("•••", line)
