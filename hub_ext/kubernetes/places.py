"""Where somebody's servers and runs are, and what they are called there: a namespace of hers, or one for all. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hub_ext.catalog.policy import EnclaveSpec
from hub_ext.kubernetes import objects
from hub_ext.kubernetes.objects import Manifest
from hub_ext.sharing.names import safe_slug


def namespace_name(user: str) -> str:
    """Return the name of a person's namespace: ours by its prefix, never met by another person's."""
    return f"{objects.PREFIX}-{safe_slug(user, 50)}"


def server_name(name: str) -> str:
    """Return the name of the pod of a server in a namespace of one person: one server of a name has one pod.

    Args:
        name: The server's name, empty for the default.
    """
    return f"server-{safe_slug(name, 50)}" if name else "server"


@dataclass(frozen=True)
class Place:
    """A person's place in a cluster.

    Attributes:
        user: Who.
        shared: Name of the namespace of all; empty where each person has one.
    """

    user: str
    shared: str = ""

    @classmethod
    def of(cls, user: str, spec: EnclaveSpec) -> Place:
        """Return somebody's place in an enclave."""
        return cls(user, spec.shared_namespace or "")

    @property
    def namespace(self) -> str:
        """Name of the namespace."""
        return self.shared or namespace_name(self.user)

    @property
    def home(self) -> str:
        """Name of the claim of the home volume."""
        return f"{objects.HOME}-{safe_slug(self.user, 50)}" if self.shared else objects.HOME

    def server(self, name: str) -> str:
        """Return the name of the pod of a server; no slug has a dot, so that two people's never meet.

        Args:
            name: The server's name, empty for the default.
        """
        if not self.shared:
            return server_name(name)
        return f"server-{safe_slug(self.user, 28)}" + (f".{safe_slug(name, 28)}" if name else "")


def shared_namespace(name: str, system: str) -> Manifest:
    """Return the namespace of all, as whoever runs the cluster makes it: with its Pod Security level, and whose it is.

    Args:
        name: Its name.
        system: Namespace of the platform.
    """
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    # The label of people's namespaces: the policies of the cluster look at both alike.
    marks = {
        **objects.marks_of_platform(system),
        **level,
        f"{objects.PREFIX}/namespace": "person",
        f"{objects.PREFIX}/shared": "true",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": marks}}
