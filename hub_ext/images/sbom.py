"""Lists of what is in an image (SBOM): which kind a content or a statement is. Pure."""

from __future__ import annotations

import json
from typing import Literal

Kind = Literal["cyclonedx", "spdx"]

LARGEST = 32 * 2**20  # bytes
_BEGINNING = 4096  # bytes of a text in which its kind must be told
_STATEMENTS: dict[str, Kind] = {"https://cyclonedx.org/bom": "cyclonedx", "https://spdx.dev/Document": "spdx"}


def kind_of_statement(predicate: str) -> Kind | None:
    """Return the kind of list that a statement holds, None when it is about something else.

    Args:
        predicate: Its `predicateType`, with a version behind, maybe.
    """
    for known, kind in _STATEMENTS.items():
        if predicate == known or predicate.startswith(f"{known}/"):
            return kind
    return None


def may_be_list(media: str) -> bool:
    """Return whether a media type is one that lists have."""
    return any(word in media.lower() for word in ("spdx", "cyclonedx", "sbom", "syft"))


def kind_of(content: bytes) -> Kind | None:
    """Return the kind of a list, None when it is none: JSON, XML or the tags of SPDX."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        beginning = content[:_BEGINNING]
        if beginning.lstrip().startswith(b"<") and b"http://cyclonedx.org/schema/bom" in beginning:
            return "cyclonedx"
        return "spdx" if beginning.lstrip().startswith(b"SPDXVersion:") else None
    if not isinstance(found, dict):
        return None
    if found.get("bomFormat") == "CycloneDX" and "specVersion" in found:
        return "cyclonedx"
    return "spdx" if str(found.get("spdxVersion", "")).startswith("SPDX-") else None
