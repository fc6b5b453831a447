"""Names that people type, made safe: names of workflows, and slugs for anything else."""

from __future__ import annotations

import hashlib
import re

from hub_ext.errors import InvalidInput
from hub_ext.sharing.search import fold

LONGEST = 64

# Last parts of addresses that mean something else than a workflow.
RESERVED = frozenset(
    {"admin", "api", "audit", "edit", "events", "health", "login", "logout", "metrics", "new", "publish", "static"}
)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_OTHER = re.compile(r"[^a-z0-9]+")
_HASH = 24  # hexadecimal digits: 96 bits
_MARK = "---"  # joins stem and hash; a text that holds "--" is always changed, so no unchanged text looks like that


def check_name(name: object) -> str:
    """Return a name of a workflow.

    Args:
        name: What somebody sent.

    Raises:
        InvalidInput: If it cannot be one; says what is allowed and suggests one that is.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) and name not in RESERVED:
        return name
    text = name[:1000] if isinstance(name, str) else ""
    suggestion = suggest_name(text)
    if text in RESERVED:
        message = f"{text} is an address of the platform itself; {suggestion} would do"
    else:
        message = (
            f"must be 1 to {LONGEST} lower-case letters a-z, digits and hyphens, with a letter or digit at both ends; "
            f"{suggestion} would do"
        )
    raise InvalidInput.of("name", message)


def suggest_name(title: str) -> str:
    """Return a name for a workflow with a title; always one that `check_name` accepts.

    Args:
        title: Anything.
    """
    stem = _stem(title, LONGEST)
    if not stem:
        return "workflow"
    return f"{stem}-workflow" if stem in RESERVED else stem


def safe_slug(text: str, limit: int = 63) -> str:
    """Return a text as lower-case letters, digits and hyphens, for a folder, a key or a Kubernetes name.

    A text that is a slug already stays as it is; any other gets a hash, so that two texts never meet.

    Args:
        text: Anything.
        limit: Most characters of the slug; at least 28.

    Raises:
        ValueError: If the limit has no room for a hash.
    """
    if limit < _HASH + len(_MARK) + 1:
        msg = f"a slug needs at least {_HASH + len(_MARK) + 1} characters"
        raise ValueError(msg)
    if len(text) <= limit and "--" not in text and _NAME.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    stem = _stem(text, limit - _HASH - len(_MARK)) or "x"
    return f"{stem}{_MARK}{digest}"


def _stem(text: str, limit: int) -> str:
    plain = fold(text[:1000]).replace("'", "").replace("’", "")
    return _OTHER.sub("-", plain).strip("-")[:limit].rstrip("-")
