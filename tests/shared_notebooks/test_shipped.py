"""The workflows that ship: real analysis that runs offline, tells what it found, and refuses nonsense in words."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from hub_ext.sharing.notebooks import read_notebook
from hub_ext.sharing.parameters import infer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "shared_notebooks"
LARGEST_FOLDER = 2.5 * 2**20


@dataclass(frozen=True)
class Workflow:
    """What one workflow promises.

    Attributes:
        kinds: Its parameters and their kinds, in order.
        other: Parameters that are not the defaults.
        says: What the summary of a run with them says.
        bad: Parameters that contradict each other or the data, and the sentence that refuses them.
    """

    kinds: dict[str, str]
    other: dict[str, Any]
    says: str
    bad: list[tuple[dict[str, Any], str]] = field(default_factory=list)


WORKFLOWS = {
    "car-fuel-benchmark": Workflow(
        kinds={
            "first_year": "integer",
            "last_year": "integer",
            "origin": "choice",
            "unit": "choice",
            "confidence": "number",
            "highlight": "string",
        },
        other={"first_year": 1976, "origin": "Japan", "unit": "miles per gallon", "highlight": " Civic "},
        says="54 Japanese cars of 1976 to 1982",
        bad=[
            ({"first_year": 1980, "last_year": 1975}, "The oldest model year, 1980, is after the newest, 1975"),
            ({"first_year": 1980, "origin": "Europe"}, "a comparison needs at least 20"),
            ({"highlight": "zeppelin"}, "None of these cars has “zeppelin” in its name"),
        ],
    ),
    "jobs-after-recession": Workflow(
        kinds={"industries": "list", "start": "date", "end": "date", "show": "choice", "with_all_jobs": "boolean"},
        other={
            "industries": ["Information", "financial_activities"],
            "start": "2008-01-15",
            "end": "2012-06-01",
            "show": "thousand jobs",
            "with_all_jobs": False,
        },
        says="**Information** lost",
        bad=[
            ({"industries": []}, "No industry is chosen"),
            (
                {"industries": ["piracy"]},
                "There is no industry named piracy. Choose from: all nonfarm jobs;",
            ),
            ({"start": "2012-01-01", "end": "2011-01-01"}, "From January 2012 to January 2011 is less than a year"),
        ],
    ),
    "relief-flight-route": Workflow(
        kinds={
            "origin": "string",
            "destination": "string",
            "max_leg": "number",
            "stop_cost": "number",
            "closed_states": "list",
            "via": "string",
        },
        other={"destination": "bos", "via": "DEN", "max_leg": 450.0, "stop_cost": 0.0, "closed_states": []},
        says="more than the great circles over Denver (DEN)",
        bad=[
            ({"destination": "HNL"}, "one leg of 3,569 km cannot be avoided"),
            ({"closed_states": ["FL"]}, "MIA lies in FL, which is closed"),
            ({"origin": "LONDON"}, "No airport in the list has the code LONDON"),
        ],
    ),
    "seattle-season": Workflow(
        kinds={"start": "date", "end": "date", "measure": "choice", "window": "integer", "dry_below": "number"},
        other={"start": "2013-12-01", "end": "2014-02-28", "measure": "rainfall", "dry_below": 0.1},
        says="drier than the same days of 2012/13 and 2014/15: number 3 of 3",
        bad=[
            ({"start": "2015-09-01"}, "The period ends before it starts: its first day is 1 September 2015"),
            ({"end": "2016-01-31"}, "The record runs from 1 January 2012 to 31 December 2015"),
            ({"end": "2015-06-03"}, "The period has 3 days; choose at least 7"),
        ],
    ),
    "tumour-test-threshold": Workflow(
        kinds={
            "model": "choice",
            "calibrate": "boolean",
            "least_found": "number",
            "most_false_alarms": "number",
            "missed_cost": "number",
            "malignant_share": "number",
        },
        other={"model": "naive Bayes", "calibrate": True, "missed_cost": 5.0, "malignant_share": 30.0},
        says="before calibration",
        bad=[
            ({"least_found": 99.0, "most_false_alarms": 1.0}, "No cut-off finds 99 % of the cancers"),
            ({"malignant_share": 0.0}, "The share of malignant masses cannot be 0; choose 0.5 to 60."),
        ],
    ),
}
each = pytest.mark.parametrize("name", WORKFLOWS)


@pytest.fixture(autouse=True, scope="module")
def _plain_environment() -> Iterator[None]:
    """Keep what a person set up for matplotlib and IPython away from the kernels."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MPLBACKEND", "PYTHONSTARTUP", "IPYTHONDIR"):
            patch.delenv(name, raising=False)
        yield


def shipped(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook: Any, tag: str) -> list[Any]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def texts(notebook: Any) -> str:
    """Return all that the outputs show, without their pictures."""
    found = []
    for output in outputs(notebook):
        found.append(output.get("text", ""))
        found += [str(value) for kind, value in output.get("data", {}).items() if kind != "image/png"]
    return "\n".join(found)


def summary(notebook: Any) -> str:
    """Return the sentences that a run computed, on one line."""
    shown = [output.data["text/markdown"] for output in outputs(notebook) if "text/markdown" in output.get("data", {})]
    return " ".join(" ".join(shown).split())


def picture(notebook: Any) -> bytes:
    (cell,) = tagged(notebook, "picture")
    (encoded,) = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return base64.b64decode(encoded)


def promised_files(notebook: Any) -> set[str]:
    """Return the files that the end of a notebook says it writes."""
    (line,) = re.findall(r"^- Files: (.*?)\. Data: ", notebook.cells[-1].source, re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", line))


def run(name: str, folder: Path, parameters: dict[str, Any]) -> Any:
    """Run a shipped workflow with papermill in an empty working folder."""
    work = folder / "work"
    work.mkdir()
    return papermill.execute_notebook(
        FOLDER / f"{name}.ipynb", folder / "out.ipynb", parameters, cwd=work, progress_bar=False, kernel_name="python3"
    )


def test_the_workflows_are_those_described_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(WORKFLOWS)


def test_they_take_little_room() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST_FOLDER


def test_one_of_them_asks_for_much_memory_and_the_others_for_the_standard_profile() -> None:
    profiles = sorted(shipped(name).metadata["hub_ext"]["profile"] for name in WORKFLOWS)
    assert profiles == ["large-memory"] + ["standard"] * (len(WORKFLOWS) - 1)


def test_they_share_one_look() -> None:
    setups = {tagged(shipped(name), "setup")[0].source for name in WORKFLOWS}
    assert len(setups) == 1


@each
def test_it_is_a_valid_notebook_of_format_4_5_for_any_python_kernel(name: str) -> None:
    notebook = shipped(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata["kernelspec"] == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata["language_info"] == {"name": "python"}
    assert set(notebook.metadata) == {"hub_ext", "kernelspec", "language_info"}
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cell.id) for cell in notebook.cells), "ids name what a cell does"


@each
def test_it_begins_with_its_title_and_one_paragraph_that_asks_its_question(name: str) -> None:
    title, blank, description = shipped(name).cells[0].source.split("\n")
    assert title.startswith("# ")
    assert blank == ""
    assert "?" in description
    assert 150 < len(description) <= 500


@each
def test_the_gallery_reads_its_title_description_tags_profile_and_picture(name: str) -> None:
    node = shipped(name)
    notebook = read_notebook((FOLDER / f"{name}.ipynb").read_bytes())
    assert (f"# {notebook.title}", "", notebook.description) == tuple(node.cells[0].source.split("\n"))
    assert list(notebook.tags) == node.metadata["hub_ext"]["tags"]
    assert 3 <= len(notebook.tags) <= 6
    assert notebook.profile == node.metadata["hub_ext"]["profile"]
    assert notebook.picture == picture(node)


@each
def test_its_parameters_are_understood_without_a_finding(name: str) -> None:
    parameters = infer(read_notebook((FOLDER / f"{name}.ipynb").read_bytes()))
    assert {item.name: item.kind for item in parameters.items} == WORKFLOWS[name].kinds
    assert [item.name for item in parameters.items] == list(WORKFLOWS[name].kinds)
    assert parameters.warnings == ()
    assert not any(item.required for item in parameters.items)
    assert all(item.schema["description"] for item in parameters.items), "each has help"


def test_together_they_show_every_common_kind_of_parameter() -> None:
    schemas = [
        item.schema
        for name in WORKFLOWS
        for item in infer(read_notebook((FOLDER / f"{name}.ipynb").read_bytes())).items
    ]
    assert {kind for workflow in WORKFLOWS.values() for kind in workflow.kinds.values()} == {
        "boolean",
        "choice",
        "date",
        "integer",
        "list",
        "number",
        "string",
    }
    assert any(schema["type"] == ["string", "null"] for schema in schemas if "type" in schema)
    assert {schema["x-hub-ext"].get("unit") for schema in schemas} >= {"days", "km", "mm", "%"}
    assert sum("minimum" in schema and "maximum" in schema for schema in schemas) >= 8


@each
def test_it_has_one_cell_of_parameters_and_one_with_the_picture(name: str) -> None:
    notebook = shipped(name)
    assert len(tagged(notebook, "parameters")) == 1
    assert 3 <= len(WORKFLOWS[name].kinds) <= 6
    png = picture(notebook)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (880, 495)


@each
def test_it_carries_the_outputs_of_one_run_from_top_to_bottom(name: str) -> None:
    notebook = shipped(name)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    kinds = {output.output_type for output in outputs(notebook)}
    assert kinds == {"display_data"}, "no errors, no warnings, nothing printed"
    assert "<table" in texts(notebook)
    assert sum("image/png" in output.data for output in outputs(notebook)) >= 2


@each
def test_its_outputs_name_nothing_of_the_machine_that_made_them(name: str) -> None:
    text = texts(shipped(name))
    assert not re.search(r"(?<![\w.<])/(home|root|work|tmp|usr|opt|srv|var|mnt|Users|private)\b", text)
    assert not re.search(r"\b[A-Z]:\\|\b0x[0-9a-f]{6,}|\blocalhost\b|\b\d{1,3}(\.\d{1,3}){3}\b", text)
    assert os.uname().nodename not in text.split()
    assert not any(key != "tags" for cell in shipped(name).cells for key in cell.metadata), "no times"
    assert b"tEXt" not in picture(shipped(name))[:200]


@each
def test_it_reads_nothing_from_the_network(name: str) -> None:
    source = "\n".join(cell.source for cell in code_cells(shipped(name)))
    assert "local_data" in source or "sklearn.datasets" in source
    assert not re.search(r"https?://|fetch_|requests|urllib", source)


@each
def test_it_ends_with_its_method_its_limits_and_the_source_of_its_data(name: str) -> None:
    last = shipped(name).cells[-1].source
    assert last.startswith("## Method and limits\n")
    assert "Data: " in last
    assert len(promised_files(shipped(name))) >= 3


@pytest.mark.functional
@each
def test_other_parameters_give_another_result_and_the_promised_files(name: str, tmp_path: Path) -> None:
    before = shipped(name)
    after = run(name, tmp_path, WORKFLOWS[name].other)
    assert WORKFLOWS[name].says in summary(after)
    assert summary(after) != summary(before)
    assert picture(after) != picture(before)
    assert not [output for output in outputs(after) if output.output_type in {"stream", "error"}]
    files = {path.name: path.stat().st_size for path in (tmp_path / "work").iterdir()}
    assert set(files) == promised_files(before)
    assert all(files.values())


@pytest.mark.functional
@each
def test_what_cannot_be_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    """One kernel tries them all; each time the cells run from the first on, until one refuses."""
    notebook = shipped(name)
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    with client.setup_kernel():
        for parameters, sentence in WORKFLOWS[name].bad:
            refusal = first_error(client, with_parameters(shipped(name), parameters))
            assert refusal.ename == "ValueError"
            assert sentence in refusal.evalue
            assert refusal.evalue.endswith(".")
    assert not list(tmp_path.iterdir()), "nothing is written before it refuses"


def with_parameters(notebook: Any, parameters: dict[str, Any]) -> Any:
    """Return the notebook with lines at the end of its parameters cell that set other values."""
    (cell,) = tagged(notebook, "parameters")
    cell.source += "".join(f"\n{key} = {value!r}" for key, value in parameters.items())
    return notebook


def first_error(client: NotebookClient, notebook: Any) -> CellExecutionError:
    """Return what ends the run of a notebook in the kernel of a client."""
    for index, cell in enumerate(notebook.cells):
        try:
            client.execute_cell(cell, index)
        except CellExecutionError as error:
            return error
    pytest.fail("no cell refused")


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that runs the shipped workflows into their files, at work on an empty folder."""
    spec = importlib.util.spec_from_file_location("execute_notebooks", ROOT / "scripts" / "execute_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module


def write_notebook(path: Path, source: str) -> None:
    cell = nbformat.v4.new_code_cell(source, id="only")
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "papermill": {}}
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[cell], metadata=metadata)), encoding="utf-8")


@pytest.mark.functional
def test_the_script_writes_outputs_once_and_then_finds_nothing_to_change(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(tmp_path / "sum.ipynb", "1 + 1")
    assert script.main([]) == 0
    written = nbformat.read(tmp_path / "sum.ipynb", as_version=4)
    assert written.cells[0].outputs[0].data == {"text/plain": "2"}
    assert "papermill" not in written.metadata
    assert script.main([]) == 0
    assert script.main(["--check", "sum"]) == 0
    assert capsys.readouterr().out.splitlines() == ["sum: written", "sum: unchanged", "sum: as in its file"]


@pytest.mark.functional
@pytest.mark.parametrize(
    ("source", "arguments", "says"),
    [
        ("1 / 0", [], "division by zero"),
        ("import warnings; warnings.warn('old')", [], "wrote to stderr"),
        ("1 + 1", ["--check"], "other outputs than in the file, in the cells only"),
    ],
)
def test_the_script_fails_on_what_must_not_ship_and_leaves_the_file(
    script: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    arguments: list[str],
    says: str,
) -> None:
    write_notebook(tmp_path / "bad.ipynb", source)
    before = (tmp_path / "bad.ipynb").read_bytes()
    assert script.main(arguments) == 1
    assert says in capsys.readouterr().err
    assert (tmp_path / "bad.ipynb").read_bytes() == before
