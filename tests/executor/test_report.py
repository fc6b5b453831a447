"""Reports load nothing but our own scripts, and hide what they are told to hide."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from hub_ext.executor.report import fallback, make_exporter, picture_of, to_html

ASSETS = "/services/workflows/static"
PNG = "iVBORw0KGgo="


@pytest.fixture(scope="module")
def exporter() -> Any:
    return make_exporter()


def output(**data: str) -> Any:
    return new_output("display_data", {key.replace("_", "/"): value for key, value in data.items()})


def html(exporter: Any, *cells: Any, report: bool = True, **metadata: Any) -> str:
    node = new_notebook(cells=list(cells), metadata=metadata)
    return to_html(exporter, node, title="Rain <1>", assets=ASSETS, report=report)


def loaded(text: str) -> list[str]:
    """Return every address that a page loads something from."""
    tags = re.findall(
        r"<(?:script|link|img|iframe|source|object|embed)\b[^>]*?(?:src|href|data)\s*=\s*[\"']([^\"']+)", text
    )
    return (
        tags + re.findall(r"@import[^;]*|url\([\"']?((?!data:)[^)\"']+)", text) + re.findall(r"import .* from .*", text)
    )


def test_only_scripts_of_ours_are_loaded_and_only_when_needed(exporter: Any) -> None:
    widget = new_output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "a widget"}
    )
    state = {"application/vnd.jupyter.widget-state+json": {"state": {"1": {}}, "version_major": 2, "version_minor": 0}}
    mermaid = new_output("display_data", {"text/vnd.mermaid": "graph TD;", "text/plain": "a diagram"})
    rich = html(
        exporter,
        new_markdown_cell("The area is $\\pi r^2$."),
        new_code_cell("1", outputs=[output(text_html="<script>require(['d3'])</script>"), output(image_png=PNG)]),
        new_code_cell("2", outputs=[widget, mermaid]),
        widgets=state,
    )
    vendor = f"{ASSETS}/vendor"
    scripts = [f"{vendor}/jquery.min.js", f"{vendor}/require.js", f"{vendor}/mathjax/tex-svg-full.js"]
    assert sorted(loaded(rich)) == sorted([*scripts, f"data:image/png;base64,{PNG}"])
    assert "a widget" in rich
    assert "a diagram" in rich
    assert "MathJax.Hub" not in rich
    assert loaded(html(exporter, new_markdown_cell("Plain."), new_code_cell("x = 1"))) == []


def test_a_report_hides_the_code_that_it_is_told_to_hide(exporter: Any) -> None:
    cells = [
        new_code_cell("hidden_by_tag = 1", metadata={"tags": ["hide-input"]}, outputs=[output(text_plain="result 1")]),
        new_code_cell("visible_code = 2", outputs=[output(text_plain="result 2")]),
    ]
    text = html(exporter, *cells)
    assert "hidden_by_tag" not in text
    assert "visible_code" in text
    assert "result 1" in text
    quiet = html(exporter, *cells, hub_ext={"report": {"hide_code": True}})
    assert "visible_code" not in quiet
    assert "result 2" in quiet
    assert "visible_code" in html(exporter, *cells, report=False, hub_ext={"report": {"hide_code": True}})


@pytest.mark.parametrize("metadata", [{"hub_ext": None}, {"hub_ext": {"report": "x"}}, {"hub_ext": {"report": {}}}])
def test_odd_metadata_hides_nothing(exporter: Any, metadata: dict[str, Any]) -> None:
    assert "visible_code" in html(exporter, new_code_cell("visible_code = 2"), **metadata)


def test_titles_are_text_and_paths_in_a_notebook_read_no_file(exporter: Any, tmp_path: Path) -> None:
    (tmp_path / "key.png").write_bytes(b"secret bytes")
    text = html(exporter, new_markdown_cell(f"![x]({tmp_path / 'key.png'})"), new_code_cell("1"))
    assert "<title>Rain &lt;1&gt;</title>" in text
    assert base64.b64encode(b"secret bytes").decode() not in text
    assert "<h1>&lt;b&gt;</h1>" in fallback("<b>", "no")


def test_the_picture_is_the_last_one_of_the_tagged_cell_else_the_last() -> None:
    png = [b"\x89PNG\r\n\x1a\n" + name for name in (b"first", b"second")]
    first, second = (output(image_png=base64.b64encode(one).decode()) for one in png)
    plain = [new_code_cell("1", outputs=[first]), new_code_cell("2", outputs=[second])]
    assert picture_of(new_notebook(cells=plain)) == png[1]
    plain[0].metadata["tags"] = ["picture"]
    assert picture_of(new_notebook(cells=plain)) == png[0]
    for odd in ("!", "abc", base64.b64encode(b"<svg>").decode()):
        assert picture_of(new_notebook(cells=[new_code_cell("1", outputs=[output(image_png=odd)])])) is None
    assert picture_of(new_notebook(cells=[])) is None


def test_a_notebook_is_rendered_from_the_command_line(tmp_path: Path) -> None:
    source, out = tmp_path / "rain.ipynb", tmp_path / "rain.html"
    nbformat.write(new_notebook(cells=[new_code_cell("x = 41", outputs=[output(text_plain="42")])]), source)
    command = [sys.executable, "-m", "hub_ext.executor.render", str(source), str(out), "--assets", ASSETS]
    subprocess.run(command, check=True)
    text = out.read_text()
    assert "<title>rain</title>" in text
    assert "42" in text
    assert "In" in text
    source.write_text("{}")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stderr.startswith("rain.ipynb is not a notebook")) == (1, True)
