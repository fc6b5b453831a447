"""The notebook file on its way in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from hub_ext.executor.masking import Masker
from hub_ext.executor.notebook import finish, inject, prepare


def notebook(*tags: list[str], minor: int = 5) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "metadata": {"tags": one}, "source": str(n), "outputs": [], "execution_count": None}
        | ({"id": str(n)} if minor >= 5 else {})
        for n, one in enumerate(tags)
    ]
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": {}, "cells": cells}


@pytest.mark.parametrize(
    ("tags", "order"),
    [
        ([[], ["parameters"], []], ["0", "1", "x = 1", "2"]),
        ([[], []], ["x = 1", "0", "1"]),
        ([], ["x = 1"]),
        ([["parameters"], ["injected-parameters"], []], ["0", "x = 1", "2"]),
    ],
)
@pytest.mark.parametrize("minor", [0, 4, 5])
def test_the_values_come_behind_the_parameters(tags: list[list[str]], order: list[str], minor: int) -> None:
    content = notebook(*tags, minor=minor)
    inject(content, "x = 1")
    assert [cell["source"] for cell in content["cells"]] == order
    nbformat.validate(nbformat.from_dict(content))


def test_without_values_nothing_is_put_in_and_old_ones_are_taken_out() -> None:
    content = notebook(["parameters"], ["injected-parameters"])
    inject(content, "")
    assert [cell["source"] for cell in content["cells"]] == ["0"]


def test_what_an_earlier_run_left_is_taken_out() -> None:
    content = notebook(["a"], ["b"])
    content["metadata"]["papermill"] = "not even an object"
    content["cells"][0]["metadata"] = {"papermill": 3, "tags": "parameters"}
    content["cells"][1].pop("metadata")
    inject(content, "")
    assert content["metadata"] == {}
    assert [cell["metadata"] for cell in content["cells"]] == [{"tags": []}, {"tags": []}]


def test_a_notebook_of_an_old_format_is_brought_up_to_date(tmp_path: Path) -> None:
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": [{"cell_type": "code", "input": "y", "outputs": [], "language": "python"}]}],
    }
    (tmp_path / "in.ipynb").write_text(json.dumps(old))
    prepare(tmp_path / "in.ipynb", tmp_path / "out.ipynb", "x = 1")
    made = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert [cell.source for cell in made.cells] == ["x = 1", "y"]


def test_what_is_kept_names_no_path_and_no_secret() -> None:
    node = nbformat.from_dict(notebook(["a"], ["papermill-error-cell-tag"]))
    node.metadata["papermill"] = {"input_path": "/state/launches/l", "output_path": None, "version": "2"}
    node.metadata["widgets"] = {"state": "my secret"}
    node.cells[0].outputs = [nbformat.v4.new_output("stream", text="my secret")]
    text = finish(node, Masker(["secret"]).deep)
    assert "/state" not in text
    assert "secret" not in text
    assert len(json.loads(text)["cells"]) == 1
