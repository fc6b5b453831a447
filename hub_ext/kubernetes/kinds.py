"""The kinds of object that we ask an API server for, and where each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    Attributes:
        api: Path of its API group and version.
        plural: Its name in paths.
        namespaced: Whether it is in a namespace.
    """

    api: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", below: str = "") -> str:
        """Return the path of one object, or of all.

        Args:
            namespace: Where; empty for all namespaces.
            name: Which; empty for all.
            below: A part of the object, such as ``log``.
        """
        parts = [self.api]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *(quote(part, safe="") for part in (name, below) if part)]
        return "/".join(parts)


KINDS: Mapping[str, Kind] = {
    "Event": Kind("/api/v1", "events"),
    "Job": Kind("/apis/batch/v1", "jobs"),
    "LimitRange": Kind("/api/v1", "limitranges"),
    "Namespace": Kind("/api/v1", "namespaces", namespaced=False),
    "NetworkPolicy": Kind("/apis/networking.k8s.io/v1", "networkpolicies"),
    "PersistentVolumeClaim": Kind("/api/v1", "persistentvolumeclaims"),
    "Pod": Kind("/api/v1", "pods"),
    "ResourceQuota": Kind("/api/v1", "resourcequotas"),
    "Secret": Kind("/api/v1", "secrets"),
    "StorageClass": Kind("/apis/storage.k8s.io/v1", "storageclasses", namespaced=False),
}
