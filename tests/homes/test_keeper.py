"""The Hub's look: who has left and who is back, and that a home goes only when all of it is true at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy import select

from hub_ext.db.tables import AuditRow, LeftHome, ServerStart
from hub_ext.db.types import now
from hub_ext.homes.folders import Folders
from hub_ext.homes.keeper import HomeKeeper
from hub_ext.homes.places import Found, Hindered
from hub_ext.homes.records import Homes, Left
from hub_ext.people import Person
from hub_ext.signin.people import People
from tests.homes.conftest import held

ADAM = Person("adam", roles=frozenset({"admin"}))


class Hub:
    """The Hub's own database, and its servers.

    Attributes:
        active: Who has an active server.
    """

    def __init__(self) -> None:
        self.db = orm.new_session_factory("sqlite://")()
        self.authenticator = SimpleNamespace(blocked_users=set[str]())
        self.active: set[str] = set()

    @property
    def users(self) -> _Users:
        return _Users(self)

    def know(self, *names: str) -> None:
        for name in names:
            self.db.add(orm.User(name=name))
        self.db.commit()

    def forget(self, name: str) -> None:
        self.db.delete(orm.User.find(self.db, name))
        self.db.commit()


class _Users:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __getitem__(self, user: Any) -> Any:
        return SimpleNamespace(spawners={"": SimpleNamespace(active=user.name in self._hub.active)})


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    made.know("lea", "bob")
    yield made
    made.db.close()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "homes").mkdir()
    return Folders(tmp_path / "homes")


class Look:
    """Looks, each time at everybody."""

    def __init__(self, hub: Hub, homes: Homes, folders: Folders) -> None:
        self.hub, self.homes, self.folders = hub, homes, folders
        self.keeper = HomeKeeper(hub, homes, folders)

    async def __call__(self) -> dict[str, str]:
        self.keeper._looked_at = None
        await self.keeper.look()
        with self.homes.database.read() as session:
            return {row.name: row.state for row in session.scalars(select(LeftHome))}


@pytest.fixture
def look(hub: Hub, homes: Homes, folders: Folders) -> Look:
    for name in ("lea", "bob"):
        had_a_server(homes, name)
        folders.path(name).mkdir()
        (folders.path(name) / "notes").write_text(name)
    return Look(hub, homes, folders)


def had_a_server(homes: Homes, name: str, outcome: str = "stopped") -> None:
    with homes.database.write() as session:
        session.add(ServerStart(user=name, profile="x", profile_version=1, outcome=outcome))


def acts(homes: Homes) -> list[str]:
    with homes.database.read() as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action.startswith("home.")).order_by(AuditRow.id))
        return [f"{row.action} {row.object_id} {row.outcome}" for row in rows]


async def test_whoever_is_here_is_left_alone(look: Look) -> None:
    assert await look() == {}


@pytest.mark.parametrize("how", ["deleted", "blocked", "named in the configuration"])
async def test_the_home_of_whoever_left_is_noted_and_nothing_goes_by_itself(look: Look, how: str) -> None:
    if how == "deleted":
        look.hub.forget("lea")
    elif how == "blocked":
        People(look.homes.database).block(ADAM, "lea", "Left.")
    else:
        look.hub.authenticator.blocked_users = {"lea"}
    for _ in range(2):
        assert await look() == {"lea": "kept"}
    (found,) = look.homes.listing(ADAM)
    assert (found.row.place, found.removable) == ("the folder homes/lea", True)
    assert look.folders.path("lea").exists()


async def test_what_an_admin_confirmed_is_removed_and_nobody_else_s(look: Look) -> None:
    look.hub.forget("lea")
    await look()
    look.homes.confirm(ADAM, ["lea"])
    assert await look() == {"lea": "removed"}
    assert held(look.folders.path("bob").parent) == ["bob"]
    assert acts(look.homes) == ["home.confirm lea allowed", "home.remove lea allowed"]
    assert await look() == {"lea": "removed"}


@pytest.mark.parametrize("confirmed", [False, True])
async def test_whoever_came_back_in_between_has_her_home(look: Look, confirmed: bool) -> None:
    look.hub.forget("lea")
    await look()
    if confirmed:
        look.homes.confirm(ADAM, ["lea"])
    look.hub.know("lea")
    assert await look() == {}
    assert (look.folders.path("lea") / "notes").read_text() == "lea"


async def test_a_home_that_is_gone_already_is_said_to_be(look: Look) -> None:
    look.hub.forget("lea")
    await look()
    look.homes.confirm(ADAM, ["lea"])
    (look.folders.path("lea") / "notes").unlink()
    look.folders.path("lea").rmdir()
    assert await look() == {"lea": "removed"}
    assert look.homes.listing(ADAM)[0].row.hindrance == "It was not there any more."


async def test_a_server_that_has_not_ended_keeps_it_and_it_goes_afterwards(look: Look) -> None:
    People(look.homes.database).block(ADAM, "lea", "Left.")
    await look()
    look.homes.confirm(ADAM, ["lea"])
    look.hub.active = {"lea"}
    assert await look() == {"lea": "confirmed"}
    assert look.homes.listing(ADAM)[0].row.hindrance == "A server of hers has not ended yet."
    assert look.folders.path("lea").exists()
    look.hub.active = set()
    assert await look() == {"lea": "removed"}


async def test_a_server_that_our_database_knows_of_keeps_it(look: Look) -> None:
    look.hub.forget("lea")
    await look()
    look.homes.confirm(ADAM, ["lea"])
    had_a_server(look.homes, "lea", "ready")
    assert await look() == {"lea": "confirmed"}


@pytest.mark.parametrize("killed", ["before it was taken", "after it was taken", "while it was deleted"])
async def test_a_hub_that_is_killed_in_the_middle_leaves_what_the_next_one_ends(look: Look, killed: str) -> None:
    look.hub.forget("lea")
    await look()
    look.homes.confirm(ADAM, ["lea"])
    found = await look.folders.find("lea")
    assert found is not None
    assert look.homes.begin("lea", found.identity)
    if killed != "before it was taken":
        await look.folders.take("lea", found, lambda: None)
    if killed == "while it was deleted":
        look.homes.removed("lea")
    look.hub.know("lea")  # and she is back at that moment
    new = look.folders.path("lea")
    if killed != "before it was taken":
        new.mkdir()
        (new / "new").touch()
    after = Look(look.hub, look.homes, look.folders)
    assert await after() == ({} if killed == "before it was taken" else {"lea": "removed"})
    assert held(new) == (["notes"] if killed == "before it was taken" else ["new"])
    assert held(new.parent) == ["bob", "lea"]


async def test_a_home_that_she_made_after_the_last_one_was_removed_is_noted_anew(look: Look) -> None:
    look.hub.forget("lea")
    await look()
    look.homes.confirm(ADAM, ["lea"])
    await look()
    look.hub.know("lea")
    await look()
    look.folders.path("lea").mkdir()
    had_a_server(look.homes, "lea")
    look.hub.forget("lea")
    assert await look() == {"lea": "kept"}


async def test_one_that_cannot_be_taken_holds_up_nobody_else_s(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lea", "bob"):
        look.hub.forget(name)
    await look()
    look.homes.confirm(ADAM, ["lea", "bob"])
    take = look.folders.take

    async def hindered(name: str, found: Found, still: Callable[[], None]) -> None:
        if name == "bob":
            raise Hindered("It could not be taken: Device or resource busy.")
        await take(name, found, still)

    monkeypatch.setattr(look.folders, "take", hindered)
    assert await look() == {"bob": "confirmed", "lea": "removed"}
    assert acts(look.homes)[-2:] == ["home.remove bob failed", "home.remove lea allowed"]


async def test_a_note_of_long_ago_of_somebody_whose_starts_are_forgotten_is_kept(look: Look) -> None:
    look.homes.note("zoe", Left(now() - timedelta(days=400), "was deleted"), Found("the folder homes/zoe"))
    assert await look() == {"zoe": "kept"}
