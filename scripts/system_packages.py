"""Install what the tests need beyond Python packages: browser, database, git, and Node.js for the provider that people
sign in by. Only the standard library is used here.

Nothing happens where everything is there. Where something is missing and this is not Debian, or not root, it says what
to install and ends with 1: a missing part is a failure, not a skip.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Command → Debian's package.
PACKAGES = {"chromium": "chromium", "git": "git", "initdb": "postgresql", "node": "nodejs", "npm": "npm"}
ELSEWHERE = {"initdb": "usr/lib/postgresql/*/bin"}  # where Debian has a command that is not on the path
# For `make cluster`: what runs containers, their network, a registry, and what builds images.
KUBERNETES = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "docker-registry": "docker-registry",
    "etcd": "etcd-server",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "openssl": "openssl",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}


def is_there(command: str) -> bool:
    """Return whether a command can be called, or is where Debian has it."""
    folders = Path("/").glob(ELSEWHERE[command]) if command in ELSEWHERE else []
    return any(shutil.which(command, path=path) for path in (None, *map(str, folders)))


def main(arguments: list[str]) -> int:
    """Install what is missing; return an exit code.

    Args:
        arguments: `kubernetes` for what a cluster needs.
    """
    wanted = KUBERNETES if arguments == ["kubernetes"] else PACKAGES
    missing = [package for command, package in wanted.items() if not is_there(command)]
    if not missing:
        return 0
    names = " ".join(missing)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print(
            f"The tests need: {names}. Install them and try again (Debian: apt-get install {names}).", file=sys.stderr
        )
        return 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet, stdout=subprocess.DEVNULL)
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing]
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
