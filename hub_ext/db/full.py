"""A database whose disk is full: how it says so, and what the Hub's own pages say then."""

from __future__ import annotations

from sqlalchemy.engine import ExceptionContext

_WORDS = ("disk is full", "no space left", "disk full")  # of SQLite and of PostgreSQL
_TOLD = "The disk of this platform has no space left, so nothing was changed. Tell an admin."


def is_full(error: BaseException | None) -> bool:
    """Return whether a driver's error means that there is no space."""
    text = str(error).lower()
    return any(words in text for words in _WORDS)


def say_when_full(context: ExceptionContext) -> None:
    """Let JupyterHub's page say that there is no space; a listener for `handle_error` of an engine.

    Args:
        context: What went wrong.
    """
    if context.sqlalchemy_exception is not None and is_full(context.original_exception):
        # JupyterHub shows this in place of "Internal Server Error".
        context.sqlalchemy_exception.jupyterhub_message = _TOLD  # type: ignore[attr-defined]
