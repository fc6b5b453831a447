"""`hub-ext backup` and `hub-ext restore`: everything that must not be lost, as one file, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.text import Text

from hub_ext.cli_profiles import out

if TYPE_CHECKING:
    from hub_ext.backup.saving import Saved
    from hub_ext.settings import HubExt

_Function = TypeVar("_Function", bound=Callable[..., Any])
_LONGEST = 70  # characters of a name that is shown while it goes on

_state = click.option(
    "--state", type=click.Path(path_type=Path), default=Path(".hub-ext"), envvar="HUB_EXT_STATE", show_envvar=True
)


def _hub_database(function: _Function) -> _Function:
    return click.option(
        "--hub-database",
        default="",
        envvar="HUB_EXT_HUB_DATABASE_URL",
        show_envvar=True,
        help="SQLAlchemy address of the Hub's database; by default jupyterhub.sqlite in the state folder.",
    )(function)


def _settings(state: Path) -> HubExt:
    from hub_ext.settings import HubExt

    return HubExt.from_environment({**os.environ, "HUB_EXT_STATE_DIR": str(state)})


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    with out.status("…") as status:
        yield lambda name: status.update(Text(name[-_LONGEST:]))


def _sum(saved: Saved) -> str:
    hub = "of both databases" if saved.hub else "of the database (the Hub's is not part of it)"
    return f"{saved.rows:,} rows {hub}, {saved.results:,} results, {saved.files:,} files of the state folder"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@_state
@_hub_database
@click.option("--without-homes", is_flag=True, help="Leave out the home folders that are in the state folder.")
def backup(file: Path, state: Path, hub_database: str, without_homes: bool) -> None:
    """Save databases, results, keys and homes as FILE, also while the platform runs.

    The file holds keys: whoever has it can read everything. Runs that have not ended are saved as they are in the
    database, without what they have written so far.
    """
    from hub_ext.backup.saving import Sources, save

    with _telling() as tell:
        saved = save(Sources(_settings(state), hub_database, homes=not without_homes), file, tell)
    out.print(Text(f"Saved {_sum(saved)}: {file} ({saved.bytes / 1e6:,.1f} MB)."))
    if saved.changed:
        out.print(Text(f"{len(saved.changed)} files became shorter while they were read, such as {saved.changed[0]}."))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@_state
@_hub_database
@click.option("--check", "only_check", is_flag=True, help="Read the file to its end and compare its checksums only.")
def restore(file: Path, state: Path, hub_database: str, only_check: bool) -> None:
    """Put FILE, which `hub-ext backup` made, back into an empty state folder, store and databases.

    The file is checked to its end before anything is written.
    """
    from hub_ext.backup.archive import check
    from hub_ext.backup.restoring import restore as put_back

    with _telling() as tell:
        if only_check:
            found = check(file, tell)
            saved = None
        else:
            saved = put_back(_settings(state), file, hub_database, tell)
    if saved is None:
        out.print(Text(f"{file} is whole: made {found['made_at']} by hub-ext {found['release']}."))
    else:
        out.print(Text(f"Restored {_sum(saved)}, into {state}."))
