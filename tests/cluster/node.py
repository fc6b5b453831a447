"""The node: namespaces that a first process holds, and the wire between them and this machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from hub_ext.embedded.processes import Recorded, wait_until_gone
from tests.cluster import cgroups
from tests.cluster.errors import ClusterError, PartFailed
from tests.cluster.layout import INSIDE, NODE, Layout

_NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts")
_PATIENCE = 30.0  # seconds; the machine may be busy
_launched: list[subprocess.Popen[bytes]] = []  # they go on: nobody here waits for them, or warns that they still run


class Node:
    """The node of a cluster.

    Args:
        layout: The cluster's.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @property
    def first(self) -> Recorded | None:
        """Its first process, if it runs."""
        found = Recorded.load(self.layout.record("node"))
        return found if found is not None and found.alive else None

    @property
    def whole(self) -> bool:
        """Whether it runs and its wire is laid: it may have been left half-made."""
        return self.first is not None and self._wired.exists()

    @property
    def _wired(self) -> Path:
        return self.layout.folder / "run" / "wired"

    def make(self) -> None:
        """Make the namespaces, the wire and the pods' control group.

        Raises:
            PartFailed: They could not be made.
        """
        log, ready = self.layout.log("node"), self.layout.folder / "run" / "ready"
        ready.unlink(missing_ok=True)
        cgroups.make(self.layout.cgroup)
        script = str(Path(__file__).with_name("init.py"))
        command = ["unshare", *_NAMESPACES, "--fork", "--", sys.executable, "-I", script]
        outer = self._launch("node", [*command, str(self.layout.folder), str(INSIDE), NODE], environment())
        _until(ready.exists, outer, log)
        self._connect()
        self._wired.touch()

    def _connect(self) -> None:
        """Lay the wire: a pair of network devices, one end here, one in the node."""
        addresses, link, first = self.layout.addresses, self.layout.link, self.first
        if first is None:
            raise PartFailed("The node's first process ended.", self.layout.log("node"))
        commands = [
            f"ip link add {link} type veth peer name eth0 netns {first.pid}",
            f"ip address add {addresses.host}/24 dev {link}",
            f"ip link set {link} up",
        ]
        within = [
            f"ip address add {addresses.node}/24 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {addresses.host}",
        ]
        routes = [f"ip route add {net} via {addresses.node}" for net in (addresses.pods, addresses.services)]
        for command in commands:
            _call(command.split())
        for command in within:
            _call(self.command(command.split()))
        for command in routes:
            _call(command.split())

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command in the node.

        Raises:
            ClusterError: There is no node.
        """
        first = self.first
        if first is None:
            raise ClusterError("The node does not run: make cluster")
        return ["nsenter", "--target", str(first.pid), *_NAMESPACES, "--wd=/", "--", *command]

    def start(self, part: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start a part in the node; it goes on when this process ends.

        Args:
            part: Its name.
            command: Its command line, with paths as the node sees them.
            env: What it has in its environment beside the search path.
        """
        waiting = ["sh", "-c", 'read -r go && exec "$@" < /dev/null', part]
        self._launch(part, self.command([*waiting, *command]), environment() | dict(env))

    def _launch(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that waits until its id is written down: one that nobody knows of ends by itself."""
        log = self.layout.log(name)
        with log.open("ab") as output:
            outer = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True, env=env
            )
        _launched.append(outer)
        child(outer, log).save(self.layout.record(name))
        assert outer.stdin is not None
        with contextlib.suppress(BrokenPipeError), outer.stdin:
            outer.stdin.write(b"go\n")
        return outer

    def run(self, command: Sequence[str], seconds: float = 300) -> str:
        """Run a command in the node and return what it printed.

        Raises:
            PartFailed: It ended with an error.
        """
        return _call(self.command(command), seconds)

    def remove(self) -> None:
        """End every process of the node; the kernel takes back the rest. Safe when there is none."""
        first = self.first
        if first is not None:
            process = first.process()
            if process is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if not wait_until_gone(first, _PATIENCE):
                raise ClusterError(f"The node's first process ({first.pid}) does not end.")
        self._wait_for_wire()
        cgroups.remove(self.layout.cgroup)

    def _wait_for_wire(self) -> None:
        """Wait until the kernel took back the wire: it does so a moment after the last process of the node."""
        device = Path("/sys/class/net") / self.layout.link
        deadline = time.monotonic() + _PATIENCE
        while device.exists():
            if time.monotonic() > deadline:  # somebody else holds the node's network
                subprocess.run(["ip", "link", "delete", self.layout.link], check=False, capture_output=True)
                return
            time.sleep(0.05)


def environment() -> dict[str, str]:
    """Return what a part has in its environment: nothing of the one who typed `make cluster`."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "GOGC": "400",  # Go's programs look for garbage less often: memory is not what is short here
    }


def child(outer: subprocess.Popen[bytes], log: Path) -> Recorded:
    """Return the process that unshare(1) or nsenter(1) started, which is the one that counts.

    Raises:
        PartFailed: It ended at once.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and outer.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(outer.pid).children():
                if found := Recorded.of(process.pid):
                    return found
        time.sleep(0.01)
    raise PartFailed(f"{log.stem} ended at once with {outer.poll()}.", log)


def _until(done: Callable[[], bool], outer: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if outer.poll() is not None:
            raise PartFailed(f"{log.stem} ended with {outer.returncode}.", log)
        if time.monotonic() > deadline:
            raise PartFailed(f"{log.stem} is not ready within {_PATIENCE:.0f} s.", log)
        time.sleep(0.02)


def _call(command: Sequence[str], seconds: float = 60) -> str:
    answer = subprocess.run(
        list(command),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    if answer.returncode:
        words = (answer.stderr or answer.stdout).strip()[-2000:]
        raise PartFailed(f"{' '.join(command)}: {words or answer.returncode}")
    return answer.stdout
