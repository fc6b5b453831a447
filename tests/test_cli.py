"""The parts of the `hub-ext` command that need no platform."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from hub_ext import cli, errors


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["hub-ext", *arguments])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def book(tmp_path: Path) -> Path:
    made = nbformat.v4.new_notebook()
    source = "years: int = 5  # How far back [1..30 years]\nregion = 'north'"
    made.cells = [nbformat.v4.new_code_cell(source, id="p", metadata={"tags": ["parameters"]})]
    nbformat.write(made, tmp_path / "book.ipynb")
    return tmp_path / "book.ipynb"


def test_inspect_prints_the_schema_of_the_parameters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], book: Path
) -> None:
    assert run(monkeypatch, "workflows", "inspect", str(book), "--json") == 0
    schema = json.loads(capsys.readouterr().out)
    assert list(schema["properties"]) == ["years", "region"]
    assert schema["properties"]["years"]["maximum"] == 30


def test_inspect_shows_kind_default_and_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], book: Path
) -> None:
    assert run(monkeypatch, "workflows", "inspect", str(book)) == 0
    shown = capsys.readouterr().out
    assert "years" in shown
    assert "How far back" in shown


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"cells": 3}'])
def test_what_is_not_a_notebook_is_refused_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "x.ipynb").write_text(content)
    assert run(monkeypatch, "workflows", "inspect", str(tmp_path / "x.ipynb")) == 2
    assert "cannot be accepted" in capsys.readouterr().err


def test_a_missing_file_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "workflows", "inspect", str(tmp_path / "none.ipynb")) == 2
    assert "none.ipynb" in capsys.readouterr().err.replace("\n", "")


def test_profiles_check_passes_what_ships_and_finds_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "profiles", "check") == 0
    bad = tmp_path / "broken"
    bad.mkdir()
    (bad / "1.yaml").write_text("apiVersion: hub-ext/v1\nkind: Profile\nmetadata: {name: broken, verzion: 1}\n")
    assert run(monkeypatch, "profiles", "check", str(tmp_path)) == 1
    assert "broken/1.yaml:3" in capsys.readouterr().err


def test_an_error_is_told_with_its_fields_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    problem = errors.Problem("parameters.n", "must be at most 50", 3)
    cli.tell(errors.InvalidInput("Two values are wrong.", hint="Look at the form.", problems=[problem]))
    told = capsys.readouterr().err
    assert "Two values are wrong." in told
    assert "parameters.n: must be at most 50 (line 3)" in told
    assert "Look at the form." in told


def test_an_unknown_command_is_refused_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "nonsense") == 2


def test_what_a_command_needs_is_imported_by_that_command_alone() -> None:
    code = "import hub_ext.cli, sys; print(*{'httpx', 'pydantic', 'sqlalchemy', 'structlog'}.intersection(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []
