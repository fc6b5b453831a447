"""Verifies the images of a lock: now, for whoever asks, and for ever by the one process that holds the lease."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from hub_ext.catalog.locks import ImagesLock
from hub_ext.catalog.policy import Enclave
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.session import Database
from hub_ext.governance.evidence import UNREACHABLE, record
from hub_ext.governance.store import CatalogStore
from hub_ext.images.credentials import Credentials
from hub_ext.images.layout import Layouts
from hub_ext.images.registry import Reach, Registry
from hub_ext.images.source import Named, Source, SourceError
from hub_ext.images.verifying import Verification, verify
from hub_ext.leases import OwnLease
from hub_ext.looking import Looking
from hub_ext.settings import HubExt

LEASE = "images"
ACTOR = "service:images"

_LEASE = 30.0  # seconds
_PAUSE = 2.0  # seconds between two looks at what is to be done
_AGAIN = 60.0  # seconds until an image is looked at again that does not verify, or could not be looked at

log = structlog.get_logger("hub_ext.images.watch")


def verify_all(
    images: Iterable[str], enclave: Enclave, *, folder: Path | None = None, credentials: Credentials | None = None
) -> list[Verification]:
    """Verify images, each where it is: in a folder that was carried over, else in its registry.

    Args:
        images: Registry, name and digest of each.
        enclave: Says whose keys count, and how registries are reached.
        folder: Folder with OCI image layouts, None for none.
        credentials: What registries are asked with.
    """
    keys, away = enclave.spec.verifying_keys(), dict[str, Verification]()
    registries: dict[str, Registry] = {}
    found = []
    with ExitStack() as stack:
        for image in sorted(set(images)):
            host = Named.of(image).host
            try:
                source = _source(Named.of(image), enclave, folder, registries, credentials)
            except SourceError as error:
                found.append(Verification(image, "unreachable", problems=(str(error),)))
                continue
            if isinstance(source, Registry):
                stack.callback(source.close)
                if host in away:  # one that does not answer is not waited for again and again
                    found.append(replace(away[host], image=image))
                    continue
            found.append(verify(image, source, keys))
            if found[-1].outcome == UNREACHABLE and isinstance(source, Registry):
                away[host] = found[-1]
    return found


def _source(
    image: Named,
    enclave: Enclave,
    folder: Path | None,
    registries: dict[str, Registry],
    credentials: Credentials | None,
) -> Source:
    if folder is not None:
        carried = Layouts(folder)
        if carried.holds(image):
            return carried
    if image.host not in registries:
        registries[image.host] = Registry(reach(image.host, enclave), credentials)
    return registries[image.host]


def reach(host: str, enclave: Enclave) -> Reach:
    """Return how a registry is reached.

    Args:
        host: Its host.
        enclave: The network.
    """
    spec = enclave.spec
    return Reach(host, host not in spec.without_tls, frozenset(spec.registry_hosts))


def sources_of(settings: HubExt) -> tuple[Path | None, Credentials | None]:
    """Return the folder of images that were carried over, and what registries are asked with.

    Raises:
        InvalidInput: If the file with their passwords cannot be read.
    """
    folder = Path(settings.images_dir) if settings.images_dir else None
    file = str(settings.registry_auth_file)
    return folder, Credentials.read(Path(file)) if file else None


def verify_catalog(database: Database, catalog: Catalog, settings: HubExt, by: str) -> list[Verification]:
    """Verify the images of a catalog and keep what was found.

    Args:
        database: Where it is kept.
        catalog: Has the lock and the enclave.
        settings: Say where else to look.
        by: Who asks.

    Raises:
        InvalidInput: If the file with the passwords of registries cannot be read.
        Unavailable: If the database does not answer.
    """
    folder, credentials = sources_of(settings)
    found = verify_all(catalog.images.values(), catalog.enclave, folder=folder, credentials=credentials)
    with database.write() as session:
        new = record(session, found, by)
    if new:
        log.info("images were verified", images=len(found), new=new)
    return found


class ImageWatch(Looking):
    """Verifies by itself: at once when lock or keys change, again and again afterwards.

    Args:
        database: Where what was found is kept.
        catalog: The catalog of this process.
        settings: Say how often.
    """

    job = "verifying images"

    def __init__(self, database: Database, catalog: CatalogStore, settings: HubExt) -> None:
        super().__init__(OwnLease(database, LEASE, _LEASE), _PAUSE, patient=False)
        self._database = database
        self._catalog = catalog
        self._settings = settings
        self._seen: tuple[ImagesLock | None, Enclave] | None = None
        self._next = 0.0

    def look(self) -> None:
        """Verify what is due, if the lease is ours."""
        catalog = self._catalog.current()
        if catalog.enclave.spec.verify == "off" or not catalog.images or not self.lease.hold():
            return
        seen = (catalog.lock, catalog.enclave)
        if seen == self._seen and time.monotonic() < self._next:
            return
        found = verify_catalog(self._database, catalog, self._settings, ACTOR)
        usual = float(self._settings.verify_images_every) * 60
        well = all(one.outcome == "verified" for one in found)
        self._seen, self._next = seen, time.monotonic() + (usual if well else min(_AGAIN, usual))
