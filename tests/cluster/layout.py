"""Where everything of a cluster lies, and which addresses it has. Pure but for reading what was chosen before.

A cluster is one folder. Inside the node's own namespaces that folder is `/run/hub-ext` (short, since the path of a
socket may have 107 bytes) and its `var` is the node's `/var`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.cluster.addresses import Addresses

PROJECT = Path(__file__).resolve().parents[2]
NODE = "hub-ext"  # the node's name
INSIDE = Path("/run/hub-ext")  # the cluster's folder as the node sees it
DOMAIN = "cluster.local"


def cache() -> Path:
    """Return the folder of what is built once and used by every cluster of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hub-ext"


@dataclass(frozen=True)
class Layout:
    """A cluster's folder and what is in it.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @classmethod
    def chosen(cls) -> Layout:
        """Return the cluster of this project, or of the folder that HUB_EXT_CLUSTER names."""
        return cls(Path(os.environ.get("HUB_EXT_CLUSTER") or PROJECT / ".cluster").resolve())

    @property
    def id(self) -> str:
        """Eight characters that no other folder has: they name what is seen outside of the folder."""
        return hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]

    @property
    def cgroup(self) -> str:
        """Name of the control group that all pods are in, below the root of each controller."""
        return f"hub-ext-{self.id}"

    @property
    def link(self) -> str:
        """Name of this machine's end of the wire to the node."""
        return f"hx{self.id}"

    @cached_property
    def addresses(self) -> Addresses:
        """The cluster's addresses, chosen when it was first made."""
        return Addresses.load(self.folder / "addresses.json")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def keys(self) -> Path:
        """Folder of keys and certificates."""
        return self.folder / "keys"

    @property
    def config(self) -> Path:
        """Folder of the parts' configuration files."""
        return self.folder / "config"

    @property
    def catalog(self) -> Path:
        """Folder of profiles with the cluster's enclave, and its `images.lock`, which names the image by digest."""
        return self.folder / "catalog"

    @property
    def environment(self) -> Path:
        """File for a shell to read: what tests need to know of the cluster."""
        return self.folder / "environment"

    def log(self, part: str) -> Path:
        """Return the file that a part's output goes to."""
        return self.folder / "logs" / f"{part}.log"

    def record(self, part: str) -> Path:
        """Return the file that holds a part's process id and start time."""
        return self.folder / "run" / f"{part}.json"

    def inside(self, path: Path) -> Path:
        """Return a path of the cluster's folder as the node sees it."""
        return INSIDE / path.relative_to(self.folder)
