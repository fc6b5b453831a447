"""What is there once a process has begun stays: the collector of cycles need not look at it again and again."""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()
_HARDLY = (400_000, 10, 10)  # a Hub or service makes 300,000 objects before it answers, and nearly all of them stay


def begin() -> None:
    """Keep the collector from looking while a process imports what it needs: a tenth of what that costs otherwise."""
    gc.set_threshold(*_HARDLY)


def keep_what_is_there() -> None:
    """Leave what is there out of all later collections, and let those come as usual from now on.

    Else each full one stops everything for as long as it takes to look at every class and function that was imported: a
    sixth of a second in a Hub. One right here would take as long, and free less than a megabyte: 3,000 to 16,000 of
    300,000 objects.
    """
    gc.freeze()
    gc.set_threshold(*_USUAL)
