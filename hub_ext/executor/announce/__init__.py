"""A notebook server tells the pages that are open in it when it ends: an extension of Jupyter Server and JupyterLab.

JupyterLab asks its own server; that asks the sharing service with the server's own token, which may look and not keep.
So what runs in a browser gets no token, and no page of a notebook server reaches the service as its person.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.web import authenticated

from .terminals import count_terminals

_REMEMBERED = 20.0  # seconds: many tabs ask, and the service is asked once
_WITHIN = 10.0  # seconds that the service gets
_TOLD = ("ends_at", "announced", "ending", "can_be_kept")


class Asking:
    """Asks the service, and remembers its word for a moment.

    Attributes:
        home: Path of the page where one more hour is asked for; empty where no service is known.
    """

    def __init__(self) -> None:
        self.home = os.environ.get("HUB_EXT_SERVICE_PREFIX", "")
        at = urlsplit(os.environ.get("HUB_EXT_URL", ""))
        self._url = f"{at.scheme}://{at.netloc}{self.home}api/v1/servers" if at.netloc and self.home else ""
        self._name = os.environ.get("JUPYTERHUB_SERVER_NAME", "")
        self._known: dict[str, Any] = {}
        self._at = -_REMEMBERED

    async def end(self) -> dict[str, Any]:
        """Return when this server ends and why, as the service said last; empty while that is not known."""
        if self._url and time.monotonic() - self._at >= _REMEMBERED:
            self._at = time.monotonic()
            self._known = await self._ask()
        return self._known

    async def _ask(self) -> dict[str, Any]:
        headers = {"Authorization": f"token {os.environ.get('JUPYTERHUB_API_TOKEN', '')}"}
        try:
            answer = await AsyncHTTPClient().fetch(self._url, headers=headers, request_timeout=_WITHIN)
            items = json.loads(answer.body)["items"]
        except (HTTPClientError, OSError, ValueError, KeyError):
            return {}  # it is away, or this server is no more for it: the page goes on without
        mine: dict[str, Any] | None = next((one for one in items if one["name"] == self._name), None)
        return {name: mine.get(name) for name in _TOLD} | {"home": self.home} if mine else {}


class End(APIHandler):
    """When this server ends."""

    _track_activity = False  # a page that only asks this is no use of the server

    def initialize(self, asking: Asking) -> None:
        """Take what asks the service."""
        super().initialize()
        self._asking = asking

    @authenticated
    async def get(self) -> None:
        """Tell it."""
        self.set_header("Cache-Control", "no-store")
        self.finish(await self._asking.end())


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add the address to a server, and let its terminals count as use."""
    count_terminals(server)
    path = url_path_join(server.web_app.settings["base_url"], "hub-ext", "end")
    server.web_app.add_handlers(".*$", [(path, End, {"asking": Asking()})])
