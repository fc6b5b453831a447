"""Tokens of servers and services in the Hub's database, found and kept at the cost that a random one needs.

A server's token is also the secret of its OAuth client. JupyterHub hashes it once as a token, since it is random, and
16,384 times as that secret: a tenth of what it does for a start. Of a service it does so at each sign-in; and where the
token is given to it, as a chart does, at each question of the service.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jupyterhub import orm
from jupyterhub.utils import compare_token, hash_token
from sqlalchemy import bindparam, select

_RANDOM = re.compile(r"[0-9a-f]{32,}")  # as JupyterHub (122 bits) and our chart (256) make them
_DIGITS = 8  # different ones, of 16: what has less was typed
_OF_SERVERS = "jupyterhub-user-"  # how the names of servers' clients begin
_TOKENS: Any = select(orm.APIToken.id, orm.APIToken.hashed).where(
    orm.APIToken.prefix == bindparam("prefix"), orm.APIToken.user_id == bindparam("user")
)  # made once, since each start asks it


def number_of(db: Any, user: Any, token: str) -> int | None:
    """Return the number of a person's token; None if there is no such token.

    Args:
        db: The session of the Hub's database.
        user: The person, as that has her.
        token: The token.
    """
    found = db.execute(_TOKENS, {"prefix": token[: orm.APIToken.prefix_length], "user": user.id})
    return next((int(number) for number, hashed in found if compare_token(hashed, token)), None)


def hash_once(app: Any) -> None:
    """Keep the random secrets of all services as JupyterHub keeps those that it makes.

    Args:
        app: The Hub, which has its services.
    """
    for service in app._service_map.values():
        secret = service.api_token
        if not _is_random(secret):
            continue
        token, client = orm.APIToken.find(app.db, secret), service.orm.oauth_client
        if token is not None:
            token.hashed = _hashed(secret)
        if client is not None:
            client.secret = _hashed(secret)
    app.db.commit()


def _is_random(secret: str) -> bool:
    return _RANDOM.fullmatch(secret or "") is not None and len(set(secret)) >= _DIGITS


def _hashed(secret: str) -> str:
    return str(hash_token(secret, rounds=orm.APIToken.generated_rounds))


class Clients:
    """Adds OAuth clients in place of a provider of JupyterHub's, whose `add_client` it becomes.

    Args:
        provider: The provider; None where there is none.
    """

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._theirs: Any = getattr(provider, "add_client", None)

    def take_over(self) -> None:
        """From now on, add all clients."""
        if self._provider is not None and not isinstance(self._theirs, Clients):
            self._provider.add_client = self

    def __call__(
        self,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        allowed_scopes: Sequence[str] | None = None,
        description: str = "",
    ) -> Any:
        """Add a client, or change the one that is there; of a server, whoever calls commits, as JupyterHub does.

        Args:
            client_id: Its name.
            client_secret: A random token for a server, else anything.
            redirect_uri: Where people are sent back to.
            allowed_scopes: What it may ask for.
            description: For people.
        """
        if not client_id.startswith(_OF_SERVERS) or not _is_random(client_secret):
            return self._theirs(client_id, client_secret, redirect_uri, allowed_scopes, description)
        db = self._provider.db
        client = db.query(orm.OAuthClient).filter_by(identifier=client_id).one_or_none()
        if client is None:
            client = orm.OAuthClient(identifier=client_id)
            db.add(client)
        client.secret = _hashed(client_secret)
        client.redirect_uri, client.description = redirect_uri, description or client_id
        client.allowed_scopes = list(allowed_scopes or ())
        return client
