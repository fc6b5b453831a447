"""`python -m tests.cluster check | prepare | up | status | down`: what `make cluster` and `make cluster-down` call."""

from __future__ import annotations

import argparse
import sys
import time

from tests.cluster import machine
from tests.cluster.cluster import Cluster, prepare
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout


def main(arguments: list[str] | None = None) -> int:
    """Do what was asked; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("action", choices=["check", "prepare", "up", "status", "down"])
    action = parser.parse_args(arguments).action
    cluster, began = Cluster(Layout.chosen()), time.monotonic()
    try:
        machine.check()
        if action == "up":
            cluster.up(print)
            print(f"The cluster runs ({time.monotonic() - began:.0f} s). For a shell: . {cluster.layout.environment}")
        elif action == "down":
            cluster.down()
            print("The cluster is gone.")
        elif action == "prepare":
            machine.require_packages()
            prepare(print)
        elif action == "status":
            for name, state in cluster.status():
                print(f"{name:24} {state}")
    except ClusterError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
