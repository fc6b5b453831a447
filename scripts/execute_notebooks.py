"""Run the workflows that ship and write their outputs into their files.

    python scripts/execute_notebooks.py [--check] [NAME …]

A committed notebook carries the outputs of its defaults, so that its page can show them before anybody runs it. They
are written the same way each time: no times, no paths, pictures packed as small as they get. A second run changes
nothing. With ``--check`` nothing is written, and a notebook whose outputs have other kinds than those of its file,
or that fails, ends the command with 1.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image
from traitlets.config import Config

FOLDER = Path(__file__).resolve().parent.parent / "shared_notebooks"
SECONDS_A_CELL = 120


class Unfit(Exception):
    """A notebook that must not ship as it is; its text says why."""


def read(path: Path) -> Any:
    """Return the notebook in a file.

    Raises:
        Unfit: It is not a valid notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, nbformat.ValidationError) as error:
        raise Unfit(f"not a valid notebook: {error}") from error
    return notebook


def executed(notebook: Any) -> Any:
    """Return the notebook with fresh outputs, run in an empty folder that is gone afterwards.

    Raises:
        Unfit: A cell failed, took too long or wrote to stderr.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        client = NotebookClient(
            notebook,
            # Other people of this machine could read what goes to the kernel and back.
            config=Config(KernelManager={"transport_encryption": "auto"}),
            timeout=SECONDS_A_CELL,
            resources={"metadata": {"path": str(work)}},
            record_timing=False,
        )
        # What a person set up for their own notebooks must not reach ours.
        env = {key: value for key, value in os.environ.items() if key not in {"MPLBACKEND", "PYTHONSTARTUP"}}
        try:
            client.execute(env=env | {"IPYTHONDIR": str(Path(folder) / "ipython")})
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise Unfit(str(error)) from error
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise Unfit(f"cell {cell.id} wrote to stderr: {output.text.strip()}")
    return notebook


def packed(picture: str) -> str:
    """Return a base64 PNG without its metadata and as small as lossless packing makes it."""
    with Image.open(io.BytesIO(binascii.a2b_base64(picture))) as image:
        opaque = image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
        plain = image.convert("RGB") if opaque else image.copy()
    plain.info.clear()
    buffer = io.BytesIO()
    plain.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def normalised(notebook: Any) -> Any:
    """Return the notebook without anything that differs from run to run or machine to machine."""
    notebook.metadata = {key: notebook.metadata[key] for key in ("hub_ext", "kernelspec") if key in notebook.metadata}
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = packed(data["image/png"])
    return nbformat.from_dict(notebook)


def kinds(notebook: Any) -> list[tuple[str, list[tuple[str, tuple[str, ...]]]]]:
    """Return, for each code cell, its id and the kinds of its outputs."""
    return [
        (cell.id, [(output.output_type, tuple(sorted(output.get("data", {})))) for output in cell.outputs])
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def check(path: Path) -> str:
    """Run a notebook and compare the kinds of its outputs with those in its file.

    Returns:
        What was found, in a word.

    Raises:
        Unfit: It fails, or its outputs are of other kinds.
    """
    committed = kinds(read(path))
    differing = [
        ident for (ident, before), (_, now) in zip(committed, kinds(executed(read(path))), strict=True) if before != now
    ]
    if differing:
        raise Unfit(f"other outputs than in the file, in the cells {', '.join(differing)}; run this script and commit")
    return "as in its file"


def write(path: Path) -> str:
    """Run a notebook and put its outputs into its file.

    Returns:
        Whether that changed the file, in a word.

    Raises:
        Unfit: It fails; the file is left as it was.
    """
    text = nbformat.writes(normalised(executed(read(path)))).rstrip("\n") + "\n"
    if path.read_text(encoding="utf-8") == text:
        return "unchanged"
    path.write_text(text, encoding="utf-8")
    return "written"


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks that are named, or all; return the exit code."""
    parser = argparse.ArgumentParser(description="Run the workflows that ship and write their outputs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="without .ipynb; all when none is named")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the kinds of outputs differ")
    options = parser.parse_args(arguments)
    known = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    missing = [name for name in options.names if name not in known]
    if missing:
        parser.error(f"no such notebook: {', '.join(missing)}; there are {', '.join(known)}")
    failed = False
    for name in options.names or known:
        try:
            print(f"{name}: {check(known[name]) if options.check else write(known[name])}")
        except Unfit as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
