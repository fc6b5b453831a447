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


def _findings(settings: HubExt, hub_database: str, url: str) -> Iterator[Finding]:
    from hub_ext.catalog.loading import PolicyFiles, ProfileFiles
    from hub_ext.doctor import certificates, cluster, network, platform

    yield from platform.look(settings, hub_database)
    if settings.runtime == "kubernetes":
        profiles, _ = ProfileFiles(settings.profiles).read()
        homes = any(one.spec.storage.home for one in profiles)
        enclave = PolicyFiles(settings.profiles, str(settings.enclave)).read().enclave
        yield from cluster.look(settings, enclave, homes=homes)
        if closed := os.environ.get("HUB_EXT_CLOSED_ADDRESS"):
            yield network.closed(closed)
    public, proxy = (os.environ.get(name, "") for name in ("HUB_EXT_PUBLIC_URL", "HUB_EXT_PROXY_TLS"))
    yield from certificates.look(url, settings, public=public, proxy=proxy)
    if url:
        yield from network.look(url, settings)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path(".hub-ext"), envvar="HUB_EXT_STATE", show_envvar=True
)
@click.option(
    "--url", default="", envvar="HUB_EXT_URL", show_envvar=True, help="Public address of a platform that runs."
)
def doctor(as_json: bool, state: Path, url: str) -> None:
    """Look at this installation, and say what is wrong and what to do.

    Settings come from the environment, as for the service. The exit code is 1 where something does not work.
    """
    import structlog

    settings = HubExt.from_environment({"HUB_EXT_STATE_DIR": str(state), **os.environ})
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for what was found
    found = list(_findings(settings, os.environ.get("HUB_EXT_HUB_DATABASE_URL", ""), url.rstrip("/")))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    else:
        out = Console(highlight=False, soft_wrap=True)
        for one in found:
            out.print(Text.assemble((f"{one.state:5}", _STYLE[one.state]), f" {one.what}: {one.detail}"))
            if one.advice:
                out.print(Text(f"      → {one.advice}"))
    sys.exit(1 if any(one.state == "fail" for one in found) else 0)
