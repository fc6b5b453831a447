"""Somebody leaves: her sessions, tokens, servers and runs end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from jupyterhub import orm

from hub_ext.db.session import Database
from hub_ext.runs.leaving import take_runs

log = logging.getLogger(__name__)

_BY = "service:hub"
_CANCEL = 10.0  # seconds that a start which is cancelled gets to end


class Leavers:
    """Takes from somebody what she holds.

    Args:
        app: The Hub.
        database: Ours, where runs are.
    """

    def __init__(self, app: Any, database: Database) -> None:
        self._app = app
        self._database = database
        self._stopping: set[asyncio.Task[None]] = set()

    async def take(self, name: str, why: str, *, everything: bool = True, gone: bool = False) -> None:
        """Take sessions and tokens at once, and runs; stop servers without being waited for.

        Args:
            name: Who; the Hub need not know her any more.
            why: What happened to her, in words.
            everything: Also servers, runs and the tokens that she made herself; else what a browser holds alone.
            gone: The provider lets her in no more.

        Raises:
            Unavailable: If our database does not answer.
        """
        orm_user = orm.User.find(self._app.db, name)
        if orm_user is not None:
            user = self._app.users[orm_user]
            self._sessions(orm_user, everything=everything)
            user._auth_refreshed = None  # JupyterHub's own note of when it asked last
            if everything:
                await user.save_auth_state(None)
                self._servers(user, why)
        await asyncio.to_thread(take_runs, self._database, name, why, _BY, everything=everything, gone=gone)
        log.info("%s %s", name, why)

    def _sessions(self, orm_user: Any, *, everything: bool) -> None:
        db = self._app.db
        orm_user.cookie_id = orm.new_token()
        for code in db.query(orm.OAuthCode).filter_by(user_id=orm_user.id):
            db.delete(code)
        for token in db.query(orm.APIToken).filter_by(user_id=orm_user.id):
            if everything or token.session_id:
                db.delete(token)
        db.commit()

    def _servers(self, user: Any, why: str) -> None:
        for server_name, spawner in list(user.spawners.items()):
            if spawner.active:
                task = asyncio.create_task(self._stop(user, server_name, why))
                self._stopping.add(task)
                task.add_done_callback(self._stopping.discard)

    async def _stop(self, user: Any, server_name: str, why: str) -> None:
        spawner = user.spawners[server_name]
        spawner.ended_by = _BY
        try:
            if spawner.pending == "spawn" and spawner._spawn_future is not None:
                spawner._spawn_future.cancel()
                await asyncio.wait([spawner._spawn_future], timeout=_CANCEL)
            if spawner.ready:
                await self._stop_ready(user, server_name)
        except Exception:
            log.exception("A server of %s, who %s, could not be stopped; it is tried again", user.name, why)

    async def _stop_ready(self, user: Any, server_name: str) -> None:
        """Stop a server as JupyterHub does (`BaseHandler.stop_single_user`, which needs a request)."""
        spawner = user.spawners[server_name]
        spawner._stop_pending = True
        try:
            await self._app.proxy.delete_user(user, server_name)
            await user.stop(server_name)
        finally:
            spawner._stop_pending = False
