"""A cluster: brought up, mended and taken down as a whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from string import Template

from tests.cluster import (
    certificates,
    chart,
    configuration,
    enclave,
    environment,
    images,
    machine,
    parts,
    records,
    registry,
)
from tests.cluster.addresses import Addresses
from tests.cluster.builds import COREDNS, COSIGN, HELM, NETWORK_POLICY, NODE_PROGRAMS, PAUSE, STORAGE
from tests.cluster.errors import ClusterError
from tests.cluster.images import Image
from tests.cluster.kubectl import Kubectl
from tests.cluster.layout import DOMAIN, NODE, Layout
from tests.cluster.locking import among_users, locked
from tests.cluster.node import Node
from tests.cluster.parts import Part, Running

_MANIFESTS = Path(__file__).with_name("manifests")
NOTEBOOK = "notebooks/standard"
STORAGE_CLASS = "local-path"  # as in manifests/storage.yaml
BUILDS = (NODE_PROGRAMS, COREDNS, STORAGE, PAUSE, COSIGN, HELM, NETWORK_POLICY)


def prepare(say: Callable[[str], None], *, notebook: bool = True) -> dict[str, Image]:
    """Build every program and image that was not built before.

    Args:
        say: Told what is done.
        notebook: Whether the notebook image is among them.

    Returns:
        The images by their names.
    """
    on_debian = [images.base(), *([images.notebook(), *chart_images()] if notebook else [])]
    with ThreadPoolExecutor(1) as beside:  # these wait for packages half of the time, while Go compiles
        making = [beside.submit(image.make, say) for image in on_debian]
        try:
            for build in BUILDS:
                build.make(say)
                for made in filter(Future.done, making):
                    made.result()  # what failed there ends this as well
            for made in making:
                made.result()
        finally:
            beside.shutdown(cancel_futures=True)
    of_programs = [images.pause(), images.coredns(), images.storage()]
    for image in of_programs:
        image.make(say)
    return {image.name: image for image in (*of_programs, *on_debian)}


def chart_images() -> list[Image]:
    """Return the images that the chart needs."""
    return [images.hub(), images.proxy(), images.postgresql()]


class Cluster:
    """A cluster in a folder.

    Args:
        layout: Where it is.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.node = Node(layout)
        self.kubectl = Kubectl(layout.folder / "bin" / "kubectl", layout.kubeconfig)

    def up(self, say: Callable[[str], None], *, notebook: bool = True) -> None:
        """Bring it up, or mend what is amiss. Nothing is done where all is well.

        Args:
            say: Told what is done.
            notebook: Whether it has the notebook image, whose pull takes the most time.

        Raises:
            ClusterError: It cannot be had.
        """
        machine.check()
        machine.require_packages()
        self.layout.folder.parent.mkdir(parents=True, exist_ok=True)
        made = prepare(say, notebook=notebook)
        with locked(f"cluster-{self.layout.id}"):
            if not self.node.whole:
                self._begin(say)
            certificates.make(self.layout)
            self._files(made)
            self._start(say)
            self._addons(made)
            self._tell(made)

    def add_image(self, say: Callable[[str], None]) -> str:
        """Build the notebook image as it is in this project now, and have a cluster that runs pull it.

        Nothing else of the cluster is changed: those who use another image go on with that.

        Args:
            say: Told what is done.

        Returns:
            Its registry, name and digest.
        """
        image = images.notebook()
        image.make(say)
        registry.install(image.folder / "registry", self.layout.folder / "var/lib/registry")
        self._pull(self.reference(image))
        return self.reference(image)

    def add_chart(self, say: Callable[[str], None]) -> dict[str, str]:
        """Build the chart's images as they are in this project now, and have a cluster that runs pull them.

        Args:
            say: Told what is done.

        Returns:
            Their names, each with registry, name and digest.
        """
        HELM.make(say)
        for image in chart_images():
            image.make(say)
            registry.install(image.folder / "registry", self.layout.folder / "var/lib/registry")
            self._pull(self.reference(image))
        return {image.name: self.reference(image) for image in chart_images()}

    def down(self) -> None:
        """Take it down and remove all of it. Safe when there is none, or only a part."""
        with locked(f"cluster-{self.layout.id}"):
            self._clear()

    def _clear(self) -> None:
        self.node.remove()
        if self.layout.folder.exists():
            shutil.rmtree(self.layout.folder)
        records.forget(self.layout)

    def _begin(self, say: Callable[[str], None]) -> None:
        """Make a new node, without anything of one that was here before and was killed."""
        say(f"Making a node in {self.layout.folder} …")
        self._clear()
        with locked("addresses"):
            records.sweep()
            for name in ("run", "logs", "config/cni", "bin", "var/log", "var/lib", "var/tmp", "var/cache"):
                (self.layout.folder / name).mkdir(parents=True)
            self.layout.folder.chmod(0o700)
            Addresses.choose(self.layout.folder / "addresses.json", self.layout.id)
            records.write(self.layout)
            self.node.make()

    def _files(self, made: dict[str, Image]) -> None:
        """Put programs, configuration and images where the node sees them."""
        layout = self.layout
        for build in (NODE_PROGRAMS, NETWORK_POLICY):
            for program in build.programs:
                registry.link(build.folder / program, layout.folder / "bin" / program)
        registry.link(HELM.folder / "helm", layout.folder / "bin" / "helm")
        for image in made.values():
            registry.install(image.folder / "registry", layout.folder / "var/lib/registry")
        config = {
            "containerd.toml": configuration.containerd(self.reference(made["pause"])),
            "cni/10-hub-ext.conflist": configuration.network(layout),
            f"registries/{layout.addresses.registry}/hosts.toml": configuration.registry_hosts(layout),
            "kubelet.json": configuration.kubelet(layout),
            "proxy.json": configuration.proxy(layout),
            "registry.json": configuration.registry(layout),
        }
        for name in ("controller-manager", "scheduler", "proxy", "kubelet", "network-policy"):
            config[f"{name}.kubeconfig"] = configuration.kubeconfig(layout, name, layout.inside(layout.keys))
        for name, text in config.items():
            _write(layout.config / name, text)
        _write(layout.kubeconfig, configuration.kubeconfig(layout, "admin"))

    def reference(self, image: Image) -> str:
        """Return an image as pods name it: registry, name and digest."""
        return f"{self.layout.addresses.registry}/{image.name}@{image.digest}"

    def parts(self) -> list[list[Part]]:
        """Return the parts: those of one list may start together, each list after the one before is ready."""
        layout = self.layout
        return [
            [parts.etcd(layout), parts.registry(layout), parts.containerd(layout, self.node)],
            [parts.apiserver(layout)],
            [
                parts.controller_manager(layout),
                parts.scheduler(layout),
                parts.kubelet(layout, self.node_ready),
                parts.proxy(layout),
            ],
        ]

    def part(self, name: str) -> Running:
        """Return a part, to stop and start it.

        Args:
            name: Its name, as `status` has it.
        """
        return next(Running(self.node, part) for together in self.parts() for part in together if part.name == name)

    @contextlib.contextmanager
    def enforcing(self) -> Iterator[None]:
        """Have NetworkPolicy enforced, until nobody wants that any more: then every pod reaches everything again."""
        enforcer = Running(self.node, parts.network_policy(self.layout))

        def end() -> None:
            enforcer.stop()
            for chain in ("INPUT", "FORWARD", "OUTPUT"):
                self.node.run(["iptables", "--wait", "--flush", f"KUBE-ROUTER-{chain}"])

        with among_users(self.layout.folder / "run" / "enforcing", enforcer.start, end):
            enforcer.wait()
            yield

    def _start(self, say: Callable[[str], None]) -> None:
        for together in self.parts():
            running = [Running(self.node, part) for part in together]
            for one in running:
                if one.process is None:
                    say(f"Starting {one.part.name} …")
                one.start()
            for one in running:
                one.wait()

    def node_ready(self) -> bool:
        """Return whether the API server has the node as ready."""
        form = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        try:
            return self.kubectl("get", "node", NODE, "-o", form) == "True"
        except ClusterError:
            return False

    def _addons(self, made: dict[str, Image]) -> None:
        """Have names resolved and volumes made, and the notebook image present."""
        values = {
            "DOMAIN": DOMAIN,
            "NODE": NODE,
            "DNS": self.layout.addresses.dns,
            "COREDNS": self.reference(made["coredns"]),
            "STORAGE": self.reference(made["local-path-provisioner"]),
            "BASE": self.reference(made["base"]),
        }
        text = "---\n".join(Template(one.read_text()).substitute(values) for one in sorted(_MANIFESTS.iterdir()))
        applied = self.layout.folder / "run" / "applied"
        if not applied.exists() or applied.read_text() != text:
            self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
            applied.write_text(text)
        for name in (NOTEBOOK, *(one.name for one in chart_images())):
            if name in made:
                self._pull(self.reference(made[name]))
        for name, namespace in (("coredns", "kube-system"), ("local-path-provisioner", "local-path-storage")):
            self.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=120s", seconds=150)

    def _pull(self, reference: str) -> None:
        """Have the node pull an image, so that the first start does not wait for it."""
        address = f"--address={configuration.CONTAINERD}"
        known = self.node.run(["ctr", address, "-n", "k8s.io", "images", "ls", "-q"])
        if reference not in known.split():
            self.node.run(["ctr", address, "-n", "k8s.io", "images", "pull", "--plain-http", reference], 900)

    def _tell(self, made: dict[str, Image]) -> None:
        """Write down what a person or a test needs to know."""
        layout = self.layout
        notebook = self.reference(made.get(NOTEBOOK, made["base"]))
        values = {
            "KUBECONFIG": str(layout.kubeconfig),
            "HUB_EXT_CLUSTER": str(layout.folder),
            "HUB_EXT_TEST_IMAGE": notebook,
            "HUB_EXT_TEST_HOST": layout.addresses.host,
            "HUB_EXT_TEST_STORAGE_CLASS": STORAGE_CLASS,
        }
        spec = {"storage_class": STORAGE_CLASS}
        enclave.write(layout.catalog, layout.keys / "images.key", {NOTEBOOK: notebook}, spec)
        if NOTEBOOK in made:
            text = chart.values(layout.catalog, {name: self.reference(image) for name, image in made.items()})
            _write(layout.folder / "values.yaml", text)
            values["HUB_EXT_TEST_VALUES"] = str(layout.folder / "values.yaml")
        _write(layout.environment, environment.render(values))

    def status(self) -> list[tuple[str, str]]:
        """Return each part and how it is."""
        if self.node.first is None:
            return [("node", "does not run")]
        rows = [("node", f"process {self.node.first.pid}, {self.layout.addresses.node}")]
        for together in self.parts():
            for part in together:
                process = Running(self.node, part).process
                rows.append(
                    (part.name, "does not run" if process is None else "ready" if part.ready() else "not ready")
                )
        return rows


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner reads, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(text)
    partial.chmod(0o600)
    partial.replace(path)
