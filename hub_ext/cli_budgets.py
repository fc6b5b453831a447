"""`hub-ext budgets …`: how much somebody may have, and what was used."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click
from rich.text import Text

from hub_ext.cli_access import given, platform, save_file, short
from hub_ext.cli_profiles import json_option, out, show_json, show_list, show_table
from hub_ext.errors import InvalidInput

_MEASURES = ("servers", "runs", "cpu_hours", "memory_hours", "gpu_hours", "storage_gb")
_KIND = click.Choice(["person", "group", "everyone"])


@click.group()
def budgets() -> None:
    """How much a person, a group together, or each person may have."""


@budgets.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List the budgets that you may see."""
    with platform() as client:
        found = list(client.pages("budgets", limit=100))
    show_list(found, ("of", "name", *_MEASURES, "set by"), _budget_row, "Nobody has a budget.", as_json=as_json)


def _budget_row(one: dict[str, Any]) -> tuple[str, ...]:
    limits = (_number(one[name]) for name in _MEASURES)
    return one["kind"], one["name"], *limits, f"{one['changed_by']}, {short(one['changed_at'])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


@budgets.command(name="set")
@click.argument("kind", type=_KIND)
@click.argument("name", required=False)
@click.option("--servers", type=int, help="At once.")
@click.option("--runs", type=int, help="At once, those that wait among them.")
@click.option("--cpu-hours", type=float, help="Core hours a month.")
@click.option("--memory-hours", type=float, help="GB hours of memory a month.")
@click.option("--gpu-hours", type=float, help="GPU hours a month.")
@click.option("--storage-gb", type=float, help="GB of homes and of results that are kept.")
@click.option("--soft", type=int, default=80, show_default=True, help="Percent of a limit from which a start warns.")
@click.option("--reason", default="", help="Why.")
@json_option
def set_(kind: str, name: str | None, as_json: bool, **limits: Any) -> None:
    """Set the budget of a person, a group, or everyone (each person without one of her own).

    What is left out has no limit of its own.
    """
    with platform() as client:
        found = client.call("PUT", _path(kind, name), json=given(**limits))
    if as_json:
        show_json(found)
    else:
        told = ", ".join(f"{one} {_number(found[one])}" for one in _MEASURES if found[one] is not None)
        out.print(Text(f"{found['kind']} {found['name']}: {told or 'no limits'}."))


def _path(kind: str, name: str | None) -> str:
    if kind == "everyone":
        name = name or "everyone"
    if not name:
        raise InvalidInput.of("name", f"name the {kind}")
    return f"budgets/{kind}/{quote(name, safe='')}"


@budgets.command()
@click.argument("kind", type=_KIND)
@click.argument("name", required=False)
def remove(kind: str, name: str | None) -> None:
    """Remove a budget: its holder has no limits of its own any more."""
    with platform() as client:
        client.call("DELETE", _path(kind, name))
    out.print("It is removed.")


@budgets.command()
@json_option
def mine(as_json: bool) -> None:
    """Say how the budgets stand that count for you."""
    with platform() as client:
        found = client.call("GET", "access")["budgets"]
    if as_json:
        show_json(found)
    else:
        tell_standings(found)


def tell_standings(found: list[dict[str, Any]]) -> None:
    """Print how budgets stand."""
    rows = []
    for one in found:
        for name in _MEASURES:
            limit = one["limits"][name]
            if limit is not None:
                rows.append((one["kind"], one["name"], name, f"{one['used'][name]:.1f}", _number(limit)))
    show_table(("of", "name", "what", "used", "limit"), rows, "Nothing is limited.")


@budgets.command()
@click.option("--month", help="Such as 2026-11 (UTC); by default the present one.")
@click.option("--kind", type=click.Choice(["person", "group"]))
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File for --csv.")
@json_option
def usage(month: str | None, kind: str | None, as_csv: bool, output: Path | None, as_json: bool) -> None:
    """Say who used what in a month."""
    wanted = given(month=month, kind=kind)
    if as_csv or output is not None:
        query = urlencode(wanted)
        save_file(f"usage.csv{'?' if query else ''}{query}", output)
        return
    with platform() as client:
        found = list(client.pages("usage", limit=100, **wanted))
    show_list(found, ("of", "name", *_MEASURES), _usage_row, "Nothing was used.", as_json=as_json)


def _usage_row(one: dict[str, Any]) -> tuple[str, ...]:
    return one["kind"], one["name"], *(f"{one[name]:.1f}".removesuffix(".0") for name in _MEASURES)
