"""The one style sheet of our pages: Font Awesome, JupyterHub's with Bootstrap, and ours, put together.

As files they would come one after the other, since JupyterHub's imports two of Font Awesome: a page is drawn only when
the last is there. Of some two thousand icons it holds those that our pages name.
"""

from __future__ import annotations

import functools
import posixpath
import re
from pathlib import Path

from jupyterhub._data import DATA_FILES_PATH

_WEB = Path(__file__).resolve().parent.parent
_HUBS = Path(DATA_FILES_PATH) / "static"
_OURS = "css/hub-ext.css"
_JUPYTERHUBS = "hub/css/style.min.css"

PATH = "css/pages.css"  # below static/

_IMPORT = re.compile(r'@import\s*"([^"]+)"\s*;')
_ADDRESS = re.compile(r'url\(\s*"?(?!data:|[a-z]+:|/|#|"|\')([^)"\']+)"?\s*\)')
_ICON = re.compile(r'((?:\.fa-[a-z0-9-]+,?\s*)+)\{\s*--fa:\s*"[^"]*";?\s*\}\s*')
_NAMED = re.compile(r"fa-[a-z0-9-]+")
_NOT_FOR_BROWSERS = re.compile(r"/\*# sourceMappingURL=.*?\*/")


@functools.cache
def text() -> str:
    """Return the style sheet. Addresses in it are relative to its own, so that a version in that stays in them."""
    return "\n".join([_whole(_JUPYTERHUBS), _read(_OURS)])


@functools.cache
def icons() -> frozenset[str]:
    """Return every name of Font Awesome that a template, a script or a module of ours holds."""
    found = (path for kind in ("*.html", "*.js", "*.py") for path in _WEB.rglob(kind))
    files = (path for path in found if "vendor" not in path.parts)
    return frozenset(name for path in files for name in _NAMED.findall(path.read_text()))


def _whole(path: str) -> str:
    """Return a style sheet with what it imports in its place."""
    folder = path.rpartition("/")[0]
    found = _NOT_FOR_BROWSERS.sub("", _read(path))
    return _IMPORT.sub(lambda match: relative(_trimmed(_read(f"{folder}/{match[1]}")), f"{folder}/{match[1]}"), found)


def relative(found: str, path: str) -> str:
    """Return a style sheet as it has to be at our address.

    Args:
        found: It.
        path: Where it was, below `static/`.
    """
    folder = path.rpartition("/")[0]
    return _ADDRESS.sub(lambda match: f'url("{posixpath.normpath(f"../{folder}/{match[1]}")}")', found)


def _trimmed(found: str) -> str:
    """Return Font Awesome's rules without those of icons that no page of ours has."""
    return _ICON.sub(lambda match: match[0] if set(_NAMED.findall(match[1])) & icons() else "", found)


def _read(path: str) -> str:
    file = _HUBS / path.removeprefix("hub/") if path.startswith("hub/") else _WEB / "static" / path
    return file.read_text(encoding="utf-8-sig")
