"""What the pods of a platform use: processor and memory, from the files of their control groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cgroups
from tests.kubernetes.conftest import UsedCluster

PART = "app.kubernetes.io/component"  # label that names the part of a platform that a pod is of


@dataclass(frozen=True)
class Pod:
    """A pod of this machine.

    Attributes:
        name: Its name.
        part: Of the platform.
        groups: Its control groups: one for cgroup v2, one for each controller of v1.
    """

    name: str
    part: str
    groups: tuple[Path, ...]

    def used(self) -> float:
        """Return the seconds of processor that it has used since it began."""
        for group in self.groups:
            if (group / "cpuacct.usage").exists():
                return int((group / "cpuacct.usage").read_text()) / 1e9
            if (group / "cpu.stat").exists() and "usage_usec" in (found := _fields(group / "cpu.stat")):
                return found["usage_usec"] / 1e6
        message = f"no control group of {self.name} counts its processor"
        raise RuntimeError(message)

    def memory(self) -> int:
        """Return the bytes that it holds, without files that could go at once: what `kubectl top` says."""
        for group in self.groups:
            for whole, idle in (("memory.usage_in_bytes", "total_inactive_file"), ("memory.current", "inactive_file")):
                if (group / whole).exists():
                    return int((group / whole).read_text()) - _fields(group / "memory.stat").get(idle, 0)
        message = f"no control group of {self.name} counts its memory"
        raise RuntimeError(message)


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def pods_of(cluster: UsedCluster, namespace: str) -> list[Pod]:
    """Return the pods of a platform that run.

    Args:
        cluster: A cluster of this machine.
        namespace: Where the platform is.
    """
    if cluster.local is None:
        message = "the control groups of pods are read: the cluster has to be on this machine (make cluster)"
        raise RuntimeError(message)
    below = [root / cluster.local.layout.cgroup for root in cgroups.hierarchies()]
    made = []
    for one in cluster.kubectl.items("pods", "-n", namespace, "--field-selector=status.phase=Running"):
        uid, labels = one["metadata"]["uid"], one["metadata"]["labels"]
        groups = tuple(group for root in below for group in root.rglob(f"pod{uid}"))
        made.append(Pod(one["metadata"]["name"], labels[PART], groups))
    return sorted(made, key=lambda pod: (pod.part, pod.name))


def processor(pods: list[Pod]) -> dict[str, float]:
    """Return the seconds of processor that each part has used since it began."""
    found: dict[str, float] = {}
    for pod in pods:
        found[pod.part] = found.get(pod.part, 0.0) + pod.used()
    return found


def memory(pods: list[Pod]) -> dict[str, float]:
    """Return what each pod holds, in MB; several of a part are numbered."""
    found: dict[str, float] = {}
    for pod in pods:
        number = sum(1 for name in found if name.partition(" ")[0] == pod.part)
        found[f"{pod.part} {number + 1}" if number else pod.part] = round(pod.memory() / 2**20, 1)
    return found
