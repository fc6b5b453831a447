"""A real cluster for the tests: the one of `make cluster`, or any that KUBECONFIG names.

With KUBECONFIG, `HUB_EXT_TEST_IMAGE` is the notebook image by digest, `HUB_EXT_TEST_HOST` the address that pods reach
this machine by, and `kubectl` is on the PATH. docs/kubernetes.md says more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import enclave
from tests.cluster.cluster import NOTEBOOK, Cluster
from tests.cluster.environment import read
from tests.cluster.kubectl import Kubectl
from tests.cluster.layout import PROJECT, Layout
from tests.kubernetes.platforms import PROFILES, ClusterPlatform

COUNTED = ("namespaces", "pods", "jobs", "persistentvolumeclaims", "persistentvolumes", "secrets")


@dataclass(frozen=True)
class UsedCluster:
    """The cluster that the tests use.

    Attributes:
        kubeconfig: The administrator's kubeconfig.
        kubectl: `kubectl(*arguments)` returns what it printed; `.json`, `.items`, `.apply`.
        image: The notebook image: registry, name and digest.
        host: The address that pods reach this machine by.
        storage_class: The class of home folders; None for the cluster's default.
        local: The cluster of this machine, whose parts a test may stop and start; None for somebody else's.
    """

    kubeconfig: Path
    kubectl: Kubectl
    image: str
    host: str
    storage_class: str | None
    local: Cluster | None

    def objects(self) -> Counter[str]:
        """Return what is there, as `kind namespace/name`."""
        found: Counter[str] = Counter()
        for item in self.kubectl.items(",".join(COUNTED)):
            meta = item["metadata"]
            found[f"{item['kind']} {meta.get('namespace', '')}/{meta['name']}"] += 1
        return found

    def catalog(self, folder: Path, images: Mapping[str, str] | None = None, **changes: Any) -> Path:
        """Make a folder of profiles: those that ship, an enclave `cluster`, and a signed lock of its image.

        Args:
            folder: Where; it must not exist. The key that signs the lock is put beside it.
            images: More images of the lock: name → registry, name and digest.
            changes: What the enclave's spec has beside what is needed, or otherwise.
        """
        shutil.copytree(PROJECT / "profiles", folder)
        spec = {"storage_class": self.storage_class} if self.storage_class else {}
        enclave.write(folder, folder.with_name("images.key"), {NOTEBOOK: self.image, **(images or {})}, spec | changes)
        return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[UsedCluster]:
    """The cluster, brought up by `make test-kubernetes` before the tests; this machine's own enforces policies."""
    found = used_cluster()
    with found.local.enforcing() if found.local is not None else contextlib.nullcontext():
        yield found


def used_cluster() -> UsedCluster:
    """Return the cluster that the environment names."""
    environ: dict[str, str] = dict(os.environ)
    layout = Layout.chosen()
    if "KUBECONFIG" not in environ:
        if not layout.environment.exists():
            pytest.fail("There is no cluster: make cluster, or set KUBECONFIG.")
        environ |= read(layout.environment)
    missing = [name for name in ("HUB_EXT_TEST_IMAGE", "HUB_EXT_TEST_HOST") if not environ.get(name)]
    if missing:
        pytest.fail(f"With KUBECONFIG, set {' and '.join(missing)} as well: see docs/kubernetes.md.")
    kubeconfig = Path(environ["KUBECONFIG"])
    ours = Layout(Path(environ.get("HUB_EXT_CLUSTER", layout.folder)).resolve())
    local = Cluster(ours) if kubeconfig.resolve() == ours.kubeconfig else None
    program = ours.folder / "bin" / "kubectl" if local else Path(shutil.which("kubectl") or "kubectl")
    kubectl = Kubectl(program, kubeconfig)
    return UsedCluster(
        kubeconfig,
        kubectl,
        image=environ["HUB_EXT_TEST_IMAGE"],
        host=environ["HUB_EXT_TEST_HOST"],
        storage_class=environ.get("HUB_EXT_TEST_STORAGE_CLASS") or None,
        local=local,
    )


@pytest.fixture
def leaks(cluster: UsedCluster) -> Callable[..., None]:
    """`leaks()` fails unless all that appeared since the test began is gone again within 15 s.

    Other tests may use the same cluster meanwhile: `leaks(namespace)` counts those with that text in them alone.
    """
    before = cluster.objects()

    def check(mine: str = "", seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while left := sorted(one for one in cluster.objects() - before if mine in one):
            assert time.monotonic() < deadline, f"left after {seconds:.0f} s: {left}"
            time.sleep(0.3)

    return check


@pytest.fixture(scope="session")
def platform(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlatform]:
    """A platform that all tests on the cluster share: leave it running, and use people of your own."""
    made = ClusterPlatform(tmp_path_factory.mktemp("platform"), cluster)
    try:
        made.start()
        made.approve(*PROFILES)
        yield made
    finally:
        made.close()
