"""Imports that cost much and give nothing here."""

from __future__ import annotations

import sys


def without_slow_imports() -> None:
    """Keep `jsonschema` from importing its checker of internationalised addresses, and `httpx` its command.

    The first builds a grammar of all of RFC 3987 when it is imported, which takes longer than everything else that an
    executor or a notebook server imports, and no field of a notebook, an event or a setting of theirs has that format.
    `jsonschema` does without it when it is missing. The second is a command line, with all that colours its output:
    0.05 of 0.13 s that `httpx` takes to import.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None is how an import is blocked
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # the same
