"""Programs built from Go modules, once for each set of versions."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import PartFailed, Refused
from tests.cluster.layout import cache
from tests.cluster.locking import locked

_MODULES = Path(__file__).with_name("go")
KUBERNETES = "v1.34.4"
HELM_VERSION = "v3.19.5"
_VERSION = "k8s.io/component-base/version"
_FLAGS = (
    "-trimpath",
    "-buildvcs=false",
    "-mod=readonly",
    "-gcflags=all=-dwarf=false",  # it would be left out at the end, and is a tenth of the time
)


@dataclass(frozen=True)
class Build:
    """Programs that one module is built into.

    Attributes:
        module: Its folder in `tests/cluster/go`.
        packages: What is built; the last part of each is the program's name.
        stamps: Variables set in the programs: name and value.
    """

    module: str
    packages: tuple[str, ...]
    stamps: tuple[tuple[str, str], ...] = ()

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of what is built."""
        return tuple(self.module if one == "." else one.rpartition("/")[2] for one in self.packages)

    @property
    def key(self) -> str:
        """What the result depends on, as a hash: sources, locks, flags and the compiler."""
        digest = hashlib.sha256(repr((self.packages, self.stamps, _FLAGS, compiler())).encode())
        for file in sorted((_MODULES / self.module).iterdir()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where the programs are."""
        return cache() / "bin" / f"{self.module}-{self.key}"

    @property
    def made(self) -> bool:
        """Whether they were built before."""
        return self.folder.exists()

    def make(self, say: Callable[[str], None]) -> Path:
        """Build what was not built before; return the folder of the programs.

        Args:
            say: Told what is done when it takes long.

        Raises:
            PartFailed: It does not build.
        """
        with locked(f"build-{self.module}"):
            if not self.made:
                say(f"Building {', '.join(self.programs)} (once; minutes) …")
                self._build()
            return self.folder

    def _build(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        log = cache() / "logs" / f"build-{self.module}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=".partial-") as partial:
            stamps = " ".join(f"-X {name}={value}" for name, value in self.stamps)
            command = ["go", "build", *_FLAGS, "-ldflags", f"-s -w {stamps}", "-o", f"{partial}/", *self.packages]
            with log.open("wb") as output:
                answer = subprocess.run(
                    command, cwd=_MODULES / self.module, env=_environment(), stdout=output, stderr=output, check=False
                )
            if answer.returncode:
                raise PartFailed(f"{self.module} does not build.", log)
            Path(partial).chmod(0o755)
            Path(partial).rename(self.folder)
            Path(partial).mkdir()  # what is removed now


def _environment() -> dict[str, str]:
    own = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOCACHE": str(cache() / "go-build")}
    return {**os.environ, **own, "GOGC": "400"}  # with more memory the compiler takes a tenth less time


def definitions() -> Path:
    """Return the folder of the Gateway API's definitions of kinds, as its Go module has them.

    Raises:
        PartFailed: The module cannot be had.
    """
    module = "sigs.k8s.io/gateway-api"
    folder = _MODULES / "gateway-api"
    got = subprocess.run(
        ["go", "mod", "download", module], cwd=folder, env=_environment(), capture_output=True, check=False
    )
    command = ["go", "list", "-m", "-f", "{{.Dir}}", module]
    answer = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if got.returncode or answer.returncode:
        raise PartFailed(f"{module}: {answer.stderr.strip()[-300:] or got.stderr.decode().strip()[-300:]}")
    return Path(answer.stdout.strip()) / "config" / "crd" / "standard"


def compiler() -> str:
    """Return the compiler's version.

    Raises:
        Refused: There is none.
    """
    if shutil.which("go") is None:
        raise Refused("Go 1.24 or newer is needed to build Kubernetes: install it, with `go` on the PATH.")
    answer = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


NODE_PROGRAMS = Build(
    "kubernetes",
    tuple(
        f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
    ),
    (
        (f"{_VERSION}.gitVersion", KUBERNETES),
        (f"{_VERSION}.gitMajor", KUBERNETES.split(".")[0].removeprefix("v")),
        (f"{_VERSION}.gitMinor", KUBERNETES.split(".")[1]),
    ),
)
COREDNS = Build("coredns", ("github.com/coredns/coredns",))
STORAGE = Build("local-path-provisioner", ("github.com/rancher/local-path-provisioner",))
PAUSE = Build("pause", (".",))
NETWORK_POLICY = Build("kube-router", ("github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",))
KWOK = Build("kwok", ("sigs.k8s.io/kwok/cmd/kwok",))
HELM = Build(
    "helm",
    ("helm.sh/helm/v3/cmd/helm",),
    (
        ("helm.sh/helm/v3/internal/version.version", HELM_VERSION),
        # The Kubernetes that `helm template` and `helm lint` take for granted.
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", KUBERNETES.split(".")[1]),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", KUBERNETES.split(".")[1]),
    ),
)
COSIGN = Build("cosign", ("github.com/sigstore/cosign/v2/cmd/cosign",))
S3 = Build("versitygw", ("github.com/versity/versitygw/cmd/versitygw",))
