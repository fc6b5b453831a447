"""Messages from the kernel; one that would be dropped anyway is never unpacked, however large."""

from __future__ import annotations

import json
import re
from typing import Any

# A larger content is looked at before it is unpacked.
LARGE = 256 * 1024

_STREAM = re.compile(rb'\{"name":\s*"(stdout|stderr)",\s*"text":\s*"')
# So many at a time, as each is remembered until the last of them. A possessive `*+` would remember none, but before
# Python 3.11.5 it also takes half of what does not fit (CPython issue 106052).
_PARTS = re.compile(rb'(?:[^"\\]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){1,1000}')


def shorten_stream(content: memoryview, keep: int) -> tuple[str, str] | None:
    """Return the name and the beginning of the text of a stream message, without unpacking the rest.

    Args:
        content: The JSON of its content.
        keep: Most bytes of JSON text that are looked at.

    Returns:
        None when the content is not written as expected.
    """
    match = _STREAM.match(bytes(content[:64]))
    if not match:
        return None
    body = _whole(bytes(content[match.end() : match.end() + keep])).decode("utf-8", errors="ignore")
    return match[1].decode(), str(json.loads(f'"{body}"', strict=False))


def _whole(text: bytes) -> bytes:
    """Return the beginning of what is between a JSON string's quotes that has no half of an escape."""
    end = 0
    while parts := _PARTS.match(text, end):
        end = parts.end()
    return text[:end]


async def receive(client: Any, room: int) -> dict[str, Any]:
    """Return the next message of the kernel's output channel.

    Args:
        client: The kernel client.
        room: Bytes of output that are still kept. Of a large stream message no more than this is unpacked.

    Returns:
        The message as `jupyter_client` gives it.
    """
    frames = await client.iopub_channel.socket.recv_multipart(copy=False)
    _, frames = client.session.feed_identities(frames, copy=False)
    if len(frames) >= 5 and len(frames[4]) > max(LARGE, room):
        header = client.session.unpack(frames[1].bytes)
        if header.get("msg_type") == "stream":
            kept = shorten_stream(frames[4].buffer, room + 1) or ("stdout", "")
            return {
                "header": header,
                "msg_type": "stream",
                "parent_header": client.session.unpack(frames[2].bytes),
                "content": {"name": kept[0], "text": kept[1], "shortened": True},
            }
    found: dict[str, Any] = client.session.deserialize(frames, copy=False)
    return found
