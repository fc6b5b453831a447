"""The `hub-ext` command.

Exit codes: 0 done; 1 the run failed, or a check found something; 2 the input or the command is wrong; 3 not signed in,
not allowed or not found; 4 the platform does not answer; 130 ended by Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hub_ext import __version__, errors
from hub_ext import cli_versions as _versions  # noqa: F401  # its commands join the group `profiles`
from hub_ext.cli_access import access
from hub_ext.cli_backup import backup, restore
from hub_ext.cli_budgets import budgets
from hub_ext.cli_doctor import doctor
from hub_ext.cli_images import images
from hub_ext.cli_people import people
from hub_ext.cli_policy import policy
from hub_ext.cli_profiles import profiles
from hub_ext.cli_read_only import read_only
from hub_ext.settings import HubExt

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_Function = TypeVar("_Function", bound=Callable[..., Any])
_state = click.option(
    "--state", type=click.Path(path_type=Path), default=Path(".hub-ext"), envvar="HUB_EXT_STATE", show_envvar=True
)
_REFUSED = (errors.NotSignedIn, errors.Forbidden, errors.Denied, errors.NotFound)


def main() -> None:
    """Run the command; errors become one clear message and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        err.print("Stopped.")
        sys.exit(130)
    except errors.HubExtError as error:
        tell(error)
        refused = isinstance(error, _REFUSED)
        sys.exit(3 if refused else 4 if isinstance(error, errors.Unavailable) else 2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def tell(error: errors.HubExtError) -> None:
    """Print an error: what, which fields, what to do."""
    err.print(Text.assemble((f"{error.title}: ", "bold red"), error.detail))
    for problem in error.problems:
        where = f"{problem.field}: " if problem.field else ""
        line = f" (line {problem.line})" if problem.line else ""
        sentence = f"  {where}{problem.message}{line}"
        if problem.message not in error.detail:
            err.print(Text(sentence))
    if error.hint:
        err.print(Text(error.hint))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hub-ext")
def cli() -> None:
    """A building platform for analysts on JupyterHub."""


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, envvar="HUB_EXT_PORT", show_envvar=True)
@_state
def up(port: int, state: Path) -> None:
    """Run the whole platform on this machine until Ctrl-C (the embedded default).

    The password is HUB_EXT_PASSWORD, else one that is made and shown at the first start.
    """
    import os

    from hub_ext.embedded.up import main as run_platform

    # One approval is enough on one machine, where one password makes more of them no control.
    usual = {"HUB_EXT_APPROVALS_REQUIRED": "1"}
    settings = HubExt.from_environment({**usual, **os.environ, "HUB_EXT_STATE_DIR": str(state)})
    sys.exit(run_platform(settings, port, os.environ.get("HUB_EXT_PASSWORD") or None))


@cli.command()
def serve() -> None:
    """Run the sharing service, as the Hub starts it or beside it (settings come from the environment)."""
    from hub_ext.web.server import main as run_service

    run_service([])


@cli.command()
@click.option("--url", default="http://127.0.0.1:8000", envvar="HUB_EXT_URL", show_envvar=True, show_default=True)
@click.option("--name", prompt="Name", help="Name to sign in with.")
@click.option("--password", prompt=True, hide_input=True, envvar="HUB_EXT_PASSWORD", show_envvar=True)
def login(url: str, name: str, password: str) -> None:
    """Sign in with a password and keep a token (30 days) for later commands."""
    from hub_ext.client import token_for_password

    path = token_for_password(url, name, password, "hub-ext login").save()
    out.print(Text(f"Signed in to {url} as {name}; the token is in {path}."))


@cli.group()
def workflows() -> None:
    """Publish notebooks as workflows, and run them."""


def _read(notebook: Path) -> bytes:
    try:
        return notebook.read_bytes()
    except OSError as error:
        raise errors.InvalidInput.of("notebook", f"{notebook} cannot be read: {error.strerror}") from None


@workflows.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema of the parameters.")
def inspect(notebook: Path, as_json: bool) -> None:
    """Show the parameters that a notebook's form would have; nothing is published."""
    from hub_ext.sharing.notebooks import read_notebook
    from hub_ext.sharing.parameters import infer

    book = read_notebook(_read(notebook))
    found = infer(book)
    schema = found.json_schema()
    if as_json:
        click.echo(json.dumps(schema, indent=2, ensure_ascii=False))
        return
    out.print(Text(book.title or notebook.stem, style="bold"))
    table = Table("name", "kind", "default", "help", box=None)
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        extra = field["x-hub-ext"]
        default = "required" if name in required else str(extra.get("computed", field.get("default", "")))
        table.add_row(Text(name), Text(extra["kind"]), Text(default), Text(field.get("description", "")))
    out.print(table if schema["properties"] else "No parameters.")
    for finding in found.warnings:
        out.print(Text(f"• {finding.message} {finding.fix}"))


@workflows.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the workflow; by default the file's.")
@click.option("--owner", help="A group that you publish for; by default yourself.")
@click.option("--title", help="Title; by default the notebook's first heading.")
@click.option("--profile", help="Profile that runs use.")
@click.option("--visibility", type=click.Choice(["private", "groups", "everyone"]))
@click.option("--group", "groups", multiple=True, help="A group that may see it (with --visibility groups).")
@click.option("--message", default="", help="What changed in this version.")
def publish(notebook: Path, name: str | None, groups: tuple[str, ...], **rest: str | None) -> None:
    """Publish a notebook as a workflow, or as its next version."""
    from hub_ext.client import Client, Login
    from hub_ext.sharing.names import suggest_name

    body: dict[str, Any] = {key: value for key, value in rest.items() if value}
    body["name"] = name or suggest_name(notebook.stem)
    if groups:
        body["groups"] = list(groups)
    data = _read(notebook)
    with Client(Login.find()) as client:
        files = {"notebook": (notebook.name, data, "application/x-ipynb+json")}
        made = client.call("POST", "workflows", data=body, files=files)
        where = f"{client.login.url}/services/workflows/w/{quote(made['owner'])}/{quote(made['name'])}"
    out.print(Text(f"{made['owner']}/{made['name']} version {made['version']}"))
    out.print(Text(where))


@workflows.command(name="list")
@click.argument("words", nargs=-1)
@click.option("--tag")
@click.option("--owner")
@click.option("--json", "as_json", is_flag=True)
def list_(words: tuple[str, ...], tag: str | None, owner: str | None, as_json: bool) -> None:
    """List workflows, or search them."""
    from hub_ext.client import Client, Login

    with Client(Login.find()) as client:
        found = list(client.pages("workflows", q=" ".join(words) or None, tag=tag, owner=owner, limit=100))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    table = Table("workflow", "version", "title", box=None)
    for item in found:
        table.add_row(Text(f"{item['owner']}/{item['name']}"), str(item["version"]), Text(item["title"]))
    out.print(table if found else "Nothing found. `hub-ext workflows publish NOTEBOOK` makes the first.")


def _split(workflow: str) -> str:
    owner, _, name = workflow.partition("/")
    if not owner or not name:
        raise errors.InvalidInput.of("workflow", "is written OWNER/NAME, such as examples/seasons")
    return f"workflows/{quote(owner, safe='')}/{quote(name, safe='')}"


@workflows.command()
@click.argument("workflow")
@click.option("--json", "as_json", is_flag=True)
def show(workflow: str, as_json: bool) -> None:
    """Show a workflow and its parameters."""
    from hub_ext.client import Client, Login

    with Client(Login.find()) as client:
        found = client.call("GET", _split(workflow))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    out.print(Text(found["title"], style="bold"))
    out.print(Text(found["description"]))
    table = Table("parameter", "default", "help", box=None)
    for name, field in found["schema"]["properties"].items():
        table.add_row(Text(name), Text(json.dumps(field.get("default"))), Text(field.get("description", "")))
    out.print(table)


def _pairs(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for pair in values:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        fields.setdefault(name, []).append(value)
    return fields


def _values(schema: dict[str, Any], fields: dict[str, list[str]], file: Path | None) -> dict[str, Any]:
    from hub_ext.sharing.parameters import from_form

    values: dict[str, Any] = {}
    if file:
        try:
            loaded = json.loads(_read(file))
        except ValueError as error:
            raise errors.InvalidInput.of("parameters", f"{file} is not JSON: {error}") from None
        if not isinstance(loaded, dict):
            raise errors.InvalidInput.of("parameters", f"{file} must hold a JSON object of names and values")
        values.update(loaded)
    known = {name: texts for name, texts in fields.items() if name in schema["properties"]}
    values.update(from_form(schema, known, complete=False))
    values.update({name: texts[-1] for name, texts in fields.items() if name not in known})
    for name, field in schema["properties"].items():
        if field.get("writeOnly") and name not in values and sys.stdin.isatty():
            values[name] = click.prompt(field.get("title", name), hide_input=True)
    return values


@workflows.command()
@click.argument("workflow")
@click.option(
    "-p", "--parameter", "fields", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="A value; repeat."
)
@click.option("--parameters", "file", type=click.Path(path_type=Path), help="A JSON file of values.")
@click.option("--version", type=int, help="Version of the workflow; by default the newest.")
@click.option("--profile", help="Another profile than the workflow's.")
@click.option("--report", type=click.Path(path_type=Path), help="Save the report (HTML) here.")
@click.option("--notebook", type=click.Path(path_type=Path), help="Save the notebook with its results here.")
@click.option(
    "--artifacts", type=click.Path(path_type=Path), help="Save the files that the run wrote below this folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON at the end.")
def run(workflow: str, fields: dict[str, list[str]], file: Path | None, as_json: bool, **rest: Any) -> None:
    """Run a workflow and wait for its end. Ctrl-C cancels the run."""
    from hub_ext.client import Client, Login

    with Client(Login.find()) as client:
        path = _split(workflow)
        version = rest["version"]
        found = client.call("GET", f"{path}/versions/{version}" if version else path)
        order = {"parameters": _values(found["schema"], fields, file)}
        order |= {key: rest[key] for key in ("version", "profile") if rest[key]}
        ordered = client.call("POST", f"{path}/runs", json=order)
        try:
            ended = _follow(client, ordered)
        except KeyboardInterrupt:
            with suppress(errors.HubExtError):
                client.call("POST", f"runs/{ordered['id']}/cancel")
            err.print(Text(f"Run {ordered['id']} was cancelled."))
            sys.exit(130)
        _save(client, ended, rest)
    if as_json:
        click.echo(json.dumps(ended, indent=2, ensure_ascii=False))
    _tell_end(ended)


def _follow(client: Any, ordered: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} cells"))
    current = ordered
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(ordered["state"], total=None)
        for current in client.watch(ordered["id"]):
            done, total = current.get("cells_done", 0), current.get("cells_total") or None
            progress.update(task, description=current["state"], completed=done, total=total)
    return current


def _save(client: Any, ended: dict[str, Any], wanted: dict[str, Any]) -> None:
    from hub_ext.store import safe_path

    base = f"runs/{quote(ended['id'])}"
    for kind in ("report", "notebook"):
        if wanted[kind]:
            client.download(f"{base}/{kind}", wanted[kind])
    if wanted["artifacts"]:
        for item in client.call("GET", f"{base}/artifacts")["items"]:
            path = safe_path(item["path"])  # never trust where a server wants a file written
            client.download(f"{base}/artifacts/{quote(path)}", wanted["artifacts"] / path)


def _tell_end(ended: dict[str, Any]) -> None:
    style = "green" if ended["state"] == "succeeded" else "bold red"
    reason = ended.get("reason") or ""
    err.print(Text.assemble((ended["state"], style), f" {ended['id']} {reason}".rstrip()))
    if ended["state"] != "succeeded":
        sys.exit(1)


cli.add_command(profiles)
cli.add_command(policy)
cli.add_command(images)
cli.add_command(backup)
cli.add_command(restore)
cli.add_command(access)
cli.add_command(budgets)
cli.add_command(doctor)
cli.add_command(people)
cli.add_command(read_only)


@cli.group()
def audit() -> None:
    """The record of acts."""


@audit.command()
@_state
def verify(state: Path) -> None:
    """Walk the hash chain of the record and say whether it is intact."""
    import os

    from hub_ext.audit import verify as walk
    from hub_ext.db.session import Database

    settings = HubExt.from_environment({**os.environ, "HUB_EXT_STATE_DIR": str(state)})
    database = Database(settings.database)
    click.get_current_context().call_on_close(database.dispose)
    with database.read() as session:
        verdict = walk(session)
    out.print(f"{verdict.checked} sealed acts, {verdict.unsealed} not sealed yet")
    if not verdict.intact:
        broken = f"The chain is broken at act {verdict.broken_at}: it or the one before was changed."
        err.print(Text(broken, style="bold red"))
        sys.exit(1)
    out.print(Text("The chain is intact.", style="green"))
