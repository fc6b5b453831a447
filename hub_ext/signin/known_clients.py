"""What JupyterHub's OAuth provider asks the Hub's database for, and could know.

It asks twelve times a sign-in for the same client; and with the code that a service shows it loads the person again,
with her roles, groups and shares, whom the Hub has in memory since it gave that code.
"""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from sqlalchemy import inspect

_OF_SERVICES = "service-"  # how the names of services' clients begin; those of servers come and go
_MOST = 100


def know_clients(provider: Any) -> None:
    """Let JupyterHub's provider find the clients of services in memory from now on.

    Args:
        provider: JupyterHub's `oauth_provider`; None where there is none.
    """
    if provider is not None and not isinstance(provider.db, KnownClients):
        provider.db = provider.request_validator.db = KnownClients(provider.db)


class KnownClients:
    """The session of the Hub's database, as its provider uses it; a client that it found is not looked up again.

    An object of a session is what the session knows of its row: what changes there is seen. One that was deleted, or
    may be as something was undone, is looked up anew.

    Args:
        session: The session.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self.known: dict[str, orm.OAuthClient] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def query(self, *what: Any) -> Any:
        """Begin a question, as the session would."""
        if what == (orm.OAuthClient,):
            return _ByName(self)
        asked = self.session.query(*what)
        return _AsKnown(asked) if what == (orm.OAuthCode,) else asked

    def client(self, name: str) -> orm.OAuthClient | None:
        """Return a client; None if there is none.

        Args:
            name: Its identifier.
        """
        client = self.known.get(name)
        if client is not None and client in self.session and not inspect(client).expired:
            return client
        client = self.session.query(orm.OAuthClient).filter_by(identifier=name).one_or_none()
        if client is not None and name.startswith(_OF_SERVICES) and len(self.known) < _MOST:
            self.known[name] = client
        return client


class _ByName:
    """The one question that is asked of clients: by identifier, of which there is one each."""

    def __init__(self, clients: KnownClients) -> None:
        self._clients = clients
        self._name = ""

    def filter_by(self, *, identifier: str) -> _ByName:
        self._name = identifier
        return self

    def first(self) -> orm.OAuthClient | None:
        return self._clients.client(self._name)

    one_or_none = first


class _AsKnown:
    """A question for a code; how to load what belongs to it is passed over: that is taken as the session has it."""

    def __init__(self, asked: Any) -> None:
        self._asked = asked

    def filter(self, *which: Any) -> _AsKnown:
        return _AsKnown(self._asked.filter(*which))

    def filter_by(self, **which: Any) -> _AsKnown:
        return _AsKnown(self._asked.filter_by(**which))

    def options(self, *_: Any) -> _AsKnown:
        return self

    def first(self) -> orm.OAuthCode | None:
        return self._asked.first()
