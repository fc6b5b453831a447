"""What can go wrong with a cluster, named."""

from __future__ import annotations

from pathlib import Path


class ClusterError(Exception):
    """The cluster cannot be had; the text says why and what to do."""


class Refused(ClusterError):
    """This machine cannot run a cluster."""


class PartFailed(ClusterError):
    """A part did not do what it should; its log's last words are in the text."""

    def __init__(self, what: str, log: Path | None = None, lines: int = 12) -> None:
        super().__init__(what if log is None else f"{what}\nThe last words of {log}:\n{last_words(log, lines)}")


def last_words(log: Path, lines: int = 12) -> str:
    """Return the end of a log.

    Args:
        log: The file; one that is missing or empty says so.
        lines: How many lines at most.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"  ({error.strerror})"
    return "\n".join(f"  {line[:300]}" for line in text.splitlines()[-lines:]) or "  (nothing)"
