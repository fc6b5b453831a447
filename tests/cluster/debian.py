"""A small Debian as a base of images, from the mirror that this machine itself uses.

The mirror's address, proxies and authorities of this machine are used while something is built, and are in no image.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import environment
from tests.cluster.errors import PartFailed, Refused
from tests.cluster.layout import cache
from tests.cluster.locking import locked

SUITE = "bookworm"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What a notebook never reads: a third of the size.
_EXCLUDED = "\n".join(
    f"path-exclude /usr/share/{path}"
    for path in ("doc/*", "man/*", "info/*", "locale/*", "lintian/*", "groff/*", "linda/*")
)
_INCLUDED = "path-include /usr/share/doc/*/copyright"
_TIDY = f"""set -eu
cd "$1"
mkdir -p etc/dpkg/dpkg.cfg.d
printf '%s\\n' '{_EXCLUDED}' '{_INCLUDED}' > etc/dpkg/dpkg.cfg.d/slim
printf '%s\\n' 'APT::Install-Recommends "false";' > etc/apt/apt.conf.d/slim
find usr/share/doc -mindepth 2 ! -name copyright ! -type d -delete
find usr/share/doc -mindepth 1 -depth -type d -empty -delete
rm -rf usr/share/man/* usr/share/info/* usr/share/locale/* var/cache/apt/* var/lib/apt/lists/* var/log/* tmp/*
rm -f etc/resolv.conf etc/hostname etc/machine-id var/cache/ldconfig/aux-cache
: > etc/apt/sources.list
"""


@dataclass(frozen=True)
class Source:
    """Where this machine has Debian from.

    Attributes:
        address: The archive.
        suite: Which part of it.
    """

    address: str
    suite: str


def sources() -> list[Source]:
    """Return where this machine has Debian's packages from, the release itself first.

    Raises:
        Refused: It is not a Debian of the right release.
    """
    if shutil.which("apt-get") is None:
        raise Refused(f"Images are made from Debian {SUITE}: this machine has no apt.")
    form = "$(REPO_URI) $(CODENAME) $(SUITE) $(COMPONENT) $(ORIGIN)"
    answer = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in answer.stdout.splitlines()]
    found = {Source(row[0], row[1]) for row in rows if len(row) == 5 and row[3] == "main" and row[4] == "Debian"}
    ordered = sorted((one for one in found if one.suite.startswith(SUITE)), key=lambda one: one.suite)
    if not ordered or ordered[0].suite != SUITE:
        raise Refused(f"This machine's apt does not know Debian {SUITE}: `apt-get update` with it among the sources.")
    return ordered


def sources_list() -> str:
    """Return this machine's sources in apt's one-line form."""
    return "".join(f"deb [signed-by={_KEYRING}] {one.address} {one.suite} main\n" for one in sources())


@dataclass(frozen=True)
class Base:
    """A minimal Debian as an archive of files."""

    @property
    def key(self) -> str:
        """What it depends on, as a hash. Newer packages alone do not make a new one."""
        return hashlib.sha256((SUITE + _TIDY + inspect.getsource(_debootstrap)).encode()).hexdigest()[:16]

    @property
    def archive(self) -> Path:
        """The archive."""
        return cache() / "debian" / f"{SUITE}-{self.key}.tar"

    def make(self) -> Path:
        """Make the archive if it was not made before; return it.

        Raises:
            PartFailed: It could not be made.
        """
        with locked("debian"):
            if not self.archive.exists():
                self.archive.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.archive.parent, prefix=".partial-") as partial:
                    _debootstrap(Path(partial), self.archive)
            return self.archive


def _debootstrap(work: Path, archive: Path) -> None:
    root, made, log = work / "root", work / "root.tar", cache() / "logs" / "debian.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    times = ("--sort=name", "--mtime=@0", "--numeric-owner", "--xattrs", "--exclude=./dev/*", "--exclude=./proc/*")
    commands: list[list[str]] = [
        ["debootstrap", "--variant=minbase", f"--keyring={_KEYRING}", SUITE, str(root), sources()[0].address],
        ["sh", "-c", _TIDY, "tidy", str(root)],
        ["tar", "-C", str(root), *times, "-cf", str(made), "."],
    ]
    with log.open("wb") as output:
        for command in commands:
            # What is mounted meanwhile is seen by nobody else, and gone when it ends.
            alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", *command]
            answer = subprocess.run(alone, stdout=output, stderr=output, stdin=subprocess.DEVNULL, check=False)
            if answer.returncode:
                raise PartFailed(f"Debian {SUITE} cannot be made: {command[0]} ended with {answer.returncode}.", log)
    made.rename(archive)


_PASSED = ("PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_NOT_PASSED = ("PIP_FIND_LINKS", "UV_CACHE_DIR", "UV_PYTHON")  # folders of this machine
_AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def build_environment(environ: Mapping[str, str], authorities: str) -> str:
    """Return lines for a shell that let pip and uv reach what they reach on this machine.

    Args:
        environ: This machine's environment.
        authorities: The file of authorities, as the build sees it.
    """
    known = (*_NOT_PASSED, *_AUTHORITIES)
    passed = {name: environ[name] for name in sorted(environ) if name.startswith(_PASSED) and name not in known}
    index = pip_setting("global.index-url")
    if index and "PIP_INDEX_URL" not in environ:
        passed |= {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}
    return environment.render(passed | dict.fromkeys(_AUTHORITIES, authorities))


def pip_setting(name: str) -> str:
    """Return a setting of this machine's pip, empty where there is none."""
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", name], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() if answer.returncode == 0 else ""


def authorities_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return this machine's file of certificate authorities."""
    named = (environ.get(name) for name in _AUTHORITIES)
    candidates = [Path(one) for one in named if one] + [Path("/etc/ssl/certs/ca-certificates.crt")]
    return next((one for one in candidates if one.is_file()), candidates[-1])
