"""Write the files that are made from code, or check that they are current (`--check`)."""

import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import chart_files
import chart_templates
import click
import dashboard
import icons

ROOT = Path(__file__).resolve().parent.parent


def settings_reference() -> str:
    """The settings, as a table."""
    from hub_ext.settings import HubExt

    lines = [
        "# Settings",
        "",
        "Made from `hub_ext/settings.py` by `scripts/generate.py`; do not edit.",
        "",
        "In `jupyterhub_config.py`: `c.HubExt.<name> = …`. For a process of its own: `HUB_EXT_<NAME>` in its",
        "environment (text as it is, anything else as JSON).",
        "",
        "| name | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for name, trait in sorted(HubExt.class_traits(config=True).items()):
        default = json.dumps(trait.default() if callable(getattr(trait, "default", None)) else trait.default_value)
        kind = type(trait).__name__.lower()
        lines.append(f"| `{name}` | {kind} | `{default}` | {trait.help} |")
    return "\n".join(lines) + "\n"


def cli_reference() -> str:
    """Every command with its help."""
    from hub_ext.cli import cli

    lines = ["# The `hub-ext` command", "", "Made from `hub_ext/cli.py` by `scripts/generate.py`; do not edit.", ""]
    lines += ["Exit codes: 0 done; 1 the run failed, or a check found something; 2 the input or the command is wrong;"]
    lines += ["3 not signed in, not allowed or not found; 4 the platform does not answer; 130 ended by Ctrl-C.", ""]

    def walk(command: click.Command, name: str) -> None:
        with click.Context(command, info_name=name, max_content_width=110, terminal_width=110) as context:
            lines.extend([f"## `{name}`", "", "```text", command.get_help(context), "```", ""])
        if isinstance(command, click.Group):
            for key, child in sorted(command.commands.items()):
                walk(child, f"{name} {key}")

    walk(cli, "hub-ext")
    return "\n".join(lines).rstrip() + "\n"


def rights_reference() -> str:
    """What our accounts may do in a cluster, and why."""
    from hub_ext.kubernetes.rbac import NOT_GRANTED, RIGHTS

    lines = [
        "# Rights in a cluster",
        "",
        "Made from `hub_ext/kubernetes/rbac.py` by `scripts/generate.py`; do not edit.",
    ]
    lines += ["`hub-ext policy accounts` prints them for `kubectl apply`.", ""]
    for account, rights in RIGHTS.items():
        lines += [f"## `{account}`", "", "| with | may | because |", "| --- | --- | --- |"]
        for right in rights:
            kind = f"{right.resource}.{right.group}" if right.group else right.resource
            named = f", named {' or '.join(f'`{name}`' for name in right.names)}" if right.names else ""
            lines.append(f"| `{kind}`{named} | {', '.join(right.verbs)} | {right.why} |")
        lines.append("")
    lines += ["## Not granted", "", "| what | because |", "| --- | --- |"]
    lines += [f"| {what} | {why} |" for what, why in NOT_GRANTED.items()]
    return "\n".join(lines) + "\n"


def roles_reference() -> str:
    """Who may do what, as the tests try it."""
    sys.path.insert(0, str(ROOT))
    from tests.roles import as_markdown

    return as_markdown()


def schema(kind: str) -> str:
    """The JSON Schema of a file of the profiles folder."""
    from hub_ext.cli_profiles import models

    return json.dumps(models()[kind].model_json_schema(), indent=2) + "\n"


def openapi() -> str:
    """The description of the REST API."""
    from hub_ext.web.api.openapi import document

    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def trusted() -> str:
    """What is trusted with this release."""
    from hub_ext.catalog.trusted import generate

    return generate()


FILES: dict[str, Callable[[], str | bytes]] = {
    "hub_ext/catalog/trusted.json": trusted,
    "docs/reference/settings.md": settings_reference,
    "docs/reference/cli.md": cli_reference,
    "docs/reference/rights.md": rights_reference,
    "docs/reference/roles.md": roles_reference,
    "docs/reference/enclave.schema.json": partial(schema, "enclave"),
    "docs/reference/lock.schema.json": partial(schema, "lock"),
    "docs/reference/policy.schema.json": partial(schema, "policy"),
    "docs/reference/profile.schema.json": partial(schema, "profile"),
    "hub_ext/web/openapi.json": openapi,
    "hub_ext/web/static/vendor/icons/icons.woff2": icons.font,
    "monitoring/dashboard.json": dashboard.dashboard,
    "docs/reference/values.md": chart_files.reference,
    "helm/hub-ext/values.yaml": chart_files.values,
    "helm/hub-ext/values.schema.json": chart_files.schema,
    "helm/hub-ext/templates/accounts.yaml": chart_templates.accounts,
    "helm/hub-ext/templates/admission.yaml": chart_templates.admission,
    **{name: partial(file.read_text, "utf-8") for name, file in chart_templates.profiles().items()},
}


def migrations_are_current() -> bool:
    """Whether the migrations make exactly the tables of the code."""
    from hub_ext.db.migrate import differences, upgrade
    from hub_ext.db.session import Database

    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/check.sqlite")
        upgrade(database)
        found = differences(database)
        database.dispose()
    for difference in found:
        print(f"migrations: {difference}", file=sys.stderr)
    return not found


def main() -> int:
    """Write or check; return an exit code."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, make in FILES.items():
        path, made = ROOT / name, make()
        content = made if isinstance(made, bytes) else made.encode()
        if path.is_file() and path.read_bytes() == content:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(f"wrote {name}")
    if check and stale:
        print(f"Not current: {', '.join(stale)}. Run: python scripts/generate.py", file=sys.stderr)
    return 1 if (check and stale) or not migrations_are_current() else 0


if __name__ == "__main__":
    sys.exit(main())
