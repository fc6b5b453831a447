"""The parts of Kubernetes as this cluster runs them: what each is started with, and when it is ready."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub_ext.embedded.processes import Recorded, end
from tests.cluster import configuration
from tests.cluster.errors import PartFailed
from tests.cluster.layout import INSIDE, NODE, Layout
from tests.cluster.node import Node
from tests.cluster.waiting import answers

PATIENCE = 120.0  # seconds; the machine may be busy


@dataclass(frozen=True)
class Part:
    """A program of the node.

    Attributes:
        name: What it is called here: of its log, and in `cluster.part(name)` of the tests.
        command: Its command line, with paths as the node sees them.
        ready: Tells whether it does its work.
        depends: Texts of configuration files: another one starts it again.
        env: What it has in its environment.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    depends: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What it was started with, as a hash."""
        return hashlib.sha256(repr((self.command, self.depends, dict(self.env))).encode()).hexdigest()[:16]


class Running:
    """A part of a cluster that runs, or does not.

    Args:
        node: The cluster's node.
        part: What it is.
    """

    def __init__(self, node: Node, part: Part) -> None:
        self.node = node
        self.part = part
        self._started_with = node.layout.folder / "run" / f"{part.name}.digest"

    @property
    def process(self) -> Recorded | None:
        """Its process, if it runs."""
        found = Recorded.load(self.node.layout.record(self.part.name))
        return found if found is not None and found.alive else None

    def start(self) -> None:
        """Start it if it does not run, or runs with something else than it should."""
        if self.process is not None:
            if self._started_with.exists() and self._started_with.read_text() == self.part.digest:
                return
            self.stop()
        self.node.start(self.part.name, self.part.command, self.part.env)
        self._started_with.write_text(self.part.digest)

    def stop(self, grace: float = 20.0) -> None:
        """End it; what it started goes on.

        Args:
            grace: Seconds after which it is killed; 0 kills at once.
        """
        recorded = self.process
        process = recorded.process() if recorded is not None else None
        if process is not None:
            if grace == 0:
                process.kill()
            end([process], grace)

    def wait(self, seconds: float = PATIENCE) -> None:
        """Wait until it is ready.

        Raises:
            PartFailed: It ended, or is not ready in time.
        """
        log, deadline = self.node.layout.log(self.part.name), time.monotonic() + seconds
        while not self.part.ready():
            if self.process is None:
                raise PartFailed(f"{self.part.name} ended.", log)
            if time.monotonic() > deadline:
                raise PartFailed(f"{self.part.name} is not ready within {seconds:.0f} s.", log)
            time.sleep(0.1)


def etcd(layout: Layout) -> Part:
    """Return the database of the API server; its writes are not forced to disk, since a cluster is not kept."""
    command = (
        "/usr/bin/etcd",
        "--data-dir=/var/lib/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        f"--listen-metrics-urls=http://{layout.addresses.node}:2381",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=1073741824",
        "--auto-compaction-retention=30m",
        "--log-level=warn",
        "--logger=zap",
    )
    return Part("etcd", command, lambda: answers(f"http://{layout.addresses.node}:2381/health"))


def apiserver(layout: Layout) -> Part:
    """Return the API server."""
    keys = INSIDE / "keys"
    command = (
        str(INSIDE / "bin/kube-apiserver"),
        f"--advertise-address={layout.addresses.node}",
        "--secure-port=6443",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--service-cluster-ip-range={layout.addresses.services}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}/service-accounts.pub",
        f"--service-account-signing-key-file={keys}/service-accounts.key",
        f"--client-ca-file={keys}/ca.crt",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/apiserver-kubelet.crt",
        f"--kubelet-client-key={keys}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        # Debian's etcd tells no progress of a watch, so that lists by watch fail; and a plain watch from any version on
        # would be taken for one.
        "--feature-gates=WatchList=false",
    )
    return Part("kube-apiserver", command, lambda: answers(f"https://{layout.addresses.node}:6443/readyz"))


def controller_manager(layout: Layout) -> Part:
    """Return the controllers."""
    keys, config = INSIDE / "keys", INSIDE / "config/controller-manager.kubeconfig"
    command = (
        str(INSIDE / "bin/kube-controller-manager"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--root-ca-file={keys}/ca.crt",
        f"--service-account-private-key-file={keys}/service-accounts.key",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
        "--profiling=false",
    )
    return Part("kube-controller-manager", command, lambda: answers(f"https://{layout.addresses.node}:10257/healthz"))


def scheduler(layout: Layout) -> Part:
    """Return the scheduler."""
    config = INSIDE / "config/scheduler.kubeconfig"
    command = (
        str(INSIDE / "bin/kube-scheduler"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    )
    return Part("kube-scheduler", command, lambda: answers(f"https://{layout.addresses.node}:10259/healthz"))


def containerd(layout: Layout, node: Node) -> Part:
    """Return what runs containers."""
    config = layout.config / "containerd.toml"  # it names an image, which is not known before that is built

    def ready() -> bool:
        first = node.first
        return first is not None and Path(f"/proc/{first.pid}/root{configuration.CONTAINERD}").exists()

    command = ("/usr/bin/containerd", f"--config={INSIDE}/config/containerd.toml")
    network, hosts = configuration.network(layout), configuration.registry_hosts(layout)
    return Part("containerd", command, ready, (config.read_text() if config.exists() else "", network, hosts))


def kubelet(layout: Layout, node_ready: Callable[[], bool]) -> Part:
    """Return the node's agent."""
    command = (
        str(INSIDE / "bin/kubelet"),
        f"--config={INSIDE}/config/kubelet.json",
        f"--kubeconfig={INSIDE}/config/kubelet.kubeconfig",
        f"--node-ip={layout.addresses.node}",
        f"--hostname-override={NODE}",
    )
    return Part("kubelet", command, node_ready, (configuration.kubelet(layout),))


def proxy(layout: Layout) -> Part:
    """Return what makes Services reachable."""
    command = (str(INSIDE / "bin/kube-proxy"), f"--config={INSIDE}/config/proxy.json")
    ready = f"http://{layout.addresses.node}:10256/healthz"
    return Part("kube-proxy", command, lambda: answers(ready), (configuration.proxy(layout),))


def network_policy(layout: Layout) -> Part:
    """Return what enforces NetworkPolicy; the other jobs of this program are done by others here."""
    command = (
        str(INSIDE / "bin/kube-router"),
        f"--kubeconfig={INSIDE}/config/network-policy.kubeconfig",
        f"--hostname-override={NODE}",
        f"--service-cluster-ip-range={layout.addresses.services}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        "--enable-cni=false",
        "--enable-ipv4=true",
        "--enable-ipv6=false",
        "--health-port=20244",
    )
    ready = f"http://{layout.addresses.node}:20244/healthz"
    return Part("kube-router", command, lambda: answers(ready))


def registry(layout: Layout) -> Part:
    """Return the registry of images."""
    command = ("/usr/bin/docker-registry", "serve", f"{INSIDE}/config/registry.json")
    ready = f"http://{layout.addresses.registry}/v2/"
    # Its own traces would be sent to a collector on this machine.
    env = {"OTEL_TRACES_EXPORTER": "none"}
    return Part("registry", command, lambda: answers(ready), (configuration.registry(layout),), env)
