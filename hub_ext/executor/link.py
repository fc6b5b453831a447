"""The way from an executor in a pod to the sharing service. Standard library only.

The service may be replaced, or away for a while, at any moment. So each request can be made twice, and is made again
until it is answered; what may not wait (a run goes on) makes one try and comes back later.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ONE_TRY = 20.0  # seconds of silence until a try is given up
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries
_PIECE = 256 * 1024
_GONE = frozenset({401, 404, 410})
_LATER = frozenset({408, 425, 429, 507})
_LONGEST_ANSWER = 64 * 2**20


class NoAnswer(Exception):
    """The service gave no answer now; whatever was asked may have happened or not."""


class Refused(Exception):
    """The service said no.

    Args:
        status: HTTP status.
        said: The JSON that came with it.
    """

    def __init__(self, status: int, said: dict[str, Any]) -> None:
        super().__init__(f"{status} {said.get('detail', '')}")
        self.status, self.said = status, said


class Over(Exception):
    """This launch counts no more: its run has ended, or was started anew."""


class Full(Exception):
    """The service has no space for a file."""


class _Shorter(Exception):
    """A file has fewer bytes than it had."""


class Link:
    """One connection to the service, made again when it breaks.

    Args:
        url: Where executors reach the service.
        launch_id: The launch.
        token: Good for this launch alone.
    """

    def __init__(self, url: str, launch_id: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = f"the address of the service must be http://host:port, not {url!r}"
            raise ValueError(msg)
        self._make: Callable[..., http.client.HTTPConnection] = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._host, self._port = parts.hostname, parts.port
        self._base = f"{parts.path.rstrip('/')}/launches/{launch_id}/"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None

    def once(
        self, method: str, path: str, body: bytes = b"", *, file: tuple[Path, int] | None = None
    ) -> dict[str, Any]:
        """Make one try.

        Args:
            method: HTTP method.
            path: Below the launch.
            body: What is sent.
            file: A file that is sent in place of it, and how many bytes of it.

        Raises:
            NoAnswer: If there is no answer.
            Full: If the service has no space.
            Refused: If the answer is no.
            Over: If the launch counts no more.
        """
        size = file[1] if file else len(body)
        try:
            return self._try(method, path, _read(*file) if file else body, size)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswer(type(error).__name__) from error
        except _Shorter:
            self.close()
            raise Refused(400, {"detail": "the file became shorter"}) from None

    def _try(self, method: str, path: str, body: bytes | Iterator[bytes], size: int) -> dict[str, Any]:
        if self._connection is None:
            self._connection = self._make(self._host, self._port, timeout=_ONE_TRY)
        headers = {**self._headers, "Content-Length": str(size), "Content-Type": "application/octet-stream"}
        try:
            self._connection.request(method, self._base + path, body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            if isinstance(body, bytes):
                raise
            # A file that the service does not want: the answer came before all of it was sent.
        answer = self._connection.getresponse()
        said = _json(answer.read(_LONGEST_ANSWER))
        if answer.will_close:
            self.close()
        if answer.status == 507:
            raise Full
        from_us = str(said.get("type", "")).startswith(
            "urn:hub-ext:"
        )  # a proxy in between says 404, too, while the service is replaced
        if answer.status >= 500 or answer.status in _LATER or (answer.status in _GONE and not from_us):
            raise NoAnswer(str(answer.status))
        if answer.status in _GONE:
            raise Over(str(said.get("detail", answer.status)))
        if answer.status >= 300:
            raise Refused(answer.status, said)
        return said

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        file: tuple[Path, int] | None = None,
        until: float | None = None,
        patience: float = 60.0,
    ) -> dict[str, Any]:
        """Ask until there is an answer.

        Args:
            method: HTTP method.
            path: Below the launch.
            body: What is sent.
            file: A file that is sent in place of it, and how many bytes of it.
            until: Time (`time.monotonic`) of the last try; None for no end.
            patience: Seconds that a service without space is asked again.

        Raises:
            NoAnswer: If there was none until then.
            Full: If the service has no space.
            Refused: If the answer is no.
            Over: If the launch counts no more.
        """
        pause, full_until = _FIRST_PAUSE, time.monotonic() + patience
        while True:
            try:
                return self.once(method, path, body, file=file)
            except (NoAnswer, Full) as error:
                at = time.monotonic()
                if (until is not None and at + pause > until) or (isinstance(error, Full) and at + pause > full_until):
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # so that not all come back at once
            pause = min(pause * 2, _LONGEST_PAUSE)

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content) if content else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: Path, size: int) -> Iterator[bytes]:
    """Yield so many bytes of a file.

    Raises:
        _Shorter: If it has fewer by now.
    """
    with path.open("rb") as stream:
        while size:
            piece = stream.read(min(_PIECE, size))
            if not piece:
                raise _Shorter
            size -= len(piece)
            yield piece
