"""`python -m tests.cluster check | prepare | images | up | image | status | down`: what `make cluster` calls."""

from __future__ import annotations

import argparse
import sys
import time

from tests.cluster import machine
from tests.cluster.cluster import Cluster, chart_images, prepare
from tests.cluster.errors import ClusterError
from tests.cluster.images import notebook
from tests.cluster.layout import Layout


def _say(text: str) -> None:
    print(text, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Do what was asked; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("action", choices=["check", "prepare", "images", "up", "image", "status", "down"])
    parser.add_argument("--bare", action="store_true", help="up: without the notebook image")
    asked = parser.parse_args(arguments)
    action = str(asked.action)
    cluster, began = Cluster(Layout.chosen()), time.monotonic()
    try:
        machine.check()
        if action == "up":
            cluster.up(_say, notebook=not asked.bare)
            print(f"The cluster runs ({time.monotonic() - began:.0f} s). For a shell: . {cluster.layout.environment}")
        elif action == "image":
            print(cluster.add_image(lambda said: print(said, file=sys.stderr)))
        elif action == "down":
            cluster.down()
            print("The cluster is gone.")
        elif action == "prepare":
            machine.require_packages()
            prepare(_say)
        elif action == "images":
            machine.require_packages()
            for image in (*chart_images(), notebook()):
                kept = image.make(_say)
                print(f"{image.name}@{image.digest}  {kept / 'registry'}")
        elif action == "status":
            for name, state in cluster.status():
                print(f"{name:24} {state}")
    except ClusterError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
