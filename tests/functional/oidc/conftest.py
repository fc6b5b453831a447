"""A platform whose people sign in by a real provider, shared by the tests of a worker, and a browser beside it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from hub_ext.db.session import Database
from hub_ext.db.tables import Account, Run
from hub_ext.db.types import now
from tests.functional.conftest import Platform
from tests.functional.oidc.people import SignedIn
from tests.functional.oidc.provider import CLIENT, SECRET, OidcProvider

ROLE_GROUPS = {"curator": ["data-curators"], "auditor": ["data-auditors"], "admin": ["platform"]}


class World:
    """The platform and its provider.

    Args:
        folder: Of its own.
        **more: Settings, as variables.

    Attributes:
        platform: The platform.
        provider: Its provider.
        made_by: The class of the platform.
    """

    made_by: type[Platform] = Platform

    def __init__(self, folder: Path, **more: str) -> None:
        self.platform = self.made_by(folder / "state")
        self.provider = OidcProvider(folder / "provider", self.platform.url)
        secret = folder / "client-secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        self.platform.settings = {
            "HUB_EXT_SIGN_IN_ISSUER": self.provider.issuer,
            "HUB_EXT_SIGN_IN_SERVICE": "the test provider",
            "HUB_EXT_SIGN_IN_CLIENT_ID": CLIENT,
            "HUB_EXT_SIGN_IN_CLIENT_SECRET_FILE": str(secret),
            "HUB_EXT_SIGN_IN_SCOPES": json.dumps(["openid", "profile", "offline_access"]),
            "HUB_EXT_SIGN_IN_PARAMETERS": json.dumps({"prompt": "consent"}),
            "HUB_EXT_SIGN_IN_SUBJECT_CLAIM": "employee",
            "HUB_EXT_SIGN_IN_GROUPS": json.dumps(["analysts"]),
            "HUB_EXT_SIGN_IN_REFRESH": "4",
            "HUB_EXT_ROLE_GROUPS": json.dumps(ROLE_GROUPS),
            **more,
        }

    def person(self, sub: str, name: str = "", groups: tuple[str, ...] = ("analysts",), employee: str = "") -> None:
        """Let an account exist at the provider, or change it."""
        self.provider.person(sub, name or sub, groups, employee=employee or f"e-{sub}")

    def sign_in(self, sub: str) -> SignedIn:
        """Sign somebody in, without a browser's window."""
        return SignedIn.by_provider(self.platform, self.provider, sub)

    def give_token(self, sub: str) -> None:
        """Let somebody, known here by her account's name, make the token that the platform's clients of her use."""
        made = self.sign_in(sub).hub("POST", f"users/{sub}/tokens", {"note": "test"})
        assert made.status_code == 201, made.text
        self.platform.know_token(sub, made.json()["token"])

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """Open the platform's database."""
        database = Database(f"sqlite:///{self.platform.state / 'hub-ext.sqlite'}")
        try:
            yield database
        finally:
            database.dispose()

    def state_of(self, run_id: str) -> str:
        """Return the state of a run that nobody may ask about any more."""
        with self.database() as database, database.read() as session:
            return session.get_one(Run, run_id).state

    def tokens_of(self, name: str) -> int:
        """Return how many tokens and sessions somebody holds at the Hub, without asking it."""
        query = "select count(*) from api_tokens join users on users.id = api_tokens.user_id where users.name = ?"
        with contextlib.closing(sqlite3.connect(self.platform.state / "jupyterhub.sqlite", timeout=30)) as hub:
            return int(hub.execute(query, (name,)).fetchone()[0])

    def clients(self) -> list[str]:
        """Return the OAuth clients that the Hub knows."""
        with contextlib.closing(sqlite3.connect(self.platform.state / "jupyterhub.sqlite", timeout=30)) as hub:
            return [str(name) for (name,) in hub.execute("select identifier from oauth_clients")]

    def groups_at(self, name: str) -> datetime | None:
        """Return when the provider confirmed somebody's groups last."""
        with self.database() as database, database.read() as session:
            return session.get_one(Account, name).groups_at

    def groups_are_older(self, name: str, hours: float) -> None:
        """Let the provider's word on somebody's groups be from earlier."""
        with self.database() as database, database.write() as session:
            session.get_one(Account, name).groups_at = now() - timedelta(hours=hours)

    def close(self) -> None:
        """End both."""
        for client in SignedIn.opened:
            client.close()
        self.platform.close()
        self.provider.close()


_World = TypeVar("_World", bound=World)


@contextlib.contextmanager
def started(world: _World) -> Iterator[_World]:
    """Start a platform beside its provider, and end both in any case."""
    try:
        world.platform.start()
        yield world
    finally:
        world.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform and its provider: leave both running, and use accounts of your own."""
    with started(World(tmp_path_factory.mktemp("oidc"))) as found:
        yield found
