"""84 option sets that nobody should get a server with, sent to a real platform by every path into a start.

The table, the paths and the stock Hub beside it are in benchmarks/hostile, which also makes the page in docs/reference.
"""

from __future__ import annotations

import pytest

from benchmarks.hostile import ours, record, stock
from benchmarks.hostile.options import cases
from benchmarks.hostile.paths import PATHS, Results
from benchmarks.hostile.table import PAGE, page

pytestmark = [pytest.mark.functional, pytest.mark.timeout(1200)]

CASES = cases()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, set[str]]:
    """What became of each option set on our platform, and the paths by which something allowed is made."""
    return ours.results(tmp_path_factory.mktemp("hostile") / "ours", CASES)


def test_there_are_at_least_sixty_and_the_kept_results_are_of_them() -> None:
    assert len(CASES) >= 60
    releases, kept = record.load()
    assert releases == record.releases()
    assert set(kept) == {case.words for case in CASES}


@pytest.mark.parametrize("path", PATHS)
def test_no_hostile_option_set_becomes_a_server(found: tuple[Results, set[str]], path: str) -> None:
    results, made = found
    outcomes = {words: paths[path] for words, paths in results.items() if path in paths}
    assert len(outcomes) >= 40
    assert {words: one for words, one in outcomes.items() if one.made or not one.handled} == {}
    assert (path in made) == (path != "query")  # what is allowed is made by it: it is not closed to everybody


def test_each_is_told_why(found: tuple[Results, set[str]]) -> None:
    results, _ = found
    for words, paths in results.items():
        status, _, why = paths["API"].words.partition(": ")
        assert status == "403", words
        assert len(why) > 20, words
        assert "Internal Server Error" not in why


def test_the_page_says_what_was_found(found: tuple[Results, set[str]]) -> None:
    results, made = found
    assert PAGE.read_text(encoding="utf-8") == page(CASES, record.load(), results, made)


def test_the_stock_hub_does_what_the_page_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    some = ("form", "API")
    results, made = stock.results(tmp_path_factory.mktemp("hostile") / "stock", CASES, some)
    assert made == set(some)
    _, kept = record.load()
    assert results == {
        words: {path: one for path, one in paths.items() if path in some} for words, paths in kept.items()
    }
