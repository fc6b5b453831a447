"""Run a module without what only costs: ``python -P -m hub_ext.executor.quickly jupyterhub.singleuser …``."""

from __future__ import annotations

import gc
import runpy
import sys

from .lean import without_slow_imports
from .single_user import without_the_hub, without_yarn


def main() -> None:
    """Run the module that the first argument names; what follows is its own command line."""
    gc.set_threshold(20_000, 10, 10)  # nearly all that a start makes stays: looking at it costs 7 %
    without_slow_imports()
    del sys.argv[0]
    if sys.argv[0] == "jupyterhub.singleuser":
        without_the_hub()
        without_yarn()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
