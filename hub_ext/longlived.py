"""What is there once a process has begun stays: the collector of cycles need not look at it again and again."""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()
_RARELY = (50_000, 10, 10)  # a Hub makes 300,000 objects before it answers, and nearly all of them stay


def begin() -> None:
    """Let the collector look rarely while a process imports what it needs: a sixth of what that costs otherwise."""
    gc.set_threshold(*_RARELY)


def keep_what_is_there() -> None:
    """Collect what is young, leave what is left out of all later collections, and let those come as usual from now on.

    Else each full one stops everything for as long as it takes to look at every class and function that was imported: a
    sixth of a second in a Hub. A full one here would take as long, for 10 objects of 200,000.
    """
    gc.collect(1)
    gc.freeze()
    gc.set_threshold(*_USUAL)
