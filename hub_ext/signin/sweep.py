"""Who may still hold a session, a token or a server: looked at again and again, and taken from whoever may not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from jupyterhub import orm, roles
from jupyterhub.app import JupyterHub
from sqlalchemy import or_
from tornado.ioloop import PeriodicCallback

from hub_ext.errors import HubExtError
from hub_ext.homes.folders import Folders
from hub_ext.homes.keeper import HomeKeeper
from hub_ext.homes.places import Places
from hub_ext.homes.records import Homes
from hub_ext.leases import OwnLease
from hub_ext.longlived import keep_what_is_there
from hub_ext.settings import HubExt
from hub_ext.signin.accounts import OTHERS_ASKED, Accounts
from hub_ext.signin.leaving import Leavers
from hub_ext.signin.others import Others, can_be_asked
from hub_ext.spawner.ledger import Ledger

log = logging.getLogger(__name__)

Refresh = Callable[[Any, Any], Awaitable[dict[str, Any] | bool]]

_EVERY = 10.0  # seconds between two looks
_LEASE = 60.0
_AFTER_THE_START = 3.0  # seconds; before, it has other things to do
_AGAIN = 30.0  # seconds until it is tried again to take what somebody holds
_AT_ONCE = 8  # people that the provider is asked about at the same time
_BLOCKED, _GONE = "is blocked", "the sign-in provider does not know this account any more, or lets it in no more"
_DELETED, _SIGNED_OUT = "was deleted at the Hub", "signed out at the sign-in provider"


class Sweeper:
    """Looks after everybody who holds something. One Hub at a time does, by lease.

    Args:
        app: The Hub.
        accounts: Who is blocked, and since when groups are known.
        settings: How often the provider is asked.
        refresh: Asks the provider about somebody (`Authenticator.refresh_user`); None where there is none of ours.
        others: Asks the authenticator of somebody else's; None where that is not there, or says nothing.
        homes: Looks after what is left of those who left.
    """

    def __init__(
        self,
        app: Any,
        accounts: Accounts,
        settings: HubExt,
        refresh: Refresh | None = None,
        others: Others | None = None,
        homes: HomeKeeper | None = None,
    ) -> None:
        self._app = app
        self.accounts = accounts
        self._settings = settings
        self._refresh = refresh
        self._others = others
        # Tells the service's pages that people who do nothing are asked about.
        self._asks = OwnLease(accounts.database, OTHERS_ASKED, _LEASE)
        self._round: asyncio.Task[None] | None = None
        self._leavers = Leavers(app, accounts.database)
        self._homes = homes
        self._lease = OwnLease(accounts.database, "people", _LEASE)
        self._running = False
        self._taken: dict[str, float] = {}
        self._asking = asyncio.Semaphore(_AT_ONCE)
        every = min(_EVERY, float(settings.sign_in_refresh) / 2)
        self._callback = PeriodicCallback(self.look_safely, every * 1000)

    @classmethod
    def of(cls, app: Any, refresh: Refresh | None = None, others: Others | None = None) -> Sweeper:
        """Return one that looks from now on.

        Args:
            app: The Hub.
            refresh: Asks the provider about somebody.
            others: Asks the authenticator of somebody else's.
        """
        settings = HubExt(config=app.config)
        ledger = Ledger.shared(settings)
        homes = HomeKeeper(app, Homes(ledger.database, settings), _places(settings, ledger))
        made = cls(app, Accounts(ledger.database, settings), settings, refresh, others, homes)
        made._callback.start()
        return made

    async def look_safely(self) -> None:
        """Look once, unless the last look goes on; an error is logged, and the look repeated."""
        if self._running:
            return
        self._running = True
        try:
            await self.look()
        except HubExtError as error:
            log.warning("Nobody could be looked after: %s", error.detail)
        except Exception:
            log.exception("A look at who holds what failed; it is repeated")
        finally:
            self._running = False

    async def look(self) -> None:
        """Look once."""
        if not await asyncio.to_thread(self._lease.hold):
            return
        holders = self._holders()
        due = await asyncio.to_thread(self.accounts.due, holders, float(self._settings.sign_in_refresh))
        for name in due.running:
            if orm.User.find(self._app.db, name) is None:
                await self._take(name, _DELETED)
        for name in due.blocked.union(self._blocked_by_configuration()) & (holders | due.running):
            await self._take(name, _BLOCKED)
        if self._homes is not None:
            self._homes.look_soon()
        old = due.old if self._refresh is not None else []
        if self._others is not None:
            await asyncio.to_thread(self._asks.hold)
            old = self._others.due(holders)
        if old and (self._round is None or self._round.done()):  # one that does not answer keeps nobody from the above
            self._round = asyncio.create_task(self._ask_about(old))

    async def _take(self, name: str, why: str) -> None:
        """Take what somebody holds, unless that is under way: a server needs its time to stop."""
        at = time.monotonic()
        if at - self._taken.get(name, -_AGAIN) >= _AGAIN:
            self._taken = {one: when for one, when in self._taken.items() if at - when < _AGAIN} | {name: at}
            await self._leavers.take(name, why, gone=why == _GONE)

    def _holders(self) -> set[str]:
        """Return who holds a token (a session of a service is one), or a server."""
        db = self._app.db
        good = or_(orm.APIToken.expires_at.is_(None), orm.APIToken.expires_at > orm.utcnow(with_tz=False))
        tokens = db.query(orm.User.name).join(orm.APIToken, orm.APIToken.user_id == orm.User.id).filter(good)
        servers = db.query(orm.User.name).join(orm.Spawner, orm.Spawner.user_id == orm.User.id)
        return {name for (name,) in tokens} | {name for (name,) in servers.filter(orm.Spawner.server_id.is_not(None))}

    def _blocked_by_configuration(self) -> Collection[str]:
        return frozenset(self._app.authenticator.blocked_users)

    async def _ask_about(self, names: Collection[str]) -> None:
        """Ask about some people, and do what follows."""
        for name, error in zip(
            names, await asyncio.gather(*map(self._ask, names), return_exceptions=True), strict=True
        ):
            if isinstance(error, HubExtError):
                log.warning("Nothing could be done about %s: %s", name, error.detail)
            elif isinstance(error, Exception):
                log.error("A question about %s failed; it is repeated", name, exc_info=error)

    async def _ask(self, name: str) -> None:
        """Ask the provider about one person, and do what follows."""
        async with self._asking:
            orm_user = orm.User.find(self._app.db, name)
            if orm_user is None:
                return
            user = self._app.users[orm_user]
            found = await self._said_of(user)
            if found is False:
                await self._take(name, _GONE)
            elif isinstance(found, dict):
                self._apply(user, found)

    async def _said_of(self, user: Any) -> dict[str, Any] | bool:
        if self._others is not None:
            return await self._others.ask(user)
        return self._refresh is None or await self._refresh(user, None)

    def _apply(self, user: Any, found: dict[str, Any]) -> None:
        """Do what JupyterHub does with an answer when it asks itself (`BaseHandler.auth_to_user`)."""
        if found.get("admin") is not None and found["admin"] != user.admin:
            user.admin = found["admin"]
            self._app.db.commit()
            roles.assign_default_roles(self._app.db, entity=user)
        authenticator, groups, given = self._app.authenticator, found.get("groups"), found.get("roles")
        if authenticator.manage_groups and groups is not None and {one.name for one in user.groups} != set(groups):
            user.sync_groups(groups)
        if authenticator.manage_roles and given is not None:
            user.sync_roles(given)

    async def signed_out(self, name: str) -> None:
        """Take from somebody what a sign-out at the provider takes; servers are stopped meanwhile.

        Args:
            name: Who.
        """
        await self._leavers.take(name, _SIGNED_OUT, everything=self._settings.sign_in_logout_ends == "everything")


def _places(settings: HubExt, ledger: Ledger) -> Places:
    """Return where homes are."""
    if settings.runtime == "kubernetes":
        from hub_ext.homes.volumes import Volumes  # needs the client of Kubernetes, which the embedded default has not

        return Volumes(
            settings,
            lambda: ledger.catalog.enclave.spec.system_namespace,
            lambda: ledger.catalog.enclave.spec.shared_namespace or "",
        )
    return Folders(settings.state / "homes")


def look_after_people(authenticator: Any) -> None:
    """Look from now on in a Hub whose authenticator is somebody else's: who is blocked or deleted has to leave, too.

    Args:
        authenticator: The Hub's; ours have a sweeper.
    """
    if hasattr(authenticator, "sweeper") or not JupyterHub.initialized():
        return
    app = JupyterHub.instance()
    settings = HubExt(config=app.config)
    others = None
    if can_be_asked(authenticator):
        others = Others(authenticator, float(settings.sign_in_refresh), float(settings.groups_age_hours) * 3600)
    authenticator.sweeper = Sweeper.of(app, others=others)


def begin_with_hub() -> None:
    """Look after people as soon as the Hub is up that reads its configuration now, also if nobody comes.

    What it has loaded by then stays.
    """
    with contextlib.suppress(RuntimeError):  # nothing runs: no Hub reads it
        _begin(asyncio.get_running_loop())


def _begin(loop: asyncio.AbstractEventLoop) -> None:
    if not JupyterHub.initialized():
        return
    app = JupyterHub.instance()
    if getattr(app, "tornado_application", None) is None:
        loop.call_later(1.0, _begin, loop)
    else:
        look_after_people(app.authenticator)
        loop.call_later(_AFTER_THE_START, keep_what_is_there)
