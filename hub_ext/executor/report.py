"""The report: a notebook as one HTML file that loads nothing but scripts from our own address."""

from __future__ import annotations

import base64
import binascii
import html
import re
from pathlib import Path
from typing import Any

_TEMPLATES = Path(__file__).parent / "templates"
_MATHEMATICS = re.compile(r"\$|\\\(|\\\[|\\begin\{")
_SCRIPT = re.compile(r"<script|\brequire\b|jquery", re.IGNORECASE)
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_PICTURE = 5 * 2**20

# Widgets need a live kernel, and diagrams a script that is not shipped: both have a text that says the same.
_PREFERRED = (
    "application/javascript",
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "text/latex",
    "image/png",
    "image/jpeg",
    "text/plain",
)


def make_exporter() -> Any:
    """Return nbconvert's exporter with our template.

    It is slow: it imports nbconvert, and shows a notebook once, which compiles templates and loads what colours code
    and errors. Whoever waits for the report of a run that was cancelled does not wait for that.
    """
    from nbconvert.exporters.html import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.NbConvertBase.display_data_priority = list(_PREFERRED)
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = {"hide-input", "hide_input", "remove-input", "remove_input"}
    config.TagRemovePreprocessor.remove_cell_tags = {"remove-cell", "remove_cell"}
    exporter = HTMLExporter(
        config=config,
        template_name="hub-ext",
        extra_template_basedirs=[str(_TEMPLATES)],
        anchor_link_text="",
        embed_images=False,  # a path in a notebook must not read a file of this machine
        theme="light",
    )
    to_html(exporter, _example(), title="", assets="")
    return exporter


def _example() -> Any:
    """Return a notebook with one of each thing that needs something loaded to be shown."""
    from nbformat import v4

    outputs = [
        v4.new_output("stream", text="text"),
        v4.new_output("error", ename="Error", evalue="", traceback=["\x1b[31mError\x1b[39m"]),
    ]
    cells = [v4.new_markdown_cell("*text*"), v4.new_code_cell("name = 1", outputs=outputs)]
    return v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


def hides_code(notebook: Any) -> bool:
    """Return whether a notebook asks for a report without code (``metadata.hub_ext.report.hide_code``)."""
    found: Any = notebook.metadata
    for key in ("hub_ext", "report", "hide_code"):
        found = found.get(key) if isinstance(found, dict) else None
    return found is True


def to_html(exporter: Any, notebook: Any, *, title: str, assets: str, report: bool = True) -> str:
    """Return a notebook as HTML.

    Args:
        exporter: From `make_exporter`.
        notebook: The notebook, with its outputs.
        title: Title of the page.
        assets: Address prefix of the scripts.
        report: A report, without prompts and, if the notebook says so, without code; else the notebook as it is.
    """
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = report
    exporter.exclude_input = report and hides_code(notebook)
    texts = list(_rich_texts(notebook))
    needs = {
        "assets": html.escape(assets.rstrip("/"), quote=True),
        "scripts": any(_SCRIPT.search(text) for kind, text in texts if kind != "markdown"),
        "mathematics": any(_MATHEMATICS.search(text) for _, text in texts),
    }
    resources = {"metadata": {"name": title}, "hub_ext": needs}
    body, _ = exporter.from_notebook_node(notebook, resources=resources)
    return str(body)


def _rich_texts(notebook: Any) -> Any:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield "markdown", cell.source
        for output in cell.get("outputs", []):
            for mime, value in (output.get("data") or {}).items():
                if mime in ("text/html", "text/latex", "text/markdown", "application/javascript"):
                    yield mime, "require" if mime == "application/javascript" else str(value)


def fallback(title: str, problem: str) -> str:
    """Return the page that stands in for a report that could not be made."""
    heading, text = html.escape(title), html.escape(problem)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title></head>'
        f"<body><h1>{heading}</h1><p>{text}</p></body></html>\n"
    )


def picture_of(notebook: Any) -> bytes | None:
    """Return the picture of a run: the last PNG of the cell tagged ``picture``, else the last PNG of all."""
    found: str | None = None
    for cell in notebook.cells:
        tagged = "picture" in cell.metadata.get("tags", [])
        pictures = [
            output["data"]["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
        ]
        if pictures:
            found = pictures[-1]
            if tagged:
                break
    if not isinstance(found, str) or len(found) * 3 // 4 > _LARGEST_PICTURE:
        return None
    try:
        picture = base64.b64decode(found)
    except binascii.Error:
        return None
    return picture if picture.startswith(_PNG) else None
