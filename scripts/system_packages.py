"""Install what the tests need beyond Python packages: a browser. Only the standard library is used here.

Nothing happens where everything is there. Where something is missing and this is not Debian, or not root, it says what
to install and ends with 1: a missing part is a failure, not a skip.
"""

import os
import shutil
import subprocess
import sys

PACKAGES = {"chromium": "chromium"}  # command → Debian's package
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


def main(arguments: list[str]) -> int:
    """Install what is missing; return an exit code.

    Args:
        arguments: `kubernetes` for what a cluster needs.
    """
    wanted = KUBERNETES if arguments == ["kubernetes"] else PACKAGES
    missing = [package for command, package in wanted.items() if shutil.which(command) is None]
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
