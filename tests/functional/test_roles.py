"""Every cell of the table of roles, objects and verbs, against the running API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import ServerStart
from hub_ext.db.types import now
from hub_ext.governance.curation import read_profile
from hub_ext.web.api.routes import ROUTES
from tests.functional.conftest import ROLES, Platform, running
from tests.functional.faults import until
from tests.functional.owned import API, owned_profile
from tests.functional.test_api_access import (
    PROFILE,
    ROWS,
    Row,
    World,
    book,
    exception_for_it,
    later,
    profile_file,
    world,
)
from tests.governance.conftest import profile_text
from tests.repository.conftest import Origin
from tests.roles import CELLS, COLUMNS, RIGHTS, Right

__all__ = ["world"]  # a fixture that is used here, too

pytestmark = [pytest.mark.functional]

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
    "POST homes/removal": lambda one: {"json": {"names": ["vera"]}},
}


@pytest.fixture(scope="module")
def town(platform: Platform, world: World) -> World:
    """The world of the table of addresses, with an entitlement and a request for a profile that Olga keeps."""
    people = [name for _, name in COLUMNS.values() if name]
    tokens = world.tokens | {name: platform.token(name) for name in people}
    owned_profile(platform, NAME, "olga", maximum=60, extensions=2)
    state = State(platform, replace(world, tokens=tokens))
    return replace(state.asked(), entitlement=state.entitled().entitlement)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose profiles come from a repository."""
    folder = tmp_path_factory.mktemp("followed")
    origin = Origin(folder / "origin")
    origin.commit({"maps/1.yaml": profile_text()})
    settings = {"HUB_EXT_PROFILES_REPOSITORY": f"file://{origin.path}", "HUB_EXT_ROLES": json.dumps(ROLES)}
    with running(folder / "state", **settings) as found:
        yield found


class State:
    """Makes the state in which what is asked for can be done, anew for each who asks.

    Args:
        platform: Where.
        world: What there is.
    """

    def __init__(self, platform: Platform, world: World) -> None:
        self.platform, self.world = platform, world

    def make(self, who: str, path: str, body: Any, verb: str = "POST") -> Any:
        """Have somebody do something, and return what the API says."""
        answer = self.platform.api(who).request(verb, f"{API}{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def version(self, *, approved: bool = False) -> int:
        """Have Clara propose one more version, and maybe `admin` approve it; return its number."""
        known = self.platform.api("clara").get(f"{API}profiles/{self.world.workflow}/versions").json()["items"]
        number = max(int(one["version"]) for one in known) + 1
        self.make("clara", f"profiles/{self.world.workflow}/versions", profile_file(number)["json"])
        if approved:
            path = f"profiles/{self.world.workflow}/versions/{number}/approvals"
            self.make("admin", path, approval_of(number)["json"])
        return number

    def exception(self) -> World:
        made = self.make("clara", "exceptions", exception_for_it(self.world)["json"])
        return replace(self.world, exception=made["id"])

    def entitled(self) -> World:
        body = {"profile": NAME, "kind": "person", "name": "ada", "until": later(), "reason": "To test."}
        return replace(self.world, entitlement=self.make("clara", "entitlements", body)["id"])

    def asked(self) -> World:
        return replace(self.world, request=self.make("ada", "access-requests", {"profile": NAME, "reason": "x"})["id"])

    def budget(self) -> World:
        self.make("clara", "budgets/person/ada", {"runs": 50}, "PUT")
        return self.world

    def blocked(self) -> World:
        self.make("admin", "people/who-leaves/block", {"reason": "To test."}, "PUT")
        return self.world

    def server(self) -> World:
        """Have Ada's server be in its last hour."""
        self.entitled()
        ada = self.platform.api("ada")
        started = ada.post("/hub/api/users/ada/servers/roles", json={"profile": NAME})
        assert started.status_code in (201, 202), started.text
        until(lambda: ada.get("/hub/api/users/ada").json()["servers"].get("roles", {}).get("ready"))
        (start,) = (one["id"] for one in ada.get(f"{API}servers").json()["items"] if one["name"] == "roles")
        database = Database(f"sqlite:///{self.platform.state / 'hub-ext.sqlite'}")
        with database.write() as session:
            row = session.get_one(ServerStart, start)
            row.ready_at = now() - timedelta(minutes=45)
        database.dispose()
        return replace(self.world, start=start)

    def run(self) -> World:
        """Have Ada run something that lasts."""
        made = {"name": "lasts", "notebook": book("import time; time.sleep(600)"), "profile": "quick-look"}
        self.make("ada", "workflows", made)
        return replace(self.world, run=self.make("ada", "workflows/ada/lasts/runs", {"parameters": {}})["id"])

    def home(self) -> World:
        """Have somebody leave a home whose time is over."""
        vera = self.platform.api("vera")
        assert vera.post("/hub/api/users/vera/server", json={"profile": "quick-look"}).status_code in (201, 202)
        until(lambda: vera.get("/hub/api/users/vera").json()["servers"].get("", {}).get("ready"))
        self.make("admin", "people/vera/block", {"reason": "To test."}, "PUT")
        listed = f"{API}homes"
        until(lambda: [one for one in self.platform.api("aude").get(listed).json()["items"] if one["name"] == "vera"])
        return self.world


def approval_of(number: int) -> dict[str, Any]:
    digest = read_profile(PROFILE.format(number=number)).digest
    return {"json": {"verdict": "approve", "digest": digest}}


# What has to be true for a yes to be one: by operation, what makes it so.
FITTING: dict[str, Callable[[State], World]] = {
    "POST exceptions/{exception_id}/revocation": State.exception,
    "POST entitlements/{entitlement_id}/end": State.entitled,
    "POST access-requests/{request_id}/answer": State.asked,
    "POST access-requests/{request_id}/withdrawal": State.asked,
    "GET budgets/{kind}/{name}": State.budget,
    "DELETE budgets/{kind}/{name}": State.budget,
    "DELETE people/{name}/block": State.blocked,
    "POST servers/{start_id}/keep": State.server,
    "POST runs/{run_id}/cancel": State.run,
    "POST homes/removal": State.home,
}
# Those that are about a version of a profile: whether it has been approved before.
OF_A_VERSION = {"approvals": False, "withdrawal": False, "deprecation": True}


def fitting(state: State, row: Row) -> tuple[World, Row]:
    """Return the world in which a request can be granted, and the request."""
    last = row.template.rpartition("/")[2]
    if "versions/{number}" in row.template and last in OF_A_VERSION:
        number = state.version(approved=OF_A_VERSION[last])
        options = (lambda world: approval_of(number)) if last == "approvals" else row.options
        return state.world, replace(row, number=number, options=options)
    made = FITTING.get(row.operation)
    return (made(state) if made else state.world), row


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
def test_every_cell(platform: Platform, town: World, right: Right, request: pytest.FixtureRequest) -> None:
    row = address(right)
    if right.operation == "POST catalog/sync":  # profiles of the shared platform come from a folder
        platform = request.getfixturevalue("followed")
        town = replace(town, url=platform.url, tokens={name: platform.token(name) for name in town.tokens})
    state = State(platform, town)
    for (column, (_, name)), letter in zip(COLUMNS.items(), right.cells, strict=True):
        if letter == "-":
            continue
        world, asked = fitting(state, row) if letter == "y" else (town, row)
        status = world.ask(asked, whose(right) if name == "" else name).status_code
        found = {401: "s", 403: "n", 404: "h"}.get(status, "y" if status < 400 else str(status))
        assert found == letter, f"{column}: {status}"
