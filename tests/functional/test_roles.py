"""Every cell of the table of roles, objects and verbs, against the running API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hub_ext.web.api.routes import ROUTES
from tests.functional.conftest import Platform
from tests.functional.owned import API, owned_profile
from tests.functional.test_api_access import ROWS, Row, World, later, world
from tests.roles import CELLS, COLUMNS, RIGHTS, Right

__all__ = ["world"]  # a fixture that is used here, too

pytestmark = [pytest.mark.functional, pytest.mark.xdist_group("platform")]

NAME = "roles"  # the profile that olga keeps
# Whose an object is, where that is not Ada's: who proposed it.
PROPOSED = ("approvals", "withdrawal", "deprecation")
MADE: dict[str, Callable[[World], dict[str, Any]]] = {
    "POST entitlements": lambda one: {
        "json": {"profile": NAME, "kind": "person", "name": "who-knows", "until": later(), "reason": "To test."}
    },
    "POST entitlements/import": lambda one: {
        "content": f"profile,kind,name,until,reason\n{NAME},person,who-imports,{later()},To test.\n",
        "headers": {"Content-Type": "text/csv"},
    },
    "POST access-requests": lambda one: {"json": {"profile": NAME, "reason": "To test."}},
}


@pytest.fixture(scope="module")
def town(platform: Platform, world: World) -> World:
    """The world of the table of addresses, with an entitlement and a request for a profile that Olga keeps."""
    people = [name for _, name in COLUMNS.values() if name]
    tokens = world.tokens | {name: platform.token(name) for name in people}
    owned_profile(platform, NAME, "olga")
    body = {"profile": NAME, "kind": "person", "name": "ada", "until": later(), "reason": "To test."}
    held = platform.api("clara").post(f"{API}entitlements", json=body)
    assert held.status_code == 201, held.text
    asked = platform.api("ada").post(f"{API}access-requests", json={"profile": NAME, "reason": "To test."})
    assert asked.status_code in (200, 201), asked.text
    budget = platform.api("clara").put(f"{API}budgets/person/ada", json={"runs": 50})
    assert budget.status_code in (200, 201), budget.text
    start = Start(platform)
    return replace(
        world, tokens=tokens, entitlement=held.json()["id"], request=asked.json()["id"], start=start.of("ada")
    )


class Start:
    """Starts of servers."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def of(self, name: str) -> str:
        """Have somebody start a server, and return the id of that start."""
        hub = self._platform.api(name)
        assert hub.post(f"/hub/api/users/{name}/server", json={"profile": "quick-look"}).status_code in (201, 202, 400)
        found = hub.get(f"{API}servers").json()["items"]
        return str(found[0]["id"])


def test_the_table_has_a_row_for_every_operation_and_a_cell_for_every_role() -> None:
    known = [right.operation for right in RIGHTS]
    assert len(set(known)) == len(known)
    assert set(known) == {f"{verb.upper()} {route.template}" for route in ROUTES for verb in route.operations()}
    assert all(len(right.cells) == len(COLUMNS) and set(right.cells) <= set(CELLS) for right in RIGHTS)


def row_of(right: Right) -> Row:
    """Return the row of the table of addresses, with what it sends where that is about Olga's profile."""
    (found,) = (row for row in ROWS if row.operation == right.operation)
    return replace(found, options=MADE.get(right.operation, found.options))


def address(right: Right) -> Row:
    """Return the row with its name of a budget or a profile."""
    row = row_of(right)
    if right.operation == "GET profiles/{name}/access":
        return replace(row, name=NAME)
    return replace(row, name="ada") if right.object in ("budget", "usage") and "{name}" in row.template else row


def whose(right: Right) -> str:
    return "clara" if right.operation.rpartition("/")[2] in PROPOSED and "versions" in right.operation else "ada"


@pytest.mark.parametrize("right", RIGHTS, ids=lambda right: right.operation)
def test_every_cell(town: World, right: Right) -> None:
    row = address(right)
    for (column, (_, name)), letter in zip(COLUMNS.items(), right.cells, strict=True):
        if letter == "-":
            continue
        status = town.ask(row, whose(right) if name == "" else name).status_code
        found = {401: "s", 403: "n", 404: "h"}.get(status, "y" if status < 400 or status == 409 else str(status))
        assert found == letter, f"{column}: {status}"
