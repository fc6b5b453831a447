"""``python -m hub_ext.executor.render NOTEBOOK.ipynb OUT.html --assets URL``: a notebook, with its outputs, as HTML."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .lean import without_slow_imports


def main(arguments: list[str] | None = None) -> int:
    """Render a notebook.

    Args:
        arguments: The command line; the process's own by default.

    Returns:
        The exit code: 0, or 1 when the file is not a notebook.
    """
    parser = argparse.ArgumentParser(prog="render", description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--assets", required=True, help="address prefix of the scripts that the page uses")
    parser.add_argument("--title", default="", help="title of the page; the file's name by default")
    parser.add_argument("--report", action="store_true", help="as a report: no prompts, and no code if it says so")
    options = parser.parse_args(arguments)
    without_slow_imports()
    import nbformat

    from .report import make_exporter, to_html

    try:
        notebook = nbformat.read(options.notebook, as_version=4)
    except Exception as error:  # noqa: BLE001  # nbformat raises of every kind for a file that is no notebook
        print(f"{options.notebook.name} is not a notebook: {type(error).__name__}", file=sys.stderr)  # noqa: T201
        return 1
    title = options.title or options.notebook.stem
    text = to_html(make_exporter(), notebook, title=title, assets=options.assets, report=options.report)
    options.out.write_text(text, encoding="utf-8", errors="replace")
    return 0


if __name__ == "__main__":
    sys.exit(main())
