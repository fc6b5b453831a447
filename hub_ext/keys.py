"""Keys of this platform: random, made at first use, in files that their user alone can read."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def secret_key(path: Path) -> bytes:
    """Return a secret that outlives restarts, made at first use (mode 0600).

    Args:
        path: Its file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        descriptor, made = tempfile.mkstemp(dir=path.parent)  # mode 0600
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):  # somebody else was first: theirs counts
            os.link(made, path)
        Path(made).unlink()
    return path.read_bytes()
