"""How the API server is reached: configuration, connections, and the proxy that the environment names."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from hub_ext.errors import Unavailable

_LONGEST_LINE = 2**21  # bytes; an object of a cluster is never larger
_KEPT = 60.0  # seconds that a connection stays open for the next request; API servers close it after 90


async def configuration_of(kubeconfig: str) -> Configuration:
    """Return where the API server is, and who we are.

    Args:
        kubeconfig: A file; empty in a pod, which has its own account.

    Raises:
        Unavailable: If that cannot be read.
    """
    configuration = Configuration()
    try:
        if kubeconfig:
            await load_kube_config(config_file=kubeconfig, client_configuration=configuration, persist_config=False)
        else:
            load_incluster_config(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise Unavailable(
            f"Where the cluster is cannot be read: {error}", hint="An admin has to look at HubExt.kubeconfig."
        ) from None
    return configuration


def connections_to(configuration: Configuration, most: int | None = None) -> RESTClientObject:
    """Return what makes requests; it looks at the environment for a proxy now, and never again.

    kubernetes_asyncio has aiohttp look there, and for ~/.netrc, at each request, both in a thread: that takes longer
    than the request itself, and the API server wants no account of ~/.netrc.

    Args:
        configuration: Where the API server is, and who we are.
        most: How many connections at once; 0 for any number, None for the library's limit.
    """
    rest = RESTClientObject(configuration, maxsize=most)
    connector: Any = rest.pool_manager.connector
    connector._keepalive_timeout = _KEPT  # the library has no way to say so
    rest.pool_manager.detach()
    rest.pool_manager = aiohttp.ClientSession(connector=connector, read_bufsize=_LONGEST_LINE)
    if not rest.proxy:
        rest.proxy = proxy_of(configuration.host) or ""
    return rest


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for an address; None for none.

    Args:
        url: The address.
    """
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
