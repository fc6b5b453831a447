"""`hub-ext profiles …`: versions proposed, judged, ended and explained, at a platform or in a state folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from hub_ext import errors
from hub_ext.cli_profiles import err, json_option, out, profiles, show_json, tell_diff

_Function = TypeVar("_Function", bound=Callable[..., Any])


def desk_options(function: _Function) -> _Function:
    """Let a command act at the platform that one is signed in to, or in a state folder."""
    state = click.option(
        "--state",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Work in this state folder directly, without a platform.",
    )
    name = click.option(
        "--as", "name", metavar="NAME", help="Who acts, with --state; by default who is logged in here."
    )
    return state(name(function))


def _numbered(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, int]:
    name, at, number = text.partition("@")
    if not at or not number.isdecimal() or len(number) > 9:
        raise click.BadParameter(f"{text!r} is not NAME@NUMBER, such as standard@2")
    return name, int(number)


version_argument = click.argument("version", metavar="NAME@NUMBER", callback=_numbered)


def tell_version(found: dict[str, Any], *, as_json: bool) -> None:
    """Print a version and where it stands."""
    if as_json:
        show_json(found)
        return
    out.print(Text(f"{found['name']}@{found['version']} is {found['state']} ({found['digest']})"))
    if found["state"] == "proposed":
        approved = sum(one["verdict"] == "approve" for one in found["approvals"])
        out.print(Text(f"{approved} of {found['required']} approvals."))


@profiles.command(name="list")
@desk_options
@json_option
def list_(state: Path | None, name: str | None, as_json: bool) -> None:
    """List every version with its state, its checks and its use."""
    from hub_ext.cli_desk import open_desk

    found = open_desk(state, name).versions()
    if as_json:
        show_json(found)
        return
    table = Table("version", "state", "checks", "people now", "last start", box=None)
    for one in found:
        denied = sum(finding["severity"] == "deny" for finding in one["findings"] or ())
        checks = "?" if one["findings"] is None else f"{denied} problems" if denied else "pass"
        last = (one["last_start"] or "")[:16].replace("T", " ")
        row = (f"{one['name']}@{one['version']}", one["state"], checks, ", ".join(one["people_now"]), last)
        table.add_row(*(Text(cell) for cell in row))
    out.print(table if found else "There are no profiles. `hub-ext profiles propose FILE` proposes the first.")


@profiles.command()
@version_argument
@desk_options
@json_option
def show(version: tuple[str, int], state: Path | None, name: str | None, as_json: bool) -> None:
    """Show a version: where it stands, what its check finds, and what servers would become with it."""
    from hub_ext.cli_desk import open_desk

    found = open_desk(state, name).version(*version)
    tell_version(found, as_json=as_json)
    if not as_json:
        _tell_rest(found)


def _tell_rest(found: dict[str, Any]) -> None:
    for one in found["approvals"]:
        words = f": {one['comment']}" if one["comment"] else ""
        out.print(Text(f"{one['by']} {'approves' if one['verdict'] == 'approve' else 'refuses'} it{words}"))
    for finding in found["findings"] or ():
        out.print(Text(f"{finding['severity']}: {finding['rule']}: {finding['message']}"))
    if found["affected"]:
        out.print(Text(f"In use now by {', '.join(found['affected'])}."))
    if found["diff"]:
        tell_diff(found["diff"])


@profiles.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--message", default="", help="Your words to who approves it.")
@desk_options
@json_option
def propose(file: Path, message: str, state: Path | None, name: str | None, as_json: bool) -> None:
    """Propose the version in FILE; you are its author, and others approve it."""
    from hub_ext.cli_desk import open_desk

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InvalidInput.of("file", f"{file} cannot be read: {type(error).__name__}") from None
    found, _ = open_desk(state, name).propose(text, message)
    tell_version(found, as_json=as_json)


@profiles.command()
@version_argument
@click.option("--digest", help="What you looked at; without it, the version is shown and you are asked.")
@click.option("--comment", default="", help="Your words.")
@desk_options
@json_option
def approve(
    version: tuple[str, int], digest: str | None, comment: str, state: Path | None, name: str | None, as_json: bool
) -> None:
    """Approve a version by its digest. Its author cannot."""
    from hub_ext.cli_desk import open_desk

    desk = open_desk(state, name)
    if digest is None:
        found = desk.version(*version)
        tell_version(found, as_json=False)
        _tell_rest(found)
        click.confirm("Approve it?", abort=True, err=True)
        digest = str(found["digest"])
    tell_version(desk.judge(*version, "approve", digest, comment), as_json=as_json)


@profiles.command()
@version_argument
@click.option("--comment", required=True, help="Why; its author reads it.")
@desk_options
@json_option
def refuse(version: tuple[str, int], comment: str, state: Path | None, name: str | None, as_json: bool) -> None:
    """Refuse a version: it cannot be approved until you approve it, or it is withdrawn."""
    from hub_ext.cli_desk import open_desk

    desk = open_desk(state, name)
    digest = str(desk.version(*version)["digest"])
    tell_version(desk.judge(*version, "refuse", digest, comment), as_json=as_json)


@profiles.command()
@version_argument
@desk_options
@json_option
def withdraw(version: tuple[str, int], state: Path | None, name: str | None, as_json: bool) -> None:
    """Take your proposal back."""
    from hub_ext.cli_desk import open_desk

    tell_version(open_desk(state, name).withdraw(*version), as_json=as_json)


@profiles.command()
@version_argument
@click.option("--removal", required=True, help="When it is removed: a date, or a time with its zone.")
@click.option("--successor", default="", metavar="NAME@NUMBER", help="What to use in its place.")
@desk_options
@json_option
def deprecate(
    version: tuple[str, int], removal: str, successor: str, state: Path | None, name: str | None, as_json: bool
) -> None:
    """Say that a version ends: starts warn from now on, and are denied after its removal."""
    from hub_ext.cli_desk import open_desk

    tell_version(open_desk(state, name).deprecate(*version, removal, successor), as_json=as_json)


@profiles.command()
@click.argument("user")
@click.argument("profile", required=False)
@click.option("--group", "groups", multiple=True, help="A group of hers, with --state; repeat.")
@desk_options
@json_option
def explain(
    user: str, profile: str | None, groups: tuple[str, ...], state: Path | None, name: str | None, as_json: bool
) -> None:
    """Say what USER may start, why not the rest, what would be allowed, and whom to ask."""
    from hub_ext.cli_desk import open_desk

    found = open_desk(state, name).explain_to(user, profile, groups)
    if as_json:
        show_json(found)
        return
    for one in found:
        out.print(Text(one["sentence"], style="green" if one["allowed"] else "bold red"))
        for part in one["parts"] if profile else ():
            mark, more = "✓" if part["holds"] else "✗", ""
            if not part["holds"]:
                more = f" Allowed: {part['allowed']}." if part.get("allowed") else ""
                more += f" Ask {part['ask']}." if part.get("ask") else ""
            out.print(Text(f"  {mark} {part['words']}{more}"))


@profiles.command()
@click.option("--rewritten", default="", metavar="COMMIT", help="Take it though its history was written anew.")
@desk_options
@json_option
def sync(rewritten: str, state: Path | None, name: str | None, as_json: bool) -> None:
    """Ask the repository of profiles for its newest commit now. Files of a commit are proposals, as all files are.

    The exit code is 1 if no commit could be taken; the last good one stays in force.
    """
    from hub_ext.cli_desk import open_desk

    found = open_desk(state, name).sync(rewritten)["source"]
    if as_json:
        show_json(found)
    else:
        commit = f"Commit {found['commit'][:12]} by {found['author']} is" if found["commit"] else "No commit is"
        out.print(Text(f"{commit} in force, from {found['ref']} of {found['address']}."))
        for line in (found["error"], *(_fault(one) for one in found["problems"])) if found["fault"] else ():
            err.print(Text(line))
    sys.exit(1 if found["fault"] else 0)


def _fault(one: dict[str, Any]) -> str:
    where = f"{one['path']}:{one['line']}" if one["line"] else one["path"]
    return f"{where}: {one['message']}"
