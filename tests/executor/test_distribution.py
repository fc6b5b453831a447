"""The executor as a distribution of its own, without the rest of hub-ext."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

import hub_ext.executor
from hub_ext.executor.folder import Folder
from hub_ext.executor.spec import LaunchSpec
from tests.executor.conftest import KERNEL

ROOT = Path(__file__).resolve().parents[2]
CODE = Path(hub_ext.executor.__file__).parent
ALLOWED = {"jupyter_client", "nbclient", "nbconvert", "nbformat", "papermill", "psutil", "traitlets", "zmq"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel of it holds."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT / "executor", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_code_of_the_executor_and_nothing_else(installed: Path) -> None:
    ours = {path.relative_to(CODE) for path in CODE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    package = installed / "hub_ext_executor"
    assert {path.relative_to(package) for path in package.rglob("*") if path.is_file()} == ours
    beside = {f"hub_ext_executor-0.1.0.{kind}" for kind in ("dist-info", "data")}
    assert {path.name for path in installed.iterdir()} == {"hub_ext_executor", *beside}


def test_what_tells_in_jupyterlab_when_a_server_ends_is_where_jupyter_looks_for_it(installed: Path) -> None:
    data = installed / "hub_ext_executor-0.1.0.data" / "data"
    lab = data / "share" / "jupyter" / "labextensions" / "hub-ext-announce"
    about = json.loads((lab / "package.json").read_text())
    assert about["name"] == lab.name
    assert (lab / about["jupyterlab"]["_build"]["load"]).is_file()
    config = data / "etc" / "jupyter" / "jupyter_server_config.d" / "hub-ext-executor.json"
    assert json.loads(config.read_text()) == {"ServerApp": {"jpserver_extensions": {"hub_ext_executor.announce": True}}}
    assert (installed / "hub_ext_executor" / "announce" / "__init__.py").is_file()


@pytest.mark.parametrize("path", sorted(CODE.glob("*.py")), ids=lambda path: path.name)
def test_the_executor_imports_nothing_of_the_rest(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - ALLOWED == set()


def test_it_runs_a_notebook_under_its_own_name(installed: Path, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "l-1")
    folder.make()
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("6 * 7")]), folder.notebook)
    LaunchSpec("r-1", "Rain", KERNEL, {"PATH": os.environ["PATH"]}).write(folder.spec)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)}
    run = "import sys, hub_ext_executor.main as m\nfrom pathlib import Path\nsys.exit(m.run(Path(sys.argv[1]), 0))"
    command = [sys.executable, "-P", "-c", run, str(folder.root)]
    subprocess.run(command, input=b'{"go": true}\n', env=environment, check=True)
    outcome = folder.read_outcome()
    assert outcome
    assert outcome["state"] == "succeeded", outcome
    assert "42" in folder.report.read_text()
