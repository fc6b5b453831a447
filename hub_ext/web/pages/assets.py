"""Static files: ours, and under `hub/` what the installed JupyterHub serves itself (Bootstrap, Font Awesome, jQuery).

A page's own links carry the digest of all of it as a part of the path (``static/v-<digest>/css/…``), which relative
imports inside of style sheets keep, so that browsers may hold on to everything for a year. Without that part the same
files are served with a short life: stored reports name them so.
"""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

import jupyterhub
from jupyterhub._data import DATA_FILES_PATH
from tornado.web import HTTPError, StaticFileHandler

from hub_ext.web.base import BaseHandler
from hub_ext.web.pages import sheet

OURS = Path(__file__).resolve().parent.parent / "static"
HUBS = Path(DATA_FILES_PATH) / "static"

# Names that stored reports use, for files of JupyterHub.
_ALIASES = {
    "vendor/require.js": "components/requirejs/require.js",
    "vendor/jquery.min.js": "components/jquery/dist/jquery.min.js",
}
_VERSIONED = re.compile(r"v-[0-9a-f]{12}/")
_YEAR = 365 * 24 * 3600
_HOUR = 3600


@functools.cache
def digest() -> str:
    """Return what identifies all static files of this process: a change of any gives new addresses."""
    found = hashlib.sha256(jupyterhub.__version__.encode() + sheet.text().encode())
    for path in sorted(OURS.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(OURS).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:12]


def locate(path: str) -> tuple[Path, Path]:
    """Return the folder that a static file is served from, and the file.

    Args:
        path: As in the address, without a version.
    """
    if path in _ALIASES:
        return HUBS, HUBS / _ALIASES[path]
    if path.startswith("hub/"):
        return HUBS, HUBS / path.removeprefix("hub/")
    return OURS, OURS / path


class Assets(BaseHandler, StaticFileHandler):
    """Static files: no sign-in, nothing private, readable from the sandboxed reports (which have no origin)."""

    public = True

    def initialize(self) -> None:  # type: ignore[override]
        """Take no folder: `locate` knows them."""
        BaseHandler.initialize(self)
        StaticFileHandler.initialize(self, str(OURS))

    def parse_url_path(self, url_path: str) -> str:
        """Return the path without its version."""
        match = _VERSIONED.match(url_path)
        self._keep = match is not None
        return url_path[match.end() :] if match else url_path

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:  # noqa: ARG003
        """Return the file of a path."""
        return str(locate(path)[1])

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:  # noqa: ARG002
        """Return the file if it lies in one of the two folders.

        Raises:
            HTTPError: If it does not, or is not there (404 alike).
        """
        try:
            path = Path(absolute_path).resolve()
            found = path.is_file() and any(path.is_relative_to(folder.resolve()) for folder in (OURS, HUBS))
        except (OSError, ValueError):  # a name that no file can have
            found = False
        if not found:
            raise HTTPError(404)
        return str(path)

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002
        """Let sandboxed reports read them, and browsers keep them."""
        _let_be_kept(self, long=self._keep)

    async def head(self, path: str) -> None:
        """Answer without the content."""
        await self.get(path, include_body=False)


class Sheet(BaseHandler):
    """The style sheet of our pages."""

    public = True

    async def get(self, version: str | None = None) -> None:
        """Answer.

        Args:
            version: The part of the address that changes with the content.
        """
        self.set_header("Content-Type", "text/css; charset=utf-8")
        _let_be_kept(self, long=version is not None)
        self.finish(sheet.text())


def _let_be_kept(handler: BaseHandler, *, long: bool) -> None:
    """Let everybody read what is answered, and browsers keep it: a year where its address changes with its content."""
    handler.set_header("Access-Control-Allow-Origin", "*")
    handler.set_header("Cross-Origin-Resource-Policy", "cross-origin")
    handler.set_header("Cache-Control", f"public, max-age={_YEAR}, immutable" if long else f"public, max-age={_HOUR}")
    handler.clear_header("Expires")
