"""`hub-ext access …`: who may use which profile until when: asked for, granted, refused, shortened, listed."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
from rich.text import Text

from hub_ext.cli_profiles import json_option, out, show_json, show_list, show_table
from hub_ext.errors import InvalidInput

if TYPE_CHECKING:
    from hub_ext.client import Client

_DAYS = re.compile(r"([1-9][0-9]{0,3})d")
_until = click.option("--until", help="A date, a time with its zone, or a number of days such as 30d.")
_KINDS = click.Choice(["person", "group"])


@contextlib.contextmanager
def platform() -> Iterator[Client]:
    """Open the platform that one is signed in to.

    Raises:
        NotSignedIn: If there is none.
    """
    from hub_ext.client import Client, Login

    with Client(Login.find()) as client:
        yield client


def time_of(text: str | None) -> str | None:
    """Return an end as the API takes it.

    Args:
        text: A date or time, which the API reads; or days from now, such as ``30d``.
    """
    match = _DAYS.fullmatch(text or "")
    if not match:
        return text
    return (datetime.now(UTC) + timedelta(days=int(match[1]))).isoformat(timespec="seconds")


def given(**values: Any) -> dict[str, Any]:
    """Return what was given of some values."""
    return {name: value for name, value in values.items() if value is not None}


def short(time: str | None) -> str:
    """Return a time of the API to the minute; a dash for none."""
    return time[:16].replace("T", " ") if time else "–"


@click.group()
def access() -> None:
    """Who may use which profile, until when, and why."""


@access.command(name="list")
@click.option("--profile", help="Of this profile alone.")
@click.option("--kind", type=_KINDS)
@click.option("--name", help="Of this person or group alone.")
@click.option("--ended", is_flag=True, help="Those that are over.")
@click.option("--mine", is_flag=True, help="Only your own.")
@json_option
def list_(profile: str | None, kind: str | None, name: str | None, ended: bool, mine: bool, as_json: bool) -> None:
    """List entitlements that you may see, the next to end first."""
    wanted = given(profile=profile, kind=kind, name=name, ended=ended or None, mine=mine or None)
    with platform() as client:
        found = list(client.pages("entitlements", limit=100, **wanted))
    columns = ("id", "profile", "for", "until", "granted by", "why")
    show_list(found, columns, _entitlement_row, "There are no entitlements.", as_json=as_json)


def _entitlement_row(one: dict[str, Any]) -> tuple[str, ...]:
    return one["id"], one["profile"], _whom(one), short(one["until"]), one["granted_by"], one["reason"]


def _whom(one: dict[str, Any]) -> str:
    return f"group {one['name']}" if one["kind"] == "group" else str(one["name"])


@access.command()
@click.argument("profile")
@click.option("--reason", required=True, help="Why you need it.")
@_until
@json_option
def request(profile: str, reason: str, until: str | None, as_json: bool) -> None:
    """Ask for access to PROFILE."""
    with platform() as client:
        found = client.call("POST", "access-requests", json=given(profile=profile, reason=reason, until=time_of(until)))
    _tell_request(found, as_json=as_json)


def _tell_request(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    by = f" by {found['answered_by']}" if found["answered_by"] else ""
    words = f": {found['answer']}" if found["answer"] else ""
    out.print(Text(f"{found['user']}'s request for {found['profile']} is {found['state']}{by}{words} ({found['id']})."))


@access.command()
@click.option("--state", type=click.Choice(["waiting", "granted", "refused", "withdrawn"]))
@click.option("--profile")
@click.option("--user", help="Of this person alone.")
@click.option("--mine", is_flag=True, help="Only your own.")
@click.option("--answerable", is_flag=True, help="Only those that you may answer.")
@json_option
def requests(
    state: str | None, profile: str | None, user: str | None, mine: bool, answerable: bool, as_json: bool
) -> None:
    """List requests for access that you may see."""
    wanted = given(state=state, profile=profile, user=user, mine=mine or None, answerable=answerable or None)
    with platform() as client:
        found = list(client.pages("access-requests", limit=100, **wanted))
    columns = ("id", "who", "profile", "state", "asked", "until", "why")
    show_list(found, columns, _request_row, "There are no requests.", as_json=as_json)


def _request_row(one: dict[str, Any]) -> tuple[str, ...]:
    times = short(one["asked_at"]), short(one["wanted_until"])
    return one["id"], one["user"], one["profile"], one["state"], *times, one["reason"]


@access.command()
@click.argument("what", metavar="REQUEST|PROFILE")
@click.option("--person", help="Whom, where it is a profile.")
@click.option("--group", help="Whose members, where it is a profile.")
@click.option("--reason", help="Why, where it is a profile.")
@click.option("--words", default="", help="For the one who asked, where it is a request.")
@click.option("--until", required=True, help="A date, a time with its zone, or a number of days such as 30d.")
@json_option
def grant(
    what: str, person: str | None, group: str | None, reason: str | None, words: str, until: str, as_json: bool
) -> None:
    """Grant a request (its id begins with q-), or let a person or a group use PROFILE."""
    with platform() as client:
        if what.startswith("q-"):
            _refuse_beside_a_request(person, group, reason)
            body = {"verdict": "grant", "until": time_of(until), "words": words}
            _tell_request(
                client.call("POST", f"access-requests/{quote(what, safe='')}/answer", json=body), as_json=as_json
            )
            return
        if (person is None) == (group is None):
            raise InvalidInput.of("person", "name either --person or --group")
        kind, name = ("person", person) if person is not None else ("group", group)
        body = {"profile": what, "kind": kind, "name": name, "until": time_of(until), "reason": reason or ""}
        found = client.call("POST", "entitlements", json=body)
    if as_json:
        show_json(found)
    else:
        out.print(Text(f"{_whom(found)} may use {found['profile']} until {short(found['until'])} UTC ({found['id']})."))


def _refuse_beside_a_request(person: str | None, group: str | None, reason: str | None) -> None:
    for name, value in (("person", person), ("group", group), ("reason", reason)):
        if value is not None:
            raise InvalidInput.of(name, "goes with a profile; a request says itself who asks, and why")


@access.command()
@click.argument("request_id", metavar="REQUEST")
@click.option("--words", required=True, help="Why, for the one who asked.")
@json_option
def refuse(request_id: str, words: str, as_json: bool) -> None:
    """Refuse a request."""
    with platform() as client:
        body = {"verdict": "refuse", "words": words}
        found = client.call("POST", f"access-requests/{quote(request_id, safe='')}/answer", json=body)
    _tell_request(found, as_json=as_json)


@access.command()
@click.argument("request_id", metavar="REQUEST")
@json_option
def withdraw(request_id: str, as_json: bool) -> None:
    """Take your own request back."""
    with platform() as client:
        found = client.call("POST", f"access-requests/{quote(request_id, safe='')}/withdrawal", json={})
    _tell_request(found, as_json=as_json)


def _end(entitlement: str, reason: str, until: str | None, *, as_json: bool) -> None:
    with platform() as client:
        body = given(reason=reason, until=until)
        found = client.call("POST", f"entitlements/{quote(entitlement, safe='')}/end", json=body)
    if as_json:
        show_json(found)
    else:
        out.print(Text(f"{_whom(found)} may use {found['profile']} until {short(found['until'])} UTC."))


@access.command()
@click.argument("entitlement")
@click.option("--until", required=True, help="Its new end: a date, a time with its zone, or days such as 30d.")
@click.option("--reason", required=True, help="Why.")
@json_option
def shorten(entitlement: str, until: str, reason: str, as_json: bool) -> None:
    """Let an entitlement end earlier. None is ever lengthened."""
    _end(entitlement, reason, time_of(until), as_json=as_json)


@access.command()
@click.argument("entitlement")
@click.option("--reason", required=True, help="Why.")
@json_option
def end(entitlement: str, reason: str, as_json: bool) -> None:
    """End an entitlement now."""
    _end(entitlement, reason, None, as_json=as_json)


@access.command()
@click.argument("profile")
@json_option
def who(profile: str, as_json: bool) -> None:
    """Say who may use PROFILE, and why."""
    path = f"profiles/{quote(profile, safe='')}/access"
    with platform() as client:
        found = client.call("GET", path, params={"limit": 100})
        page = found
        while page["next"]:
            page = client.call("GET", path, params={"limit": 100, "cursor": page["next"]})
            found["items"] += page["items"]
    if as_json:
        show_json({name: value for name, value in found.items() if name != "next"})
        return
    out.print(Text(f"{found['title']} ({found['profile']}), kept by {found['owner']}"))
    rows = [(f"group {one['name']}", "no end", "the profile names the group") for one in found["groups"]]
    rows += [
        (_whom(one), short(one["until"]), f"granted by {one['granted_by']}: {one['reason']}") for one in found["items"]
    ]
    show_table(("who", "until", "why"), rows, "Nobody may use it.")


@access.command()
@click.argument("user", required=False)
@json_option
def what(user: str | None, as_json: bool) -> None:
    """Say what USER may use, and why; without a name, what you may use, with your budgets."""
    with platform() as client:
        if user is not None:
            found = client.call("GET", "explanations", params={"user": user})["items"]
        else:
            found = client.call("GET", "access")
    if as_json:
        show_json(found)
    elif user is not None:
        rows = [(one["profile"], "yes" if one["allowed"] else "no", one["sentence"]) for one in found]
        show_table(("profile", "may start it", "why"), rows, "There are no profiles.")
    else:
        _tell_own(found)


def _tell_own(found: dict[str, Any]) -> None:
    rows = []
    for one in found["profiles"]:
        by = f"group {', '.join(one['groups'])}" if one["groups"] else "entitlement" if one["usable"] else one["reason"]
        rows.append((one["name"], "yes" if one["usable"] else "no", short(one["until"]), by))
    show_table(("profile", "usable", "until", "why"), rows, "There are no profiles.")
    from hub_ext.cli_budgets import tell_standings

    tell_standings(found["budgets"])


@access.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def import_(file: Path, as_json: bool) -> None:
    """Import entitlements from a CSV FILE (profile, kind, name, until, reason): all of it, or nothing."""
    with platform() as client, file.open("rb") as stream:
        found = client.call("POST", "entitlements/import", content=stream, headers={"Content-Type": "text/csv"})
    if as_json:
        show_json(found)
    else:
        out.print(Text(f"{found['rows']} rows: {found['added']} new, {found['unchanged']} there already."))


@access.command()
@click.option("--profile", help="Of this profile alone.")
@click.option("--ended", is_flag=True, help="Those that are over.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File; by default the terminal.")
def export(profile: str | None, ended: bool, output: Path | None) -> None:
    """Export the entitlements that you may see as CSV."""
    from urllib.parse import urlencode

    query = urlencode(given(profile=profile, ended="true" if ended else None))
    save_file(f"entitlements.csv{'?' if query else ''}{query}", output)


def save_file(path: str, output: Path | None) -> None:
    """Write a file of the API to a file, or to the terminal."""
    import tempfile

    with platform() as client:
        if output is not None:
            client.download(path, output)
            return
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "file"
            client.download(path, target)
            sys.stdout.buffer.write(target.read_bytes())
            sys.stdout.buffer.flush()
