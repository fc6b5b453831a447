"""Cookies of two platforms on one machine, kept apart.

A browser keeps cookies by host, not by port, so that two Hubs on 127.0.0.1 overwrite each other's sign-in. The names
of a Hub's cookies are fixed in JupyterHub; so they get the name of this platform on their way out, lose it on their way
in, and cookies of another platform are not seen. (The session id stays as it is: it is shared on purpose by all parts
of a Hub, says nothing alone, and a Hub keeps the one it finds.)
"""

from __future__ import annotations

import re
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application

_SHARED = "jupyterhub-session-id"
_NAME = re.compile(r"[^=;\s]+")


def incoming(header: str, suffix: str) -> str:
    """Return a `Cookie` header with the cookies of this platform alone, under the names that the Hub knows.

    Args:
        header: What the browser sent.
        suffix: What this platform appends to names.
    """
    kept = []
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if name == _SHARED:
            kept.append(f"{name}{equals}{value}")
        elif name.endswith(suffix):
            kept.append(f"{name.removesuffix(suffix)}{equals}{value}")
    return "; ".join(kept)


def outgoing(header: str, suffix: str) -> str:
    """Return a `Set-Cookie` header with the name of this platform appended to the cookie's name."""
    match = _NAME.match(header)
    if match is None or match[0] == _SHARED:
        return header
    return f"{match[0]}{suffix}{header[match.end() :]}"


class _Connection:
    """The connection of one request; renames the cookies that are set."""

    def __init__(self, connection: Any, suffix: str) -> None:
        self._connection = connection
        self._suffix = suffix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write_headers(self, start_line: Any, headers: HTTPHeaders, chunk: bytes | None = None) -> Any:
        cookies = headers.get_list("Set-Cookie")
        if cookies:
            headers = headers.copy()
            del headers["Set-Cookie"]
            for cookie in cookies:
                headers.add("Set-Cookie", outgoing(cookie, self._suffix))
        return self._connection.write_headers(start_line, headers, chunk)


class RenamingApplication(Application):
    """A Tornado application whose cookies carry the name of the platform.

    The setting `cookie_suffix` is what is appended to the name of each.
    """

    def find_handler(self, request: HTTPServerRequest, **options: Any) -> Any:
        """Rename the cookies of a request before anything looks at them."""
        suffix = str(self.settings["cookie_suffix"])
        cookies = request.headers.get_list("Cookie")
        if cookies:
            request.headers["Cookie"] = incoming("; ".join(cookies), suffix)
        request.connection = _Connection(request.connection, suffix)  # type: ignore[assignment]  # it wraps one
        return super().find_handler(request, **options)
