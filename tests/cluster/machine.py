"""What a machine must be to run a cluster."""

from __future__ import annotations

import os
import shutil
import sys

from scripts.system_packages import KUBERNETES
from tests.cluster.errors import Refused


def check() -> None:
    """Do nothing where a cluster can be had, once the packages are there that `require_packages` names.

    Raises:
        Refused: It cannot: the text says why, and what to do.
    """
    if sys.platform != "linux":
        raise Refused(
            "A cluster needs Linux: it runs a kubelet with containers. Elsewhere, set KUBECONFIG to a cluster that you "
            "have, and `make test-kubernetes` uses that."
        )
    if os.geteuid() != 0:
        raise Refused(
            "A cluster needs root: it makes namespaces, mounts and control groups. Run `make cluster` as root, or set "
            "KUBECONFIG to a cluster that you have."
        )


def require_packages() -> None:
    """Do nothing where Debian's packages are there.

    Raises:
        Refused: Some are not.
    """
    missing = sorted(package for command, package in KUBERNETES.items() if shutil.which(command) is None)
    if missing:
        raise Refused(f"Missing: {' '.join(missing)} (Debian: apt-get install {' '.join(missing)}).")
