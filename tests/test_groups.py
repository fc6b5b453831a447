"""What runs beside what: each group of tests is there, and goes to one worker whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import _GROUPS, group_of

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", _GROUPS)
def test_each_group_has_what_it_names(name: str) -> None:
    files = [one.relative_to(HERE.parent).as_posix() for one in HERE.rglob("test_*.py")]
    mine = [one for one in files if group_of(f"{one}::test_it") == name]
    for prefix in _GROUPS[name]:
        assert any(one.startswith(f"tests/{prefix}") for one in mine), f"{prefix} is in no file, or in another group"


def test_what_is_in_no_group_goes_by_its_file() -> None:
    assert group_of("tests/db/test_migrate.py::test_it[sqlite]") == "tests/db/test_migrate.py"


def test_all_that_starts_a_platform_is_in_a_group() -> None:
    files = [one.relative_to(HERE.parent).as_posix() for one in (HERE / "functional").rglob("test_*.py")]
    assert [one for one in files if group_of(f"{one}::test_it") == one] == []
