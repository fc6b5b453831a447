"""The table of docs/reference/hostile-options.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.hostile.options import Case
from benchmarks.hostile.paths import PATHS, Results
from benchmarks.hostile.side import Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "hostile-options.md"
_TEMPLATE = Path(__file__).with_name("page.md")


def page(cases: list[Case], kept: tuple[dict[str, str], Results], ours: Results, made_by_ours: set[str]) -> str:
    """Return the page.

    Args:
        cases: The table of option sets.
        kept: The releases of the stock side, and what became of the option sets there.
        ours: What became of them here.
        made_by_ours: Paths by which we make what is allowed.
    """
    releases, stock = kept
    closed = [path for path in PATHS if path not in made_by_ours]
    words = f" (but for {' and '.join(PATHS[path] for path in closed)}: hub-ext starts nothing by it)" if closed else ""
    names = {name.removeprefix("jupyterhub-"): release for name, release in releases.items()}
    return _TEMPLATE.read_text(encoding="utf-8").format(
        count=len(cases),
        closed=words,
        paths="\n".join(_path(path, stock, ours) for path in PATHS),
        through="\n".join(_through(case, stock) for case in cases if _let_through(case, stock)),
        every="\n".join(
            f"| {_cell(case.words)} | {_verdicts(stock[case.words])} | {_verdicts(ours[case.words])} |"
            for case in cases
        ),
        **names,
    )


def _path(path: str, stock: Results, ours: Results) -> str:
    there = [found[path] for found in stock.values() if path in found]
    here = [found[path] for found in ours.values() if path in found]
    errors = sum(not one.made and not one.handled for one in there)
    through = [sum(one.let_through for one in side) for side in (there, here)]
    return f"| {PATHS[path]} | {len(there)} | {through[0]} | {errors} | {through[1]} |"


def _let_through(case: Case, stock: Results) -> dict[str, Outcome]:
    return {path: one for path, one in stock[case.words].items() if one.let_through}


def _through(case: Case, stock: Results) -> str:
    found = _let_through(case, stock)
    return f"| {_cell(case.words)} | {', '.join(found)} | {_cell(next(iter(found.values())).words)} |"


def _verdicts(found: dict[str, Outcome]) -> str:
    """Return what became of an option set, by path, the same verdicts together."""
    by: dict[str, list[str]] = {}
    for path, one in found.items():
        verdict = "refused" if one.handled else "error"
        if one.made:
            verdict = "made" if one.approved else "**let through**"
        by.setdefault(verdict, []).append(path)
    if len(by) == 1:
        return next(iter(by))
    return "; ".join(f"{verdict}: {', '.join(paths)}" for verdict, paths in by.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
