"""What every handler needs, made once by the process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub_ext.access.budgets import Budgets
from hub_ext.access.entitlements import Entitlements
from hub_ext.access.keeper import Keeper
from hub_ext.access.lifetimes import Lifetimes
from hub_ext.access.requests import AccessRequests
from hub_ext.access.transfer import Transfer
from hub_ext.access.usage import UsageReport
from hub_ext.db.session import Database
from hub_ext.decisions import CatalogStore, DecisionPoint
from hub_ext.governance.checking import BackgroundChecks
from hub_ext.governance.checks import Checks
from hub_ext.governance.desk import Desk
from hub_ext.homes.records import Homes
from hub_ext.maintenance import Maintenance
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.sharing.drafts import Drafts, DraftsSweep
from hub_ext.signin.accounts import Accounts
from hub_ext.signin.people import People
from hub_ext.store import Store
from hub_ext.web.hub import HubClient, ServiceAuth
from hub_ext.web.pages.ahead import Ahead
from hub_ext.web.sealed import Sealed
from hub_ext.web.traffic import Requests, Streams

if TYPE_CHECKING:
    from hub_ext.images.watch import ImageWatch
    from hub_ext.repository.syncing import Repository, RepositoryWatch
    from hub_ext.runs.executors import Executors
    from hub_ext.runs.live import Live
    from hub_ext.runs.reconcile import Reconciler
    from hub_ext.runs.service import RunService
    from hub_ext.sealer import Sealer
    from hub_ext.sharing.publishing import Publisher


@dataclass(frozen=True)
class Context:
    """The parts of the service.

    Attributes:
        settings: All settings.
        prefix: Path of the service, with a slash at both ends (``/services/workflows/``).
        database: The database.
        store: The result store.
        catalog: The profiles.
        decisions: The decision point.
        entitlements: Grants, shortens and lists entitlements.
        access_requests: Takes and answers requests for access.
        transfer: Entitlements as files.
        budgets: Manages budgets.
        usage: Who used what.
        accounts: Whose a name is, and who is blocked.
        people: What admins do with people.
        homes: The homes of people who left.
        keeper: Keeps what is counted true.
        lifetimes: Says when servers end, and puts an end off.
        checks: What is known of checks of versions.
        checking: Works out the rest while nobody waits.
        publisher: Publishes notebooks.
        runs: Orders, cancels and shows runs.
        executors: Serves executors in pods; None where runs are processes of this machine.
        live: What open pages hear of.
        reconciler: Makes the states of runs true.
        sealer: Seals the record of acts, and wakes who waits for changes.
        images: Verifies the images of the enclave.
        repository: Where profiles come from, if that is a repository.
        syncing: Asks it again and again; None where profiles come from a folder.
        drafts: Notebooks between upload and publishing.
        sweeping: Deletes those that are over.
        maintenance: Whether anything may be changed.
        sealed: Seals what browsers carry.
        auth: The Hub's sign-in.
        hub: The Hub's API.
        ahead: What is looked up for the page that a browser is sent to.
        streams: The event streams that are open.
        requests: The requests that are being answered.
    """

    settings: HubExt
    prefix: str
    database: Database
    store: Store
    catalog: CatalogStore
    decisions: DecisionPoint
    entitlements: Entitlements
    access_requests: AccessRequests
    transfer: Transfer
    budgets: Budgets
    usage: UsageReport
    accounts: Accounts
    people: People
    homes: Homes
    keeper: Keeper
    lifetimes: Lifetimes
    checks: Checks
    checking: BackgroundChecks
    publisher: Publisher
    runs: RunService
    executors: Executors | None
    live: Live
    reconciler: Reconciler
    sealer: Sealer
    images: ImageWatch
    repository: Repository
    syncing: RepositoryWatch | None
    drafts: Drafts
    sweeping: DraftsSweep
    maintenance: Maintenance
    sealed: Sealed
    auth: ServiceAuth
    hub: HubClient
    ahead: Ahead
    streams: Streams
    requests: Requests

    def desk(self, person: Person) -> Desk:
        """Return what a person may do in the catalog.

        Args:
            person: Who acts.
        """
        return Desk(self.database, self.catalog, self.settings, person, self.checks, self.decisions, self.repository)
