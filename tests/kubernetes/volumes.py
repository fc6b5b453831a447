"""Volumes that are small enough to be filled: memory of the node, each a disk of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.node import Node
from tests.filling import Disk

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

_OWNER = "uid=1000,gid=1000,mode=2770"  # as the volumes of a cloud are made for the group of a pod


class SmallVolumes:
    """Volumes of the class of the others, on this machine's cluster; each waits for one claim.

    Args:
        cluster: The cluster.
        name: What nobody else's are called.
    """

    def __init__(self, cluster: UsedCluster, name: str) -> None:
        assert cluster.local is not None
        self._cluster = cluster
        self._node = Node(cluster.local.layout)
        self._folder = Path("/mnt") / name
        self._volumes: list[str] = []
        self._name = name

    def make(self, namespace: str, claim: str, megabytes: int) -> Disk:
        """Make the volume that a claim will have; return it as this machine sees it.

        Args:
            namespace: Of the claim.
            claim: Its name.
            megabytes: All the space that there is.
        """
        name = f"{self._name}-{len(self._volumes)}"
        where = self._folder / name
        self._run("mkdir", "-p", str(where))
        self._run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{_OWNER}", name, str(where))
        self._volumes.append(name)
        spec = {
            "capacity": {"storage": "10Gi"},  # what is asked for; what there is says the disk
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": self._cluster.storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": str(where), "type": "Directory"},
        }
        self._cluster.kubectl.apply(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
        )
        first = self._node.first
        assert first is not None
        return Disk(Path(f"/proc/{first.pid}/root") / where.relative_to("/"))

    def _run(self, *command: str) -> None:
        subprocess.run(self._node.command(command), check=True, timeout=30)

    def close(self) -> None:
        """Remove all of them; their claims have to be gone."""
        kubectl = self._cluster.kubectl
        if self._volumes:
            kubectl("delete", "persistentvolume", *self._volumes, "--ignore-not-found", "--wait=false")
        for name in self._volumes:
            self._run("umount", "--lazy", str(self._folder / name))
        self._run("rm", "-rf", str(self._folder))
