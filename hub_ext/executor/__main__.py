"""``python -m hub_ext.executor LAUNCH_FOLDER --go FD``, or ``--remote`` in a pod."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Run the notebook of a launch folder, or of the launch that the environment names."""
    parser = argparse.ArgumentParser(prog="hub-ext-executor")
    parser.add_argument("folder", type=Path, nargs="?", help="the launch folder")
    parser.add_argument("--go", type=int, help="file descriptor of the pipe that brings the word to go")
    parser.add_argument("--remote", action="store_true", help="ask the sharing service what is to be run")
    options = parser.parse_args()
    if options.remote:
        from .remote import main as remote

        code = remote()
    elif options.folder is None or options.go is None:
        parser.error("name a launch folder and --go, or --remote")
    else:
        from .main import run

        code = run(options.folder, options.go)
    sys.stderr.flush()
    os._exit(code)  # all is written; taking apart a large interpreter would only keep the lock longer


if __name__ == "__main__":
    main()
