"""Where the command line does the catalog's acts: at a platform by its REST API, or in a state folder directly."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import click

from hub_ext.client import Client, Login
from hub_ext.errors import InvalidInput, NotFound
from hub_ext.people import ROLES, Person
from hub_ext.settings import HubExt

_SYNC = 150.0  # seconds: a repository may be slow
_ADMIN = "admin"  # of the embedded default: has every role


class CatalogDesk(Protocol):
    """What both of them do; see `hub_ext.governance.desk.Desk`."""

    def versions(self) -> list[dict[str, Any]]:
        """Return every version."""

    def version(self, name: str, number: int | None = None) -> dict[str, Any]:
        """Return one version, by default the newest."""

    def propose(self, text: str, message: str) -> tuple[dict[str, Any], bool]:
        """Propose a version; say whether it is new."""

    def judge(self, name: str, number: int, verdict: str, digest: str, comment: str) -> dict[str, Any]:
        """Approve or refuse a version."""

    def withdraw(self, name: str, number: int) -> dict[str, Any]:
        """Take a proposal back."""

    def deprecate(self, name: str, number: int, removal: str, successor: str) -> dict[str, Any]:
        """Deprecate a version."""

    def exceptions(self, *, ended: bool) -> list[dict[str, Any]]:
        """Return the exceptions."""

    def grant(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Grant an exception."""

    def revoke(self, exception_id: str, reason: str) -> dict[str, Any]:
        """End an exception."""

    def explain_to(self, user: str, profile: str | None, groups: tuple[str, ...]) -> list[dict[str, Any]]:
        """Explain what a person may start."""

    def sync(self, rewritten: str = "") -> dict[str, Any]:
        """Ask the repository of profiles for its newest commit; return how the catalog is."""


class RemoteDesk:
    """The catalog's acts at a platform.

    Args:
        client: Its API, with somebody's token.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def versions(self) -> list[dict[str, Any]]:
        """Return every version."""
        return list(self._client.pages("profile-versions", limit=100))

    def version(self, name: str, number: int | None = None) -> dict[str, Any]:
        """Return one version, by default the newest."""
        return dict(self._client.call("GET", _path(name, number if number is not None else "newest")))

    def propose(self, text: str, message: str) -> tuple[dict[str, Any], bool]:
        """Propose a version; say whether it is new."""
        from hub_ext.governance.curation import read_profile

        name = read_profile(text).name  # what is wrong with a file is told before anything is sent
        found = self._client.call(
            "POST", f"profiles/{quote(name)}/versions", json={"content": text, "message": message}
        )
        return dict(found), bool(found.get("created", True))

    def judge(self, name: str, number: int, verdict: str, digest: str, comment: str) -> dict[str, Any]:
        """Approve or refuse a version."""
        body = {"verdict": verdict, "digest": digest, "comment": comment}
        return dict(self._client.call("POST", f"{_path(name, number)}/approvals", json=body))

    def withdraw(self, name: str, number: int) -> dict[str, Any]:
        """Take a proposal back."""
        return dict(self._client.call("POST", f"{_path(name, number)}/withdrawal", json={}))

    def deprecate(self, name: str, number: int, removal: str, successor: str) -> dict[str, Any]:
        """Deprecate a version."""
        body = {"removal": removal, "successor": successor or None}
        return dict(self._client.call("POST", f"{_path(name, number)}/deprecation", json=body))

    def exceptions(self, *, ended: bool) -> list[dict[str, Any]]:
        """Return the exceptions."""
        return list(self._client.pages("exceptions", limit=100, ended="true" if ended else None))

    def grant(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Grant an exception."""
        return dict(self._client.call("POST", "exceptions", json=dict(wish)))

    def revoke(self, exception_id: str, reason: str) -> dict[str, Any]:
        """End an exception."""
        path = f"exceptions/{quote(exception_id, safe='')}/revocation"
        return dict(self._client.call("POST", path, json={"reason": reason}))

    def explain_to(self, user: str, profile: str | None, groups: tuple[str, ...]) -> list[dict[str, Any]]:
        """Explain what a person may start; the platform asks the Hub for her groups.

        Raises:
            InvalidInput: If groups are named.
        """
        if groups:
            raise InvalidInput.of("group", "the platform knows her groups; name groups only with --state")
        query = {key: value for key, value in (("user", user), ("profile", profile)) if value is not None}
        return list(self._client.call("GET", "explanations", params=query)["items"])

    def sync(self, rewritten: str = "") -> dict[str, Any]:
        """Ask the repository of profiles for its newest commit; return how the catalog is."""
        return dict(self._client.call("POST", "catalog/sync", json={"rewritten": rewritten}, timeout=_SYNC))


def _path(name: str, number: int | str) -> str:
    return f"profiles/{quote(name, safe='')}/versions/{number}"


class _LocalDesk:
    """The catalog's acts in a state folder of this machine."""

    def __init__(self, settings: HubExt, person: Person) -> None:
        from hub_ext.db.session import Database
        from hub_ext.decisions import CatalogStore
        from hub_ext.governance.desk import Desk

        database = Database(settings.database)
        click.get_current_context().call_on_close(database.dispose)
        self._desk = Desk(database, CatalogStore(settings, database), settings, person)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)

    def explain_to(self, user: str, profile: str | None, groups: tuple[str, ...]) -> list[dict[str, Any]]:
        """Explain what a person in these groups may start."""
        return self._desk.explain(user, groups, profile)


def local_settings(state: Path | None) -> HubExt:
    """Return the settings of a platform that `hub-ext up` runs on a state folder.

    Args:
        state: The state folder; None for the settings of the environment alone.
    """
    usual = {"HUB_EXT_APPROVALS_REQUIRED": "1"}
    own = {} if state is None else {"HUB_EXT_STATE_DIR": str(state)}
    return HubExt.from_environment({**usual, **os.environ, **own})


def profiles_folder(folder: Path | None) -> Path:
    """Return a folder of profile files to work on.

    Args:
        folder: One that was named; None for the one in force.

    Raises:
        InvalidInput: If none was named, and profiles come from a repository.
    """
    settings = local_settings(None)
    if folder is None and settings.profiles_repository:
        raise InvalidInput.of("folder", "profiles come from a repository here; name the folder of your own clone of it")
    return folder or settings.profiles


def open_desk(state: Path | None, name: str | None) -> CatalogDesk:
    """Return where the acts are done.

    Args:
        state: A state folder, to work in it directly; None for the platform that one is signed in to.
        name: Who acts, in a state folder; by default who is at the terminal.

    Raises:
        NotFound: If there is no database in the state folder.
        NotSignedIn: If nobody is signed in to a platform.
        InvalidInput: If a name is given without a state folder.
    """
    if state is None:
        if name is not None:
            raise InvalidInput.of("as", "goes with --state; a platform knows who you are by your token")
        return RemoteDesk(Client(Login.find()))
    settings = local_settings(state)
    if not settings.database_url and not (settings.state / "hub-ext.sqlite").is_file():
        raise NotFound("There is no database in this state folder.", hint="`hub-ext up` makes it.")
    who = name or getpass.getuser()
    roles = frozenset(ROLES if who == _ADMIN else settings.roles.get(who, ()))
    desk: CatalogDesk = _LocalDesk(settings, Person(who, roles=roles))
    return desk
