"""The script in the head of every page: light or dark, before anything is drawn. As a file it would be waited for."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

_FILE = Path(__file__).resolve().parent.parent / "static" / "js" / "theme.js"


@functools.cache
def text() -> str:
    """Return the script, as it stands in the page."""
    return _FILE.read_text()


@functools.cache
def source() -> str:
    """Return what lets it, and no other, run by a page's content policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text().encode()).digest()).decode()}'"
