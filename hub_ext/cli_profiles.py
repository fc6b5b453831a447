"""`hub-ext profiles …`: files of profiles, checked, shown and compared (versions: `cli_versions`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hub_ext import __version__, errors

if TYPE_CHECKING:
    from hub_ext.catalog.models import Model, Profile
    from hub_ext.catalog.options import Value
    from hub_ext.catalog.snapshot import Catalog

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The profiles folder; by default the one in force.",
)
enclave_option = click.option("--enclave", help="The enclave; by default the one in force.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def show_json(value: Any) -> None:
    """Print JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], nothing: str) -> None:
    """Print rows, or that there are none."""
    table = Table(box=None)
    for name in columns:
        table.add_column(name, no_wrap=name == "id", overflow="fold")  # what is needed again is never cut
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table if rows else nothing)


def show_list(
    found: Sequence[dict[str, Any]],
    columns: tuple[str, ...],
    row: Callable[[dict[str, Any]], tuple[str, ...]],
    nothing: str,
    *,
    as_json: bool,
) -> None:
    """Print a list of the API, as JSON or as a table.

    Args:
        found: Its items.
        columns: Their heads.
        row: Returns what an item has in them.
        nothing: What is said where there is no item.
        as_json: Whether it is to be JSON.
    """
    if as_json:
        show_json(list(found))
    else:
        show_table(columns, [row(one) for one in found], nothing)


@click.group()
def profiles() -> None:
    """What servers and runs may be."""


# --- files -----------------------------------------------------------------------------------------------------------


def load_folder(folder: Path | None, enclave: str | None) -> Catalog:
    """Return what stands in a folder, with its rules timed.

    Args:
        folder: The profiles folder; None for the one in force.
        enclave: Name of the enclave; None for the one in force.
    """
    from dataclasses import replace

    from hub_ext.catalog.documents import FileProblem
    from hub_ext.catalog.loading import load
    from hub_ext.catalog.timing import slow_rules
    from hub_ext.catalog.trusted import trusted_rules
    from hub_ext.cli_desk import local_settings, profiles_folder

    settings = local_settings(None)
    catalog = load(profiles_folder(folder), enclave or str(settings.enclave))
    unknown = [rule for rule in catalog.policy.rules if rule.digest not in trusted_rules()]
    slow = slow_rules(unknown, catalog.enclave) if unknown else {}
    more = tuple(FileProblem("_policy", f"the rule {rule} {why}") for rule, why in slow.items())
    rules = tuple(rule for rule in catalog.policy.rules if rule.id not in slow)
    return replace(catalog, policy=replace(catalog.policy, rules=rules), problems=catalog.problems + more)


@profiles.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@enclave_option
@click.option(
    "--format", "kind", type=click.Choice(["text", "json", "sarif", "junit"]), default="text", show_default=True
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there.")
def check(folder: Path | None, enclave: str | None, kind: str, output: Path | None) -> None:
    """Hold all profile files of a folder against the policy, at every extreme of their options.

    The exit code is 1 if anything denies: a file that cannot be read, a rule that is not met or too slow.
    """
    from hub_ext.catalog.check import check as check_all
    from hub_ext.catalog.check import denying

    catalog = load_folder(folder, enclave)
    findings = check_all(catalog)
    denied = denying(findings)
    count = f"{len(catalog.profiles)} versions of {len(catalog.newest())} profiles, {len(catalog.policy.rules)} rules"
    summary = f"{count}, {len(denied)} problems, {len(findings) - len(denied)} warnings"
    if kind == "text":
        for finding in findings:
            err.print(Text(str(finding), style="" if finding.severity == "deny" else "yellow"))
        report = "".join(f"{line}\n" for line in (*(str(finding) for finding in findings), *catalog.notes, summary))
    else:
        report = _report(kind, catalog, findings)
    if output is not None:
        output.write_text(report, encoding="utf-8")
    if kind == "text" or output is not None:
        for note in catalog.notes:
            out.print(Text(note))
        out.print(Text(summary))
    else:
        click.echo(report, nl=False)
    sys.exit(1 if denied else 0)


def _report(kind: str, catalog: Catalog, findings: list[Any]) -> str:
    from hub_ext.catalog.reports import junit, sarif

    if kind == "sarif":
        return sarif(findings, catalog.policy, __version__)
    if kind == "junit":
        return junit(findings, catalog)
    found = {
        "versions": len(catalog.profiles),
        "rules": len(catalog.policy.rules),
        "notes": list(catalog.notes),
        "findings": [finding.as_dict() for finding in findings],
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def models() -> dict[str, type[Model]]:
    """Return what the files of a profiles folder are, by their kinds."""
    from hub_ext.catalog.locks import ImagesLock
    from hub_ext.catalog.models import Profile
    from hub_ext.catalog.policy import Enclave, PolicyRules

    return {"profile": Profile, "policy": PolicyRules, "enclave": Enclave, "lock": ImagesLock}


@profiles.command()
@click.option(
    "--kind", type=click.Choice(["profile", "policy", "enclave", "lock"]), default="profile", show_default=True
)
def schema(kind: str) -> None:
    """Print the JSON Schema of a file, for an editor."""
    show_json(models()[kind].model_json_schema())


def _find(what: str, catalog: Catalog) -> Profile:
    """Return the version that somebody means: a file, NAME@NUMBER, or NAME for the highest.

    Raises:
        InvalidInput: If the file is no profile.
        NotFound: If there is no such version.
    """
    from difflib import get_close_matches

    from hub_ext.governance.curation import read_profile

    path = Path(what)
    if path.suffix in (".yaml", ".yml"):
        try:
            return read_profile(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise errors.InvalidInput.of(what, f"cannot be read: {type(error).__name__}") from None
    name, at, number = what.partition("@")
    found = [one for one in catalog.versions(name) if not at or str(one.version) == number]
    if not found:
        known = [f"{one.name}@{one.version}" for one in catalog.profiles]
        near = get_close_matches(what, [*known, *{one.name for one in catalog.profiles}], n=1)
        raise errors.NotFound(f"There is no profile {what!r}.", hint=f"Did you mean {near[0]}?" if near else "")
    return found[-1]


def _chosen(profile: Profile, pairs: tuple[str, ...]) -> dict[str, Value]:
    """Return the options that somebody typed, in their types.

    Raises:
        InvalidInput: If one cannot be; `problems` name them.
    """
    from hub_ext.catalog.options import choose_all

    typed: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        option = profile.spec.options.get(name)
        typed[name] = _typed(option.type, text) if option else text
    values, misfits = choose_all(profile, typed)
    if misfits:
        problems = [errors.Problem(misfit.option, misfit.message) for misfit in misfits]
        raise errors.InvalidInput(" ".join(misfit.message for misfit in misfits), problems=problems)
    return values


def _typed(kind: str, text: str) -> Any:
    if kind == "boolean":
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    try:
        return {"integer": int, "number": float}.get(kind, str)(text)
    except ValueError:
        return text


@profiles.command()
@click.argument("profile")
@click.option("--version", type=int, help="Number of the version; by default the highest.")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="A choice; repeat.")
@click.option("--user", default="somebody", show_default=True)
@click.option("--name", default="", help="Name of the server, or id of the run.")
@click.option("--purpose", type=click.Choice(["server", "run"]), default="server", show_default=True)
@click.option("--explain", is_flag=True, help="Say behind each line why it is as it is.")
@folder_option
@enclave_option
@json_option
def render(
    profile: str,
    version: int | None,
    pairs: tuple[str, ...],
    folder: Path | None,
    enclave: str | None,
    as_json: bool,
    explain: bool,
    **start: Any,
) -> None:
    """Print exactly what a start of PROFILE makes: namespace, network policy, pod.

    PROFILE is a name, NAME@NUMBER or a file. The exit code is 1 if the policy would deny it; the rules are told.
    """
    from hub_ext.catalog.options import apply
    from hub_ext.cli_desk import local_settings
    from hub_ext.kubernetes.reasons import Start, reasons
    from hub_ext.kubernetes.yaml_text import to_yaml

    catalog = load_folder(folder, enclave)
    found = _find(profile if version is None else f"{profile}@{version}", catalog)
    values = _chosen(found, pairs)
    try:
        spec = apply(found, values)
    except ValueError as error:
        raise errors.InvalidInput(f"These options do not go together: {error}") from None
    image = _image(found, spec, catalog, local_settings(None))
    one = Start(found, spec, values, catalog.enclave, image, **start)
    made = one.rendered()
    if as_json:
        why = reasons(one, catalog.policy) if explain else None
        show_json({"objects": made.all(), **({"reasons": why} if why is not None else {})})
    else:
        click.echo(to_yaml(made.all(), reasons(one, catalog.policy) if explain else None), nl=False)
    sys.exit(_tell_broken(one, catalog))


def _image(found: Profile, spec: Any, catalog: Catalog, settings: Any) -> str:
    """Return the image: where processes are local, the digest of this machine's environment, if it has that one."""
    from hub_ext.catalog.check import stand_ins
    from hub_ext.catalog.judging import image_of
    from hub_ext.governance.environments import environment_images

    stand = stand_ins(found, catalog.enclave)
    return image_of(spec, catalog.images, None if stand is None else {**stand, **environment_images(settings)})


def _tell_broken(one: Any, catalog: Catalog) -> int:
    """Print the rules that a start does not meet; return the exit code."""
    from hub_ext.catalog.judging import judge
    from hub_ext.kubernetes.render import request_view

    groups = one.profile.spec.access.groups
    about = {"user": one.user, "groups": groups, "purpose": one.purpose, "hour": 12, "weekday": 3}
    broken = judge(catalog.policy, catalog.enclave, one.rendered(), request_view(one.profile, one.spec, about))
    for violation in broken:
        err.print(Text(f"{violation.rule.severity}: {violation.rule.id}: {violation.rule.message}"))
    return 1 if any(violation.denies for violation in broken) else 0


@profiles.command()
@click.argument("old")
@click.argument("new")
@folder_option
@enclave_option
@json_option
def diff(old: str, new: str, folder: Path | None, enclave: str | None, as_json: bool) -> None:
    """Show what servers and runs would become: OLD against NEW, at every extreme of the options.

    Each of them is a file, NAME@NUMBER, or a name for its highest version.
    """
    from hub_ext.catalog.diff import diff as compare

    catalog = load_folder(folder, enclave)
    found = compare(_find(old, catalog), _find(new, catalog), catalog)
    if as_json:
        show_json(found.as_dict())
        return
    tell_diff(found.as_dict())


def tell_diff(found: dict[str, Any]) -> None:
    """Print a diff, as JSON has it."""
    from hub_ext.catalog.diff import Change

    lines = [*found["access"], *found["options"], *found["about"]]
    lines += [str(Change(**{**change, "when": tuple(change["when"])})) for change in found["changes"]]
    for line in lines:
        out.print(Text(line))
    if not lines:
        out.print("Nothing would change.")
    for line in found["further"]:
        out.print(Text(f"Reaches further: {line}", style="yellow"))
