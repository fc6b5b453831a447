"""The file that tells a shell, and the tests, what they need to know of a cluster."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path


def render(values: Mapping[str, str]) -> str:
    """Return the file's text: lines that a shell exports."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def read(path: Path) -> dict[str, str]:
    """Return what a file says.

    Args:
        path: A file that `render` made.
    """
    words = (line.removeprefix("export ").partition("=") for line in path.read_text().splitlines())
    return {name: "".join(shlex.split(value)) for name, _, value in words}
