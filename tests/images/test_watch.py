"""The service verifies by itself: one process, what the lock names, again when it must, and never in anybody's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub_ext.catalog.locks import ImagesLock
from hub_ext.catalog.policy import Enclave
from hub_ext.db.session import Database
from hub_ext.db.tables import ImageVerification
from hub_ext.errors import InvalidInput
from hub_ext.governance.store import CatalogStore
from hub_ext.images.watch import ImageWatch, reach, sources_of, verify_all
from hub_ext.kubernetes.yaml_text import to_yaml
from hub_ext.settings import HubExt
from tests.images.conftest import NAME, PUBLIC, HttpRegistry, Shelf, send

Low = Callable[..., CatalogStore]


def enclave(registry: HttpRegistry, **spec: Any) -> Enclave:
    content = {
        "domain": "open",
        "registries": [registry.host],
        "without_tls": [registry.host],
        "largest": {"cpu": 4, "memory": "8Gi"},
        "signatures": 0,
        "verify": "required",
        "image_keys": {"builds": PUBLIC["builds"]},
    }
    about = {"name": "low", "title": "Low side", "owner": "platform-team"}
    return Enclave.model_validate(
        {"apiVersion": "hub-ext/v1", "kind": "Enclave", "metadata": about, "spec": content | spec}
    )


@pytest.fixture
def low(settings: HubExt, database: Database, registry: HttpRegistry, tmp_path: Path) -> Low:
    """Return the catalog of a platform whose lock names an image."""

    def low(digest: str, **spec: Any) -> CatalogStore:
        folder = tmp_path / "profiles" / "_enclaves"
        folder.mkdir(parents=True, exist_ok=True)
        network = enclave(registry, **spec).model_dump(mode="json", by_alias=True)
        (folder / "low.yaml").write_text(to_yaml([network]))
        lock = ImagesLock.of("low", 1, {NAME: f"{registry.host}/{NAME}@{digest}"})
        (folder / "low.images.lock").write_text(to_yaml([lock.model_dump(mode="json", by_alias=True)]))
        settings.profiles_dir, settings.enclave = str(folder.parent), "low"
        return CatalogStore(settings, database)

    return low


def rows(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(ImageVerification.outcome).order_by(ImageVerification.id)))


async def running(watch: ImageWatch, enough: Callable[[], bool], seconds: float = 20) -> None:
    """Let it work until something is so."""
    task = asyncio.create_task(watch.run())
    deadline = time.monotonic() + seconds
    try:
        while not await asyncio.to_thread(enough):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    finally:
        await watch.stop()
        await task


async def test_what_the_lock_names_is_verified(low: Low, settings: HubExt, database: Database, shelf: Shelf) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    await running(ImageWatch(database, low(digest), settings), lambda: rows(database) == ["verified"])


async def test_nothing_is_asked_where_the_enclave_does_not_want_it(
    low: Low, settings: HubExt, database: Database, shelf: Shelf, registry: HttpRegistry
) -> None:
    watch = ImageWatch(database, low(shelf.image(), verify="off", image_keys={}), settings)
    watch.look()
    assert (registry.asked, rows(database)) == ([], [])


async def test_one_process_asks_and_another_goes_on_when_it_has_ended(
    low: Low, settings: HubExt, database: Database, shelf: Shelf, registry: HttpRegistry
) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    first, second = (ImageWatch(database, low(digest), settings) for _ in range(2))
    first.look()
    asked = len(registry.asked)
    second.look()
    first.look()
    assert len(registry.asked) == asked > 0  # the lease is the first one's, and nothing is due
    await first.stop()
    await first.run()
    second.look()
    assert len(registry.asked) > asked


async def test_a_registry_that_never_ends_does_not_keep_the_service_from_ending(
    low: Low, settings: HubExt, database: Database, shelf: Shelf, registry: HttpRegistry
) -> None:
    def drip(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        try:
            for _ in range(100):
                request.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            pass
        return True

    registry.first = drip
    began = time.monotonic()
    await running(ImageWatch(database, low(shelf.image()), settings), lambda: bool(registry.asked))
    assert time.monotonic() - began < 5


async def test_what_cannot_be_done_now_is_tried_again(
    low: Low, settings: HubExt, database: Database, shelf: Shelf, registry: HttpRegistry, tmp_path: Path
) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    settings.registry_auth_file = str(tmp_path / "auth.json")  # which is not there yet
    watch = ImageWatch(database, low(digest), settings)
    with pytest.raises(InvalidInput, match="registry_auth_file"):
        watch.look()
    (tmp_path / "auth.json").write_text('{"auths": {}}')
    await running(watch, lambda: rows(database) == ["verified"])


def test_a_registry_that_is_away_is_not_waited_for_image_by_image(registry: HttpRegistry) -> None:
    registry.first = lambda request: send(request, 503)
    images = [f"{registry.host}/{NAME}@sha256:{number:064x}" for number in range(20)]
    found = verify_all(images, enclave(registry))
    assert {one.outcome for one in found} == {"unreachable"}
    assert [one.image for one in found] == images
    assert len(registry.asked) == 1


def test_how_a_registry_is_reached_is_what_the_enclave_says(registry: HttpRegistry) -> None:
    network = enclave(registry, registry_hosts=["blobs.low"])
    assert reach(registry.host, network).tls is False
    assert reach("other.low", network).tls is True
    assert reach("other.low", network).others == frozenset({"blobs.low"})


def test_where_else_to_look_is_what_the_settings_say(settings: HubExt, tmp_path: Path) -> None:
    assert sources_of(settings) == (None, None)
    (tmp_path / "auth.json").write_text('{"auths": {}}')
    settings.images_dir, settings.registry_auth_file = str(tmp_path), str(tmp_path / "auth.json")
    folder, credentials = sources_of(settings)
    assert folder == tmp_path
    assert credentials is not None


def test_an_image_that_was_carried_over_is_looked_at_there(
    registry: HttpRegistry, shelf: Shelf, tmp_path: Path
) -> None:
    digest = shelf.image()
    shelf.signed(digest)
    shelf.write(tmp_path / "carried" / "one")
    images = [f"{registry.host}/{NAME}@{digest}", f"{registry.host}/{NAME}@sha256:{'a' * 64}"]
    found = {one.image: one for one in verify_all(images, enclave(registry), folder=tmp_path / "carried")}
    assert (found[images[0]].outcome, found[images[0]].source) == ("verified", "the folder carried")
    assert (found[images[1]].outcome, found[images[1]].source) == ("refused", registry.host)
