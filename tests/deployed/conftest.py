"""What tests of a proxy share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from jupyterhub.httpclient import JupyterHubHTTPClient


@pytest.fixture
async def connections_end() -> AsyncIterator[None]:
    """JupyterHub keeps its connections for all of a process: a later test would get them, with a loop that ended."""
    yield
    await JupyterHubHTTPClient.loop_instance().close()
