"""What is there once a process has begun stays: the collector of cycles need not look at it again and again."""

from __future__ import annotations

import gc


def keep_what_is_there() -> None:
    """Collect once, and leave what is left out of all later collections.

    Else each full one stops everything for as long as it takes to look at every class and function that was imported: a
    sixth of a second in a Hub.
    """
    gc.collect()
    gc.freeze()
