"""``python -m hub_ext.executor LAUNCH_FOLDER --go FD``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .main import run


def main() -> None:
    """Run the notebook of a launch folder."""
    parser = argparse.ArgumentParser(prog="hub-ext-executor")
    parser.add_argument("folder", type=Path, help="the launch folder")
    parser.add_argument("--go", type=int, required=True, help="file descriptor of the pipe that brings the word to go")
    options = parser.parse_args()
    code = run(options.folder, options.go)
    sys.stderr.flush()
    os._exit(code)  # all is written; taking apart a large interpreter would only keep the lock longer


if __name__ == "__main__":
    main()
