"""The parts of the service: made once, kept going, and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from hub_ext.access.budgets import Budgets
from hub_ext.access.entitlements import Entitlements
from hub_ext.access.expiry import Expiry
from hub_ext.access.keeper import Keeper
from hub_ext.access.lifetimes import Lifetimes
from hub_ext.access.requests import AccessRequests
from hub_ext.access.transfer import Transfer
from hub_ext.access.usage import UsageReport
from hub_ext.db.session import Database
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.governance.checking import BackgroundChecks
from hub_ext.governance.checks import Checks
from hub_ext.governance.overview import Overview
from hub_ext.homes.records import Homes
from hub_ext.images.watch import ImageWatch
from hub_ext.looking import Looking
from hub_ext.maintenance import Maintenance
from hub_ext.repository.syncing import Repository, RepositoryWatch
from hub_ext.runs.executors import Executors
from hub_ext.runs.live import Live
from hub_ext.runs.mirror import Mirror
from hub_ext.runs.reconcile import Reconciler
from hub_ext.runs.service import RunService
from hub_ext.runs.tokens import RunTokens
from hub_ext.runs.vault import Vault
from hub_ext.runtimes.choosing import make_runtime
from hub_ext.sealer import Sealer
from hub_ext.settings import HubExt
from hub_ext.sharing.drafts import Drafts, DraftsSweep
from hub_ext.sharing.publishing import Publisher
from hub_ext.sharing.shipped import publish_shipped
from hub_ext.signin.accounts import Accounts
from hub_ext.signin.people import People
from hub_ext.store import Store
from hub_ext.web.context import Context
from hub_ext.web.hub import HubClient, make_auth
from hub_ext.web.pages.ahead import Ahead
from hub_ext.web.sealed import Sealed
from hub_ext.web.traffic import Requests, Streams

log = structlog.get_logger("hub_ext.web.parts")


class _Running(NamedTuple):
    """The parts that runs go through; `Context` tells what each is."""

    runs: RunService
    executors: Executors | None
    live: Live
    reconciler: Reconciler
    sealer: Sealer
    maintenance: Maintenance


def _running(settings: HubExt, store: Store, decisions: DecisionPoint, assets: str) -> _Running:
    """Make the parts that runs go through."""
    database, vault = decisions.database, Vault(settings.state)
    mirror, tokens = Mirror(settings.launches), RunTokens(settings.state)
    runtime = make_runtime(settings, decisions.catalog, mirror, tokens)
    maintenance, sealer = Maintenance(database), Sealer(database)
    reconciler = Reconciler(
        database, store, vault, runtime, settings, assets=assets, decisions=decisions, maintenance=maintenance
    )

    def changed() -> None:
        reconciler.wake()
        sealer.wake()

    executors = None
    if settings.runtime == "kubernetes":
        executors = Executors(database, store, vault, mirror, tokens, settings, assets=assets, notify=reconciler.wake)
    runs = RunService(database, store, decisions, vault, settings, notify=changed)
    return _Running(runs, executors, Live(database, store, runtime, sealer), reconciler, sealer, maintenance)


class _Access(NamedTuple):
    """The parts that say who may what, and for how long; `Context` tells what each is."""

    entitlements: Entitlements
    access_requests: AccessRequests
    transfer: Transfer
    budgets: Budgets
    usage: UsageReport
    keeper: Keeper
    lifetimes: Lifetimes


def _access(settings: HubExt, decisions: DecisionPoint, hub: HubClient) -> _Access:
    """Make the parts that say who may what, and for how long."""
    database = decisions.database
    entitlements = Entitlements(database, decisions.catalog, settings)
    transfer = Transfer(entitlements)
    return _Access(
        entitlements,
        AccessRequests(entitlements, decisions),
        transfer,
        decisions.budgets,
        UsageReport(database),
        Keeper(database, transfer, Expiry(decisions, settings), hub),
        Lifetimes(decisions),
    )


def build(settings: HubExt, environ: Mapping[str, str]) -> Context:
    """Make the parts; nothing runs yet, and nothing is asked of anybody.

    Args:
        settings: All settings.
        environ: Holds what the Hub told the service (`JUPYTERHUB_…`).
    """
    prefix = environ.get("JUPYTERHUB_SERVICE_PREFIX") or f"/services/{settings.service_name}/"
    database, store, catalog, checks = Database(settings.database), Store.of(settings), CatalogStore(settings), Checks()
    decisions = DecisionPoint(database, catalog, settings)
    repository, drafts, sealed = Repository(database, catalog, settings), Drafts(store), Sealed(settings.state)
    auth = make_auth(sealed)
    hub = HubClient(auth)
    return Context(
        settings=settings,
        prefix=prefix,
        database=database,
        store=store,
        catalog=catalog,
        decisions=decisions,
        checks=checks,
        checking=BackgroundChecks(Overview(database, catalog, settings, checks)),
        **_access(settings, decisions, hub)._asdict(),
        accounts=Accounts(database, settings),
        people=People(database),
        homes=Homes(database, settings),
        publisher=Publisher(database, store, catalog, settings),
        **_running(settings, store, decisions, f"{prefix}static")._asdict(),
        images=ImageWatch(database, catalog, settings),
        repository=repository,
        syncing=RepositoryWatch(database, repository, settings) if repository.source is not None else None,
        drafts=drafts,
        sweeping=DraftsSweep(database, drafts),
        sealed=sealed,
        auth=auth,
        hub=hub,
        ahead=Ahead(),
        streams=Streams(),
        requests=Requests(),
    )


async def run(context: Context, stop: asyncio.Event) -> None:
    """Keep the parts going until told to stop, or until one of them cannot go on.

    Args:
        context: The parts.
        stop: Set when the service is to end.

    Raises:
        Exception: What ended a part that must not end; the process ends with it and is started again.
    """
    waiting = asyncio.create_task(stop.wait())
    parts: list[Reconciler | Looking] = [
        context.reconciler,
        context.sealer,
        context.keeper,
        context.images,
        context.sweeping,
    ]
    parts += [context.syncing] if context.syncing is not None else []
    working = {asyncio.create_task(part.run()) for part in parts}
    shipping = asyncio.create_task(_publish_shipped(context))
    context.checking.wake()
    try:
        done, _ = await asyncio.wait({waiting, *working}, return_when=asyncio.FIRST_COMPLETED)
        for task in done & working:
            task.result()
    finally:
        waiting.cancel()
        context.checking.stop()
        await asyncio.gather(*(part.stop() for part in parts))
        await asyncio.gather(shipping, *working, return_exceptions=True)


async def _publish_shipped(context: Context) -> None:
    if context.settings.notebooks.is_dir() and await asyncio.to_thread(context.maintenance.look) is None:
        published = await asyncio.to_thread(publish_shipped, context.publisher, context.settings.notebooks)
        log.info("the workflows that ship are published", count=len(published))
