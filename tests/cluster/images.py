"""Images built with buildah(1), once for each set of inputs, kept as the files of a registry.

What is kept is a registry's own folder with that one image in it, so that a cluster's registry has it by linking files,
and its digest is that of a real push.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.cluster import debian, registry
from tests.cluster.builds import COREDNS, PAUSE, STORAGE, Build
from tests.cluster.errors import PartFailed
from tests.cluster.layout import PROJECT, cache
from tests.cluster.locking import locked

_STORAGE = ("--root", "{cache}/buildah/storage", "--runroot", "{cache}/buildah/run")
_PARTIAL = ".partial-"
_AUTHORITIES = "/run/secrets/authorities"


@dataclass(frozen=True)
class Image:
    """An image of this project.

    Attributes:
        name: Its name in a registry.
        containerfile: Text of its Containerfile.
        context: Files that it is built from: path in the context → file or folder.
        base: The Debian that it is built on, if it is.
    """

    name: str
    containerfile: str
    context: Mapping[str, Path]
    base: debian.Base | None = None

    @cached_property
    def key(self) -> str:
        """What it depends on, as a hash: of the moment when it was first asked for, since a build may take minutes."""
        digest = hashlib.sha256(repr((self.name, self.containerfile, self.base and self.base.key)).encode())
        for target, source in sorted(self.context.items()):
            for file in files(source):
                relative = file.relative_to(source) if source.is_dir() else ""
                digest.update(f"{target}/{relative}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where it is kept: `registry/` and `digest`."""
        return cache() / "images" / f"{self.name.replace('/', '-')}-{self.key}"

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return (self.folder / "digest").read_text()

    def make(self, say: Callable[[str], None]) -> Path:
        """Build it if it was not built before; return where it is kept.

        Args:
            say: Told what is done when it takes long.

        Raises:
            PartFailed: It does not build.
        """
        with locked("images"):
            if not self.folder.exists():
                say(f"Building image {self.name} …")
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=_PARTIAL) as partial:
                    _Builder(self, Path(partial)).build()
                prune(self.folder)
            return self.folder


def prune(newest: Path, keep: int = 4) -> None:
    """Remove what is no longer of use beside an image: older ones of its name, and what killed builds left.

    Clusters that use an older one have its files by links of their own. The lock of images is held.

    Args:
        newest: Where the image is kept.
        keep: How many of its name stay: other work trees have other versions.
    """
    name = newest.name.rpartition("-")[0]
    others = [one for one in newest.parent.iterdir() if one.name.rpartition("-")[0] == name and one != newest]
    old = sorted(others, key=lambda one: one.stat().st_mtime, reverse=True)[keep - 1 :]
    for folder in (*old, *newest.parent.glob(f"{_PARTIAL}*")):
        shutil.rmtree(folder)


def files(source: Path) -> list[Path]:
    """Return a file, or the files of a folder that matter to a build."""
    if source.is_file():
        return [source]
    found = (one for one in source.rglob("*") if one.is_file() and "__pycache__" not in one.parts)
    return sorted(found)


class _Builder:
    """Builds one image in a folder that is thrown away.

    Args:
        image: The image.
        work: The folder.
    """

    def __init__(self, image: Image, work: Path) -> None:
        self.image = image
        self.work = work
        self.tag = f"localhost/hub-ext/{image.name}:{image.key}"
        self.log = cache() / "logs" / f"image-{image.name.replace('/', '-')}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")

    def build(self) -> None:
        """Build, push into a registry of its own, and keep its files."""
        context = self.work / "context"
        context.mkdir()
        for target, source in self.image.context.items():
            place = context / target
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, place)
        (self.work / "Containerfile").write_text(self.image.containerfile)
        options = [*self._base(), *self._secrets()]
        self._buildah(
            "bud", "--layers", "--format", "oci", "--timestamp", "0", *options,
            "-f", str(self.work / "Containerfile"), "-t", self.tag, str(context),
        )  # fmt: skip
        self._keep()

    def _keep(self) -> None:
        """Push it into a registry of its own, and keep that registry's files."""
        # Uncompressed, which a push by buildah itself never is: it stays on this machine, where time is scarcer.
        parts, kept = self.work / "parts", self.work / "kept"
        self._buildah("push", "--disable-compression", self.tag, f"dir:{parts}")
        (kept / "registry").mkdir(parents=True)
        with registry.serving(kept / "registry", self.log) as address:
            (kept / "digest").write_text(registry.push(address, self.image.name, parts))
        kept.rename(self.image.folder)

    def _base(self) -> list[str]:
        """Import our Debian where it is used; return the option that names it."""
        if self.image.base is None:
            return []
        name = f"localhost/base:{self.image.base.key}"
        if self._buildah("images", "--quiet", "--filter", f"reference={name}", quiet=True).strip() == "":
            folder = self.work / "base"
            folder.mkdir()
            os.link(self.image.base.make(), folder / "root.tar")
            (folder / "Containerfile").write_text('FROM scratch\nADD root.tar /\nCMD ["/bin/sh"]\n')
            self._buildah("bud", "--format", "oci", "--timestamp", "0", "-t", name, str(folder))
        return ["--build-arg", f"BASE={name}"]

    def _secrets(self) -> list[str]:
        """Return the options that show a build what it may use and not keep."""
        secrets = self.work / "secrets"
        secrets.mkdir(mode=0o700)
        shutil.copyfile(debian.authorities_file(), secrets / "authorities")
        (secrets / "environment").write_text(debian.build_environment(os.environ, _AUTHORITIES))
        (secrets / "sources").write_text(debian.sources_list())
        return [part for one in sorted(secrets.iterdir()) for part in ("--secret", f"id={one.name},src={one}")]

    def _buildah(self, *arguments: str, quiet: bool = False) -> str:
        """Run buildah in a view of the file system of its own, so that nothing stays mounted."""
        folder = [one.format(cache=cache()) for one in _STORAGE]
        command = ["unshare", "--mount", "--", "buildah", *folder, *arguments]
        env = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.work), "NO_PROXY": "127.0.0.1,localhost"}
        with self.log.open("ab") as log:
            answer = subprocess.run(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if quiet else log,
                stderr=log,
                check=False,
            )
        if answer.returncode:
            raise PartFailed(
                f"Image {self.image.name}: buildah {arguments[0]} ended with {answer.returncode}.", self.log
            )
        return answer.stdout.decode() if quiet else ""


def _program(name: str, build: Build) -> Image:
    """Return the image of a program that needs nothing else."""
    program = build.programs[0]
    return Image(
        name,
        f'FROM scratch\nCOPY {program} /{program}\nENTRYPOINT ["/{program}"]\n',
        {program: build.folder / program},
    )


def pause() -> Image:
    """Return the image that holds a pod's namespaces."""
    return _program("pause", PAUSE)


def coredns() -> Image:
    """Return the image of CoreDNS."""
    return _program("coredns", COREDNS)


def storage() -> Image:
    """Return the image of what makes volumes."""
    return _program("local-path-provisioner", STORAGE)


def base() -> Image:
    """Return the image of our Debian itself: the shell that makes the folders of volumes, and in tests."""
    return Image("base", 'ARG BASE\nFROM $BASE\nCMD ["/bin/sh"]\n', {}, debian.Base())


def notebook() -> Image:
    """Return the image of notebook servers and runs, as the Containerfile of this project makes it."""
    folder = PROJECT / "images" / "notebook"
    context = {
        path: PROJECT / path
        for path in (
            "locks/image.lock",
            "locks/notebook.lock",
            "executor",
            "hub_ext/executor",
            "images/notebook/sbom.py",
            "hub_ext/spawner/jupyter/labconfig/page_config.json",
            "images/notebook/server_config.json",
        )
    }
    return Image("notebooks/standard", (folder / "Containerfile").read_text(), context, debian.Base())


def hub() -> Image:
    """Return the image of Hub and sharing service."""
    context = {
        path: PROJECT / path
        for path in (
            "locks/image.lock",
            "locks/kubernetes.lock",
            "pyproject.toml",
            "README.md",
            "LICENSE",
            "hub_ext",
            "profiles",
            "shared_notebooks",
            "images/notebook/sbom.py",
            "images/hub/jupyterhub_config.py",
        )
    }
    return Image("hub-ext/hub", (PROJECT / "images/hub/Containerfile").read_text(), context, debian.Base())


def proxy() -> Image:
    """Return the image of configurable-http-proxy."""
    names = ("package.json", "package-lock.json", "sbom.mjs")
    context = {f"images/proxy/{name}": PROJECT / "images/proxy" / name for name in names}
    return Image("hub-ext/proxy", (PROJECT / "images/proxy/Containerfile").read_text(), context, debian.Base())


def postgresql() -> Image:
    """Return the image of PostgreSQL for trials."""
    context = {f"images/postgresql/{name}": PROJECT / "images/postgresql" / name for name in ("start.sh", "sbom.sh")}
    text = (PROJECT / "images/postgresql/Containerfile").read_text()
    return Image("hub-ext/postgresql", text, context, debian.Base())
