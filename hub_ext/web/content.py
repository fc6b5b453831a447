"""Responses that hold what users made: never trusted, and streamed from the store.

DESIGN, rule 9: whatever a notebook wrote may be shown, in a sandbox without an origin, and can reach nothing.
"""

from __future__ import annotations

import mimetypes
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from hub_ext.web.base import BaseHandler
from hub_ext.web.errors import RangeUnmet

# What a browser may show in place; everything else is saved as a file.
_SHOWN = {
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/svg+xml",
    "text/html",
    "text/plain",
    "text/csv",
    "application/json",
}
_ACTIVE = {"image/svg+xml", "text/html"}  # may lead a browser elsewhere when they fill its window
_UNKNOWN = "application/octet-stream"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class File:
    """A file of the store, as it is sent.

    Attributes:
        key: Its key.
        name: Its name for who saves it.
        type: Its media type; empty: by its name.
        attachment: Save it, whatever its type.
        etag: Identity of its content; what is stored under a key never changes, so the key itself by default.
    """

    key: str
    name: str
    type: str = ""
    attachment: bool = False
    etag: str = ""


def content_policy(assets: str) -> str:
    """Return the content policy of user content.

    Args:
        assets: Address of our static files, with scheme and host: a sandbox without origin has no 'self'.
    """
    return (
        "sandbox allow-scripts; default-src 'none'; "
        f"script-src 'unsafe-inline' {assets}; style-src 'unsafe-inline' {assets}; "
        f"img-src data: blob:; font-src data: {assets}; connect-src 'none'; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    )


def type_of(name: str) -> str:
    """Return the media type of a file by its name; `application/octet-stream` when it is not known."""
    if name.endswith(".ipynb"):
        return "application/x-ipynb+json"
    found, encoding = mimetypes.guess_type(name)
    return found if found and not encoding else _UNKNOWN


def disposition(name: str, *, attachment: bool) -> str:
    """Return the header that names a file (RFC 6266), safe for any name.

    Args:
        name: Its name.
        attachment: Whether it is to be saved.
    """
    last = posixpath.basename(name) or "file"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", last)[:150]
    kind = "attachment" if attachment else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(last.encode('utf-8', 'replace'), safe='')}"


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return first byte and one after the last that a `Range` header asks for; None for the whole.

    Args:
        header: The header; several ranges, or other units, get the whole.
        size: Size of the file.

    Raises:
        RangeUnmet: If the file has no such bytes.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= end:
        if first and last and int(last) < int(first):
            return None  # not a range at all
        raise RangeUnmet(size)
    return start, end


async def send(handler: BaseHandler, file: File) -> None:
    """Send a file of the store as user content, streamed.

    Args:
        handler: Who answers.
        file: What.

    Raises:
        NotFound: If it is not in the store any more.
        RangeUnmet: If a range is asked for that it does not have.
        Unavailable: If the store does not answer.
    """
    store = handler.context.store
    size = await handler.call(store.size, file.key)
    kind = file.type or type_of(file.name)
    attachment = file.attachment or kind not in _SHOWN
    handler.set_header("Vary", "Sec-Fetch-Dest")
    if kind in _ACTIVE and not attachment and handler.request.headers.get("Sec-Fetch-Dest") == "document":
        await _send_framed(handler, file.name)
        return
    protect(handler)
    handler.set_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
    handler.set_header("Content-Disposition", disposition(file.name, attachment=attachment))
    handler.set_header("Accept-Ranges", "bytes")
    handler.set_header("ETag", f'"{file.etag or quote(file.key, safe="")}"')
    if handler.check_etag_header():
        handler.set_status(304)
        await handler.finish()
        return
    start, end = _chosen(handler, size)
    handler.set_header("Content-Length", str(end - start))
    if handler.request.method != "HEAD":
        await _stream(handler, store.chunks(file.key, start, end))
    await handler.finish()


async def _send_framed(handler: BaseHandler, name: str) -> None:
    """Send a page of ours that shows the same address in a frame.

    No policy keeps a document that fills the window from leading the window elsewhere; one of ours around it does.

    Args:
        handler: Who answers; the browser said that the document will fill its window.
        name: Name of the file.
    """
    nonce = handler.nonce
    handler.set_header(
        "Content-Security-Policy",
        f"default-src 'none'; frame-src 'self'; style-src 'nonce-{nonce}'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'",
    )
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    title, source = escape(posixpath.basename(name)), escape(handler.request.uri or "")
    await handler.finish(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<style nonce="{nonce}">html, body, iframe {{ margin: 0; border: 0; width: 100%; height: 100% }}'
        "iframe { display: block }</style></head>"
        f'<body><iframe sandbox="allow-scripts" title="{title}" src="{source}"></iframe></body></html>'
    )


def protect(handler: BaseHandler) -> None:
    """Set the headers of user content."""
    handler.set_header("Content-Security-Policy", content_policy(handler.assets))
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("Cross-Origin-Resource-Policy", "same-origin")


def _chosen(handler: BaseHandler, size: int) -> tuple[int, int]:
    chosen = byte_range(handler.request.headers.get("Range", ""), size)
    if chosen is None:
        return 0, size
    handler.set_status(206)
    handler.set_header("Content-Range", f"bytes {chosen[0]}-{chosen[1] - 1}/{size}")
    return chosen


async def _stream(handler: BaseHandler, chunks: Iterator[bytes]) -> None:
    while True:
        chunk = await handler.call(next, chunks, b"")
        if not chunk:
            return
        handler.write(chunk)
        await handler.flush()
