"""`hub-ext read-only …`: nothing can be changed for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
from rich.text import Text

from hub_ext.cli_access import platform, short
from hub_ext.cli_profiles import json_option, out, show_json


@click.group(name="read-only")
def read_only() -> None:
    """For a backup or a repair: everything can be read, nothing changed; what runs goes on."""


@read_only.command()
@json_option
def show(as_json: bool) -> None:
    """Say whether the platform is read-only, until when, and why."""
    with platform() as client:
        found = client.call("GET", "read-only")
    if as_json:
        show_json(found)
    elif found["read_only"]:
        out.print(Text(f"read-only since {short(found['since'])}, until {short(found['until'])}: {found['why']}"))
    else:
        out.print("Everything can be changed.")


@read_only.command()
@click.option("--minutes", type=click.IntRange(1), required=True, help="How long it is to last; it is announced.")
@click.option("--why", required=True, help="Everybody reads it.")
@json_option
def on(minutes: int, why: str, as_json: bool) -> None:
    """Let nothing be changed from now on, until `off`."""
    until = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(timespec="seconds")
    with platform() as client:
        found = client.call("PUT", "read-only", json={"until": until, "why": why})
    if as_json:
        show_json(found)
    else:
        out.print(Text(f"Nothing can be changed now, until {short(found['until'])} and `hub-ext read-only off`."))


@read_only.command()
def off() -> None:
    """Let everything be changed again."""
    with platform() as client:
        client.call("DELETE", "read-only")
    out.print("Everything can be changed again.")
