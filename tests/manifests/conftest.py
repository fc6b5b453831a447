"""A client of a scripted API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub_ext.kubernetes.client import Cluster
from tests.manifests.api_server import ApiServer


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
