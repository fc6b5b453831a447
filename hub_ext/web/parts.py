"""The parts of the service: made once, kept going, and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

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


def build(settings: HubExt, environ: Mapping[str, str]) -> Context:
    """Make the parts; nothing runs yet, and nothing is asked of anybody.

    Args:
        settings: All settings.
        environ: Holds what the Hub told the service (`JUPYTERHUB_…`).
    """
    prefix = environ.get("JUPYTERHUB_SERVICE_PREFIX") or f"/services/{settings.service_name}/"
    database, store, vault = Database(settings.database), Store.of(settings), Vault(settings.state)
    assets = f"{prefix}static"
    catalog = CatalogStore(settings)
    decisions = DecisionPoint(database, catalog, settings)
    checks = Checks()
    mirror, tokens = Mirror(settings.launches), RunTokens(settings.state)
    runtime = make_runtime(settings, catalog, mirror, tokens)
    entitlements = Entitlements(database, catalog, settings)
    transfer = Transfer(entitlements)
    maintenance = Maintenance(database)
    reconciler = Reconciler(
        database, store, vault, runtime, settings, assets=assets, decisions=decisions, maintenance=maintenance
    )
    sealer, images = Sealer(database), ImageWatch(database, catalog, settings)
    repository = Repository(database, catalog, settings)

    def changed() -> None:
        reconciler.wake()
        sealer.wake()

    executors = None
    if settings.runtime == "kubernetes":
        executors = Executors(database, store, vault, mirror, tokens, settings, assets=assets, notify=reconciler.wake)
    sealed = Sealed(settings.state)
    auth, drafts = make_auth(sealed), Drafts(store)
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
        entitlements=entitlements,
        access_requests=AccessRequests(entitlements, decisions),
        transfer=transfer,
        budgets=decisions.budgets,
        usage=UsageReport(database),
        accounts=Accounts(database, settings),
        people=People(database),
        homes=Homes(database, settings),
        keeper=Keeper(database, transfer, Expiry(decisions, settings), hub),
        lifetimes=Lifetimes(decisions),
        publisher=Publisher(database, store, catalog, settings),
        runs=RunService(database, store, decisions, vault, settings, notify=changed),
        executors=executors,
        live=Live(database, store, runtime, sealer),
        reconciler=reconciler,
        sealer=sealer,
        images=images,
        repository=repository,
        syncing=RepositoryWatch(database, repository, settings) if repository.source is not None else None,
        drafts=drafts,
        sweeping=DraftsSweep(database, drafts),
        maintenance=maintenance,
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
