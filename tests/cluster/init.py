"""The node's first process: makes the node's view of the file system, then buries its children until it is killed.

It runs in namespaces of its own (files, network, processes, names, messages). Whatever becomes of it, the kernel ends
every process of the node with it and takes back mounts, network devices and packet filter rules. Only the standard
library is used: it runs as a script.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

# What a kubelet wants to set for the whole machine. It is shown that all is set already, and leaves the machine alone.
_KERNEL = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def mount(*arguments: str) -> None:
    """Call mount(8)."""
    subprocess.run(["mount", *arguments], check=True)


def files(folder: Path, inside: Path) -> None:
    """Make the node's view: its `/run` in memory, its `/var` in the cluster's folder, its own `/proc`."""
    mount("--make-rshared", "/")
    mount("-t", "proc", "proc", "/proc")
    # A folder below /run or /var is still reached through this after those are covered.
    handle = f"/proc/{os.getpid()}/fd/{os.open(folder, os.O_PATH)}"
    mount("-t", "tmpfs", "-o", "mode=755,size=256m", "tmpfs", "/run")
    inside.mkdir(parents=True)
    mount("--no-canonicalize", "--bind", handle, str(inside))
    mount("--bind", str(inside / "var"), "/var")
    Path("/run/lock").mkdir()
    kernel = Path("/run/kernel")
    for name, value in _KERNEL.items():
        seen = kernel / name
        seen.parent.mkdir(parents=True, exist_ok=True)
        seen.write_text(f"{value}\n")
        mount("--bind", str(seen), f"/proc/sys/{name}")


def network() -> None:
    """Let the node talk to itself and pass on what its pods send."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def main(folder: Path, inside: Path, name: str) -> None:
    """Set up, say so, and wait for ever. Whoever starts it writes its id down first, and then says go."""
    if not sys.stdin.readline():
        sys.exit("ended: nobody wrote down that this runs")
    socket.sethostname(name)
    files(folder, inside)
    network()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries
    (inside / "run" / "ready").touch()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
