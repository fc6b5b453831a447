"""The notebook file on its way in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .execution import INJECTED

_PARAMETERS = "parameters"
_MARKER = "papermill-error-cell-tag"


def inject(content: dict[str, Any], source: str) -> None:
    """Put the cell that sets the parameters behind the one tagged ``parameters``, else first.

    Args:
        content: The notebook's JSON (nbformat 4), changed in place.
        source: Source of the cell; empty for none. A cell that an earlier injection left is taken out in any case.
    """
    cells = [cell for cell in content["cells"] if INJECTED not in tags_of(cell)]
    content["cells"] = cells
    _forget_earlier_runs(content)
    if not source:
        return
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [INJECTED]},
        "outputs": [],
        "source": source,
    }
    if (content.get("nbformat", 4), content.get("nbformat_minor", 0)) >= (4, 5):
        cell["id"] = INJECTED
    positions = [index + 1 for index, one in enumerate(cells) if _PARAMETERS in tags_of(one)]
    cells.insert(positions[0] if positions else 0, cell)


def tags_of(cell: dict[str, Any]) -> list[str]:
    """Return the tags of a cell; what are no tags counts as none."""
    tags = (cell.get("metadata") or {}).get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _forget_earlier_runs(content: dict[str, Any]) -> None:
    """Take out what papermill wrote in an earlier run, or somebody in its name: it would be taken for its own."""
    (content.get("metadata") or {}).pop("papermill", None)
    for cell in content["cells"]:
        metadata = cell.setdefault("metadata", {})
        metadata.pop("papermill", None)
        metadata["tags"] = tags_of(cell)


def prepare(source: Path, target: Path, injected: str) -> None:
    """Write the notebook as it will be run.

    Raises:
        ValueError: If it is not a notebook.
    """
    content = json.loads(source.read_bytes())
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        content = _upgraded(source)
    inject(content, injected)
    target.write_text(json.dumps(content), encoding="utf-8")


def _upgraded(source: Path) -> dict[str, Any]:
    import nbformat

    found: dict[str, Any] = json.loads(nbformat.writes(nbformat.read(source, as_version=4)))
    return found


def finish(notebook: Any, masker_deep: Any) -> str:
    """Return the text of the notebook that is kept: without paths of this machine and without secrets.

    Args:
        notebook: The notebook after its run.
        masker_deep: Takes secrets out of any JSON.
    """
    import nbformat

    notebook.cells = [cell for cell in notebook.cells if _MARKER not in tags_of(cell)]
    record = notebook.metadata.get("papermill", {})
    for name in ("input_path", "output_path", "environment_variables"):
        record.pop(name, None)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell["outputs"] = masker_deep(cell["outputs"])
    if "widgets" in notebook.metadata:
        notebook.metadata["widgets"] = masker_deep(notebook.metadata["widgets"])
    return f"{nbformat.v4.writes(notebook).rstrip()}\n"
