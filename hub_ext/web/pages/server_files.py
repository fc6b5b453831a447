"""The notebooks on a person's own server, read with a token for this alone, which she confirmed at the Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from hub_ext.catalog.quantities import human_size
from hub_ext.errors import Forbidden, NotFound, TooLarge, Unavailable
from hub_ext.store import safe_path

_TIMEOUT = 15.0
_MOST_LISTED = 500
_THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class FilesClient:
    """The OAuth client that asks the Hub for it.

    Attributes:
        id: Its id.
        secret: Its secret.
        redirect: Path that the Hub comes back to.
    """

    id: str
    secret: str = field(repr=False)
    redirect: str

    @classmethod
    def from_environment(cls, prefix: str) -> FilesClient | None:
        """Return the client that `configure(c)` made, None where there is none.

        Args:
            prefix: Path of the service, with a slash at both ends.
        """
        client_id = os.environ.get("HUB_EXT_FILES_CLIENT_ID", "")
        secret = os.environ.get("HUB_EXT_FILES_CLIENT_SECRET", "")
        return cls(client_id, secret, f"{prefix}files/oauth_callback") if client_id and secret else None

    def authorize_link(self, hub: str, state: str) -> str:
        """Return the address at the Hub where the person confirms.

        Args:
            hub: Address of the Hub, with a slash at its end.
            state: Comes back with her.
        """
        query = {
            "client_id": self.id,
            "redirect_uri": self.redirect,
            "response_type": "code",
            "state": state,
        }
        return f"{hub}api/oauth2/authorize?{urlencode(query)}"

    async def token(self, api: str, code: str) -> str:
        """Return the token for a code.

        Args:
            api: Address of the Hub's API.
            code: What the Hub sent her back with.

        Raises:
            Forbidden: If the code is not good.
            Unavailable: If the Hub does not answer.
        """
        body = {
            "client_id": self.id,
            "client_secret": self.secret,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
        }
        request = HTTPRequest(f"{api}/oauth2/token", "POST", body=urlencode(body), request_timeout=_TIMEOUT)
        response = await _fetch(request, "The Hub")
        if response.code != 200:
            raise Forbidden("The Hub did not confirm that.", hint="Try again.")
        return str(json.loads(response.body)["access_token"])


@dataclass(frozen=True)
class Entry:
    """A folder or a notebook.

    Attributes:
        name: Its name.
        path: Its path on the server.
        folder: Whether it is a folder.
        size: In bytes, for a notebook where it is known.
        modified: When it was last changed, as the server says it.
    """

    name: str
    path: str
    folder: bool
    size: int | None = None
    modified: str = ""


@dataclass(frozen=True)
class ServerFiles:
    """A person's own server.

    Attributes:
        origin: Scheme and host that the proxy answers on.
        path: Path of the server, with a slash at both ends (``/user/ann/``).
        token: The person's token for it.
        limit: Largest notebook, in bytes.
    """

    origin: str
    path: str
    token: str = field(repr=False)
    limit: int

    async def folder(self, path: str) -> list[Entry]:
        """Return what is in a folder: folders first, then notebooks, by name.

        Args:
            path: Its path; empty for the top.

        Raises:
            InvalidInput: If the path is none.
            NotFound: If there is no such folder.
            Unavailable: If the server does not answer.
        """
        model = await self._contents(path, {"type": "directory", "content": "1"})
        entries = [_entry(item) for item in model.get("content") or () if _wanted(item)]
        return sorted(entries, key=lambda one: (not one.folder, one.name.casefold()))[:_MOST_LISTED]

    async def notebook(self, path: str) -> bytes:
        """Return a notebook file, as it is on the disk.

        Args:
            path: Its path.

        Raises:
            InvalidInput: If the path is none.
            NotFound: If there is no such file.
            TooLarge: If it is larger than the limit.
            Unavailable: If the server does not answer.
        """
        about = await self._contents(path, {"content": "0"})
        if isinstance(about.get("size"), int) and about["size"] > self.limit:
            raise TooLarge(
                f"This notebook is larger than {human_size(self.limit)}, the most that can be published.",
                hint="Clear large outputs, or keep the data in a file beside the notebook.",
            )
        model = await self._contents(path, {"type": "file", "format": "text", "content": "1"})
        return str(model.get("content") or "").encode()

    async def _contents(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        quoted = quote(safe_path(path)) if path else ""
        request = HTTPRequest(
            f"{self.origin}{self.path}api/contents/{quoted}?{urlencode(query)}",
            headers={"Authorization": f"token {self.token}"},
            request_timeout=_TIMEOUT,
            follow_redirects=False,  # the token is for this server and no other
        )
        response = await _fetch(request, "Your server", most=2 * self.limit)
        if response.code in (400, 404):
            raise NotFound("There is no such file on your server.", hint="It may have been moved. Look again.")
        if response.code in (401, 403):
            raise Forbidden("Your server did not let this page read its files.", hint="Connect to it again.")
        if response.code != 200:
            raise Unavailable("Your server is not running, or does not answer.", hint="Start it, and try again.")
        found = json.loads(response.body)
        return found if isinstance(found, dict) else {}


def public_origin(asked: str, *, embedded: bool, environ: Mapping[str, str] | None = None) -> str:
    """Return scheme and host that people's servers are reached at.

    A person's token goes there, so that a header of the request is not believed: the Hub's setting counts. The embedded
    default has none; it is on this machine.

    Args:
        asked: Scheme and host that the request was sent to.
        embedded: Whether this is the embedded default.
        environ: What the Hub told the service; the process's own by default.

    Raises:
        Unavailable: If nobody said it.
    """
    environ = os.environ if environ is None else environ
    told = urlsplit(environ.get("JUPYTERHUB_PUBLIC_HUB_URL") or environ.get("JUPYTERHUB_PUBLIC_URL") or "")
    if told.scheme in ("http", "https") and told.netloc:
        return f"{told.scheme}://{told.netloc}"
    if embedded and urlsplit(asked).hostname in _THIS_MACHINE:
        return asked
    raise Unavailable(
        "This service was not told the address that servers are reached at.",
        hint="An admin sets JupyterHub.public_url. Until then, download the notebook and upload it.",
    )


async def server_path(api: str, token: str, name: str) -> str | None:
    """Return the path of a person's running server, None when it is not running.

    Args:
        api: Address of the Hub's API.
        token: Her token.
        name: Her name.

    Raises:
        Forbidden: If the token is not good any more, or is somebody else's.
        Unavailable: If the Hub does not answer.
    """
    request = HTTPRequest(f"{api}/user", headers={"Authorization": f"token {token}"}, request_timeout=_TIMEOUT)
    response = await _fetch(request, "The Hub")
    model = json.loads(response.body) if response.code == 200 else {}
    if model.get("name") != name:
        raise Forbidden("The Hub's permission to read your files has ended.", hint="Connect to your server again.")
    server = (model.get("servers") or {}).get("")
    return str(server["url"]) if server and server.get("ready") else None


async def _fetch(request: HTTPRequest, who: str, *, most: int = 2**20) -> HTTPResponse:
    client = AsyncHTTPClient(force_instance=True, max_body_size=most)
    try:
        return await client.fetch(request, raise_error=False)
    except (HTTPClientError, OSError, ValueError) as error:
        raise Unavailable(f"{who} does not answer.", hint="Try again in a moment.") from error
    finally:
        client.close()


def _wanted(item: dict[str, Any]) -> bool:
    name = str(item.get("name", ""))
    if name.startswith("."):
        return False
    return item.get("type") == "directory" or name.endswith(".ipynb")


def _entry(item: dict[str, Any]) -> Entry:
    return Entry(
        name=str(item.get("name", "")),
        path=str(item.get("path", "")),
        folder=item.get("type") == "directory",
        size=item["size"] if isinstance(item.get("size"), int) else None,
        modified=str(item.get("last_modified") or ""),
    )
