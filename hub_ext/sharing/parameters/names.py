"""Names: which may be a parameter's, what people read in their place, and the variable that carries a secret."""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata
from typing import Final

MAX_NAME: Final = 100
SECRET_PREFIX: Final = "HUB_EXT_SECRET_"  # noqa: S105 (a name, not a secret)

_SECRET: Final = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|token|credentials?|(?:api|access|private|secret)_?key)(?:$|_)"
)


def is_name(name: str) -> bool:
    """Whether a name may be a parameter's: an identifier as Python writes it, public, no keyword."""
    return (
        len(name) <= MAX_NAME
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("_")
        and unicodedata.normalize("NFKC", name) == name
    )


def title(name: str) -> str:
    """Return ``Start date`` for ``start_date``."""
    words = " ".join(name.split("_")).strip()
    return words[:1].upper() + words[1:]


def looks_secret(name: str) -> bool:
    """Whether a name is one that people give to secrets."""
    return _SECRET.search(name.lower()) is not None


def environment_name(name: str) -> str:
    """Return the environment variable of a secret; two parameters never share one.

    Most are ``HUB_EXT_SECRET_<NAME>``. A name that is not plain lower case gets the start of its hash, after an ``x``
    that no other can have.
    """
    if name == name.lower() and name.isascii():
        return SECRET_PREFIX + name.upper()
    plain = re.sub(r"[^A-Z0-9_]", "", name.upper())
    return f"{SECRET_PREFIX}{plain}_x{hashlib.sha256(name.encode()).hexdigest()[:12]}"
