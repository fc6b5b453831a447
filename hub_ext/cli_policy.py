"""`hub-ext policy …`: the rules, what they are in a cluster, and exceptions from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hub_ext.cli_profiles import enclave_option, folder_option, json_option, load_folder, out, show_json, show_list
from hub_ext.cli_versions import desk_options


@click.group()
def policy() -> None:
    """What every server and every run must meet."""


@policy.command(name="list")
@folder_option
@enclave_option
@json_option
def list_(folder: Path | None, enclave: str | None, as_json: bool) -> None:
    """List the rules."""
    catalog = load_folder(folder, enclave)
    if as_json:
        show_json([rule.model_dump(mode="json") for rule in catalog.policy.rules])
        return
    table = Table("rule", "on", "severity", "controls", "what it asks", box=None)
    for rule in catalog.policy.rules:
        row = (rule.id, rule.on, rule.severity, ", ".join(rule.controls), rule.message)
        table.add_row(*(Text(cell) for cell in row))
    for note in catalog.notes:
        out.print(Text(note))
    out.print(table)


@policy.command()
@folder_option
@enclave_option
@click.option("--account", "accounts", multiple=True, help="Account of the Hub or the service in the cluster; repeat.")
@json_option
def export(folder: Path | None, enclave: str | None, accounts: tuple[str, ...], as_json: bool) -> None:
    """Print the rules as ValidatingAdmissionPolicies with their bindings, for `kubectl apply -f -`."""
    from hub_ext.kubernetes.admission import export as export_all
    from hub_ext.kubernetes.yaml_text import to_yaml

    catalog = load_folder(folder, enclave)
    made = export_all(catalog.policy, catalog.enclave, accounts)
    if as_json:
        show_json(made)
    else:
        click.echo(to_yaml(made), nl=False)


@policy.command()
@click.option("--namespace", help="Where Hub and service live; by default as the enclave says.")
@click.option("--why", is_flag=True, help="A table of the rights with their reasons, in place of what kubectl takes.")
@folder_option
@enclave_option
@json_option
def accounts(folder: Path | None, enclave: str | None, namespace: str | None, why: bool, as_json: bool) -> None:
    """Print the accounts of Hub and service with their rights in a cluster, for `kubectl apply -f -`."""
    from hub_ext.kubernetes import rbac
    from hub_ext.kubernetes.yaml_text import to_yaml

    if why and as_json:
        show_json(rbac.as_dicts())
        return
    if why:
        table = Table("account", "may", "with", "because", box=None)
        for one in rbac.as_dicts():
            named = f" ({', '.join(one['names'])})" if one["names"] else ""
            row = (one["account"], ", ".join(one["verbs"]), one["resource"] + named, one["why"])
            table.add_row(*(Text(cell) for cell in row))
        out.print(table)
        return
    spec = load_folder(folder, enclave).enclave.spec
    made = rbac.manifests(namespace or spec.system_namespace, spec.shared_namespace)
    if as_json:
        show_json(made)
    else:
        click.echo(to_yaml(made), nl=False)


@policy.command()
@click.option("--ended", is_flag=True, help="Also those that are over.")
@desk_options
@json_option
def exceptions(ended: bool, state: Path | None, name: str | None, as_json: bool) -> None:
    """List the exceptions, those that end first before the others."""
    from hub_ext.cli_desk import open_desk

    found = open_desk(state, name).exceptions(ended=ended)
    columns = ("id", "profile", "rule", "for", "until", "owner", "reason")
    show_list(found, columns, _exception_row, "There are no exceptions.", as_json=as_json)


def _exception_row(one: dict[str, Any]) -> tuple[str, ...]:
    whom = ", ".join([*one["users"], *one["groups"]]) or "everybody who may use it"
    until = f"{one['until'][:16].replace('T', ' ')}{' (revoked)' if one['revoked_at'] else ''}"
    return one["id"], one["profile"], one["rule"], whom, until, one["owner"], one["reason"]


@policy.command(name="except")
@click.argument("profile")
@click.argument("rule")
@click.option("--until", required=True, help="When it ends: a date, or a time with its zone; at most a year from now.")
@click.option("--reason", required=True, help="Why.")
@click.option("--user", "users", multiple=True, help="For whom; repeat. Without users and groups: for everybody.")
@click.option("--group", "groups", multiple=True, help="For whose members; repeat.")
@click.option("--owner", default="", help="Who answers for it; by default you.")
@desk_options
@json_option
def grant(state: Path | None, name: str | None, as_json: bool, **wish: Any) -> None:
    """Let PROFILE break RULE until a time."""
    from hub_ext.cli_desk import open_desk

    found = open_desk(state, name).grant(wish | {"users": list(wish["users"]), "groups": list(wish["groups"])})
    if as_json:
        show_json(found)
    else:
        out.print(Text(f"{found['profile']} need not meet {found['rule']} until {found['until']} ({found['id']})."))


@policy.command()
@click.argument("exception")
@click.option("--reason", required=True, help="Why.")
@desk_options
@json_option
def revoke(exception: str, reason: str, state: Path | None, name: str | None, as_json: bool) -> None:
    """End an exception now."""
    from hub_ext.cli_desk import open_desk

    found = open_desk(state, name).revoke(exception, reason)
    if as_json:
        show_json(found)
    else:
        out.print(Text(f"The exception of {found['profile']} from {found['rule']} is over."))
