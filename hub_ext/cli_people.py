"""`hub-ext people …`: what is known of a sign-in, blocking, and handing workflows to an heir."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click
from rich.text import Text

from hub_ext.cli_access import platform, short
from hub_ext.cli_profiles import json_option, out, show_json, show_table


@click.group()
def people() -> None:
    """Who may come in, and who has left."""


@people.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Say what is known of the sign-in of NAME."""
    with platform() as client:
        found = client.call("GET", f"people/{quote(name, safe='')}/account")
    if as_json:
        show_json(found)
        return
    out.print(Text(f"{found['name']}: {found['provider'] or 'no sign-in by a provider'}"))
    out.print(Text(f"groups, as of {short(found['groups_at'])}: {', '.join(found['groups']) or 'none'}"))
    if found["blocked_at"]:
        out.print(Text(f"blocked by {found['blocked_by']}, {short(found['blocked_at'])}: {found['blocked_why']}"))
    if found["left_at"]:
        out.print(Text(f"everything was taken {short(found['left_at'])}: {found['name']} {found['left_why']}"))


@people.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; others read it.")
@json_option
def block(name: str, reason: str, as_json: bool) -> None:
    """Block NAME: sessions, tokens, servers and runs end within a minute."""
    with platform() as client:
        found = client.call("PUT", f"people/{quote(name, safe='')}/block", json={"reason": reason})
    if as_json:
        show_json(found)
    else:
        out.print(Text(f"{found['name']} is blocked."))


@people.command(name="let-in")
@click.argument("name")
def let_in(name: str) -> None:
    """Let NAME in again, who was blocked."""
    with platform() as client:
        client.call("DELETE", f"people/{quote(name, safe='')}/block")
    out.print(Text(f"{name} may sign in again."))


@people.command(name="hand-over")
@click.argument("name")
@click.option("--heir", required=True, help="Name of a person, or of a group with --group.")
@click.option("--group", is_flag=True, help="The heir is a group; its publishers keep them.")
@json_option
def hand_over(name: str, heir: str, group: bool, as_json: bool) -> None:
    """Hand all workflows of NAME to an heir."""
    body = {"heir": heir, "kind": "group" if group else "person"}
    with platform() as client:
        found = client.call("POST", f"people/{quote(name, safe='')}/heir", json=body)
    if as_json:
        show_json(found)
        return
    for one in found["items"]:
        out.print(Text(f"{name}/{one['before']} → {heir}/{one['name']}"))
    if not found["items"]:
        out.print("There was no workflow to hand over.")


@people.group()
def homes() -> None:
    """Homes of people who left: kept for a time, then removed when an admin confirms it."""


@homes.command(name="list")
@json_option
def list_homes(as_json: bool) -> None:
    """List them, with when each may be removed."""
    with platform() as client:
        found = client.call("GET", "homes")
    if as_json:
        show_json(found)
        return
    columns = ("whose", "left", "home", "size", "state", "removable from")
    show_table(columns, [_home_row(one) for one in found["items"]], "Nobody who left has a home here.")


def _home_row(one: dict[str, Any]) -> tuple[str, ...]:
    state = f"{one['state']}: {one['hindrance']}" if one["hindrance"] else one["state"]
    begins = "–" if one["state"] == "removed" else short(one["removable_from"])
    return one["name"], short(one["left_at"]), one["place"], _size(one["size"]), state, begins


def _size(size: int | None) -> str:
    return "not known" if size is None else f"{size / 2**20:,.1f} MiB"


@homes.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def remove(names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Let the homes of NAMES be removed; what is in them is lost."""
    with platform() as client:
        if not yes:
            there = {one["name"]: one for one in client.call("GET", "homes")["items"] if one["state"] != "removed"}
            for name in names:
                one = there.get(name)
                lost = f"{one['place']}, {_size(one['size'])}" if one else "no home that is known here"
                click.echo(f"{name}: {lost}", err=True)
            click.confirm("Everything in them is lost for ever. Remove them?", abort=True, err=True)
        found = client.call("POST", "homes/removal", json={"names": list(names)})
    if as_json:
        show_json(found)
        return
    for one in found["items"]:
        out.print(Text(f"{one['name']}: {one['place']} is removed within a minute."))
