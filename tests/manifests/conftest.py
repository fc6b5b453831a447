"""A client of a scripted API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub_ext.kubernetes.client import Cluster
from tests.functional.conftest import few_authorities
from tests.manifests.api_server import ApiServer


@pytest.fixture(autouse=True)
def authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each client reads all authorities twice, and needs none here: a twentieth of a second of processor."""
    for name, path in few_authorities().items():
        monkeypatch.setenv(name, path)


@pytest.fixture
async def api() -> AsyncIterator[ApiServer]:
    """An API server that a test may trouble."""
    server = ApiServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def cluster(api: ApiServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Its client."""
    client = await Cluster.connect(api.kubeconfig(tmp_path))
    yield client
    await client.close()
