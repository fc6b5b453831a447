"""`hub-ext doctor`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from hub_ext.doctor.finding import Finding
from hub_ext.settings import HubExt

_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def _findings(settings: HubExt, hub_url: str) -> Iterator[Finding]:
    from hub_ext.catalog.loading import PolicyFiles
    from hub_ext.doctor import cluster, platform

    yield from platform.look(settings, hub_url)
    if settings.runtime == "kubernetes":
        yield from cluster.look(settings, PolicyFiles(settings.profiles, str(settings.enclave)).read().enclave)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path(".hub-ext"), envvar="HUB_EXT_STATE", show_envvar=True
)
def doctor(as_json: bool, state: Path) -> None:
    """Look at this installation, and say what is wrong and what to do.

    Settings come from the environment, as for the service. The exit code is 1 where something does not work.
    """
    settings = HubExt.from_environment({"HUB_EXT_STATE_DIR": str(state), **os.environ})
    found = list(_findings(settings, os.environ.get("HUB_EXT_HUB_DATABASE_URL", "")))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    else:
        out = Console(highlight=False, soft_wrap=True)
        for one in found:
            out.print(Text.assemble((f"{one.state:5}", _STYLE[one.state]), f" {one.what}: {one.detail}"))
            if one.advice:
                out.print(Text(f"      → {one.advice}"))
    sys.exit(1 if any(one.state == "fail" for one in found) else 0)
