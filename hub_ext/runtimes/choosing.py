"""Which runtime there is, as the settings say."""

from __future__ import annotations

from hub_ext.governance.store import CatalogStore
from hub_ext.runs.mirror import Mirror
from hub_ext.runs.tokens import RunTokens
from hub_ext.runtimes.base import Runtime
from hub_ext.runtimes.local import LocalRuntime
from hub_ext.settings import HubExt


def make_runtime(settings: HubExt, catalog: CatalogStore, mirror: Mirror, tokens: RunTokens) -> Runtime:
    """Return the runtime; nothing is started or asked for yet.

    Args:
        settings: Say which.
        catalog: The profiles and the enclave.
        mirror: Where executors in pods report.
        tokens: The tokens of runs.
    """
    if settings.runtime != "kubernetes":
        return LocalRuntime(settings.launches, settings.state / "cache")
    from hub_ext.runtimes.kubernetes import KubernetesRuntime  # it needs libraries that one machine does not

    return KubernetesRuntime(settings, catalog, mirror, tokens)
