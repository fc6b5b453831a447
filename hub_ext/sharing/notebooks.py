"""A notebook file: what it holds, what it says about itself, and the bytes that are stored.

Pure: nothing is run, opened or fetched. What is wrong with a file is told in words, by cell number.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import itertools
import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nbformat
from markdown_it import MarkdownIt

from hub_ext.errors import InvalidInput, Unsupported
from hub_ext.sharing.notebook_format import MIB, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbformat import NotebookNode

MAX_TITLE = 200
MAX_DESCRIPTION = 500
MAX_TAGS = 20
MIN_PICTURE = 2 * 2**10
MAX_PICTURE = 2 * MIB
PNG = b"\x89PNG\r\n\x1a\n"

_PYTHON = {"python", "python2", "python3", "ipython", "ipython3"}
_KERNELS = {"ir": "R", "julia": "Julia", "bash": "Bash", "scala": "Scala", "javascript": "JavaScript"}
_TAG = re.compile(r"\w[\w .+#-]{0,39}")
_PROFILE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CELL_METADATA = ("tags", "jupyter", "format", "hub_ext")  # what changes how a cell runs or looks
_NOTEBOOK_METADATA = ("hub_ext", "widgets")


@dataclass(frozen=True)
class Notebook:
    """A notebook that can be stored and run.

    Attributes:
        node: The notebook, as nbformat 4.5.
        digest: ``sha256:…`` of what matters: code, text, tags, outputs, kernel and the hub_ext metadata. Cell ids,
            execution counts and times, and how the JSON was written, do not.
        language: ``python``.
        kernel: Name of the kernel it was made with.
        title: From ``metadata.hub_ext.title``, else the first heading, else empty.
        description: The first paragraph after that heading, plain text of at most 500 characters.
        tags: From ``metadata.hub_ext.tags``: lower case, each once.
        profile: Name of the profile it asks for, from ``metadata.hub_ext.profile``.
        cell_count: All cells.
        code_cell_count: Code cells.
        picture: A PNG out of its outputs (the cell tagged ``picture``, else the first that is not tiny).
    """

    node: NotebookNode = field(repr=False)
    digest: str
    language: str
    kernel: str
    title: str
    description: str
    tags: tuple[str, ...]
    profile: str | None
    cell_count: int
    code_cell_count: int
    picture: bytes | None = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the file as it is stored: always the same bytes for the same file, and they read back as this."""
        return str(nbformat.v4.writes_json(self.node)).encode() + b"\n"


def read_notebook(data: bytes, *, limit: int = 20 * MIB) -> Notebook:
    """Read a notebook file.

    Args:
        data: Content of the file.
        limit: Most bytes that it may have.

    Returns:
        The notebook, upgraded to nbformat 4.5 in memory.

    Raises:
        TooLarge: It has more bytes than the limit.
        InvalidInput: It is not a notebook, or a broken one; `problems` name the cells.
        Unsupported: Its kernel does not speak Python.
    """
    node = load(data, limit=limit)
    language, kernel = _language(node.metadata)
    about = _about(node.metadata)
    _check_repeatable(about.get("repeatable"))
    heading, description = _headline(node.cells)
    return Notebook(
        node=node,
        digest=_digest(node, kernel),
        language=language,
        kernel=kernel,
        title=_title(about) or heading,
        description=description,
        tags=_tags(about.get("tags")),
        profile=_profile(about.get("profile")),
        cell_count=len(node.cells),
        code_cell_count=sum(cell.cell_type == "code" for cell in node.cells),
        picture=_picture(node.cells),
    )


def cell_tags(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tags of a cell."""
    return tuple(cell["metadata"].get("tags", ()))


# --- what it says about itself ----------------------------------------------------------------------------------------


def _language(metadata: Mapping[str, Any]) -> tuple[str, str]:
    kernelspec = metadata.get("kernelspec", {})
    kernel = str(kernelspec.get("name") or "python3")
    said = kernelspec.get("language") or metadata.get("language_info", {}).get("name")
    name = str(said or _KERNELS.get(re.split(r"[-\d]", kernel.lower())[0]) or "python")
    if name.strip().lower() not in _PYTHON:
        raise Unsupported(
            f"This notebook is written in {_plain(name, 40)}; only Python notebooks can become workflows.",
            hint="Choose a Python kernel in JupyterLab, and save it again.",
        )
    return "python", kernel


def _about(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    about = metadata.get("hub_ext", {})
    if not isinstance(about, dict):
        raise InvalidInput.of("metadata.hub_ext", 'must be an object, such as {"title": "Rainfall"}')
    return about


def _plain(text: str, most: int) -> str:
    """Return text on one line, without what cannot be seen, cut at a word."""
    seen = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    line = " ".join(seen.split())
    return line if len(line) <= most else line[: most - 1].rsplit(" ", 1)[0] + "…"


def _title(about: Mapping[str, Any]) -> str:
    title = about.get("title", "")
    if not isinstance(title, str) or len(title) > MAX_TITLE:
        raise InvalidInput.of("metadata.hub_ext.title", f"must be text of at most {MAX_TITLE} characters")
    return _plain(title, MAX_TITLE)


def _tags(tags: Any) -> tuple[str, ...]:
    rule = f"must be a list of at most {MAX_TAGS} tags of 1 to 40 letters, digits, spaces and . + # -"
    if tags is None:
        return ()
    if not isinstance(tags, list) or len(tags) > MAX_TAGS or not all(isinstance(tag, str) for tag in tags):
        raise InvalidInput.of("metadata.hub_ext.tags", rule)
    clean = [" ".join(unicodedata.normalize("NFKC", tag).casefold().split()) for tag in tags]
    if wrong := [tag for tag in clean if not _TAG.fullmatch(tag)]:
        raise InvalidInput.of("metadata.hub_ext.tags", f"{rule}; “{_plain(wrong[0], 40)}” is not one")
    return tuple(dict.fromkeys(clean))


def _check_repeatable(said: Any) -> None:
    """Refuse what is neither yes nor no: `hub_ext.runs.launching` reads it, and anything but a yes means no."""
    if said is not None and not isinstance(said, bool):
        raise InvalidInput.of("metadata.hub_ext.repeatable", "must be true or false")


def _profile(profile: Any) -> str | None:
    if profile is not None and (not isinstance(profile, str) or not _PROFILE.fullmatch(profile)):
        raise InvalidInput.of(
            "metadata.hub_ext.profile", "must be the name of a profile: lower-case letters, digits and hyphens"
        )
    return profile


@functools.cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _blocks(cells: Iterable[NotebookNode]) -> Iterator[tuple[str, str]]:
    """Yield what the notebook says: ``heading`` or ``paragraph`` with its text, and ``code``."""
    for cell in cells:
        if cell.cell_type == "code":
            yield "code", ""
        if cell.cell_type != "markdown":
            continue
        tokens = _markdown().parse(cell.source[:20_000])
        for opening, inline in itertools.pairwise(tokens):
            kind = opening.type.removesuffix("_open")
            if kind in ("heading", "paragraph") and inline.type == "inline" and opening.level == 0:
                words = [
                    " " if child.type.endswith("break") else child.content
                    for child in inline.children or ()
                    if child.type != "html_inline"
                ]
                yield kind, "".join(words)


def _headline(cells: Iterable[NotebookNode]) -> tuple[str, str]:
    """Return the first heading, and the first paragraph after it and before any code (or the first of all)."""
    heading = first = ""
    for kind, words in _blocks(cells):
        text = _plain(words, MAX_TITLE if kind == "heading" else MAX_DESCRIPTION)
        if kind == "heading" and not heading:
            heading = text
        elif kind == "paragraph" and heading and text:
            return heading, text
        elif kind == "code" and heading:
            return heading, ""
        elif kind == "paragraph":
            first = first or text
    return heading, "" if heading else first


def _picture(cells: list[NotebookNode]) -> bytes | None:
    code = [cell for cell in cells if cell.cell_type == "code"]
    chosen = [cell for cell in code if "picture" in cell_tags(cell)]
    for group, least in ((chosen, 1), (code, MIN_PICTURE)):
        for cell in group:
            for output in cell.outputs:
                picture = _png(output.get("data", {}).get("image/png"))
                if picture and least <= len(picture) <= MAX_PICTURE:
                    return picture
    return None


def _png(encoded: Any) -> bytes | None:
    if not isinstance(encoded, str) or len(encoded) > 2 * MAX_PICTURE:
        return None
    try:
        picture = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return picture if picture.startswith(PNG) else None


def _digest(node: NotebookNode, kernel: str) -> str:
    def some(mapping: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        return {name: mapping[name] for name in names if name in mapping}

    content = {
        "kernel": kernel,
        "metadata": some(node.metadata, _NOTEBOOK_METADATA),
        "cells": [
            {
                **some(cell, ("cell_type", "source", "attachments")),
                "metadata": some(cell.metadata, _CELL_METADATA),
                "outputs": [
                    {key: value for key, value in output.items() if key != "execution_count"}
                    for output in cell.get("outputs", ())
                ],
            }
            for cell in node.cells
        ],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
