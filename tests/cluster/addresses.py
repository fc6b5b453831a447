"""A cluster's addresses: one block of 10.N.0.0/16 that this machine does not use for anything else."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import Refused

_BLOCKS = range(64, 128)


@dataclass(frozen=True)
class Addresses:
    """Addresses within 10.N.0.0/16.

    Attributes:
        block: N.
    """

    block: int

    @property
    def host(self) -> str:
        """This machine, as the node and its pods reach it."""
        return f"10.{self.block}.0.1"

    @property
    def node(self) -> str:
        """The node, and so the API server and the registry, as this machine and the pods reach it."""
        return f"10.{self.block}.0.2"

    @property
    def services(self) -> str:
        """Addresses of Services."""
        return f"10.{self.block}.16.0/20"

    @property
    def pods(self) -> str:
        """Addresses of pods."""
        return f"10.{self.block}.128.0/17"

    @property
    def kubernetes(self) -> str:
        """The Service of the API server: the first address, as the API server has it."""
        return f"10.{self.block}.16.1"

    @property
    def dns(self) -> str:
        """The Service of CoreDNS."""
        return f"10.{self.block}.16.10"

    @property
    def registry(self) -> str:
        """The registry, as the name of an image begins."""
        return f"{self.node}:5000"

    @classmethod
    def load(cls, path: Path) -> Addresses:
        """Return what was chosen before.

        Raises:
            OSError: Nothing was.
        """
        return cls(int(json.loads(path.read_text())["block"]))

    @classmethod
    def choose(cls, path: Path, seed: str) -> Addresses:
        """Return the addresses of a cluster: those of before, or else a free block that is written down.

        Args:
            path: Where it is written.
            seed: Hexadecimal digits: where to begin to look, so that two clusters rarely look at the same block.

        Raises:
            Refused: Every block is used.
        """
        if path.exists():
            return cls.load(path)
        used = routes()
        start = int(seed, 16) % len(_BLOCKS)
        for number in (*_BLOCKS[start:], *_BLOCKS[:start]):
            if not any(ipaddress.ip_network(f"10.{number}.0.0/16").overlaps(one) for one in used):
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps({"block": number}))
                partial.replace(path)
                return cls(number)
        raise Refused("No block of addresses is free: 10.64.0.0 to 10.127.0.0 are all routed on this machine.")


def routes() -> list[ipaddress.IPv4Network]:
    """Return the networks that this machine has a route to, the default aside."""
    answer = subprocess.run(["ip", "-json", "-4", "route", "show"], check=True, capture_output=True, text=True)
    found = (str(route["dst"]) for route in json.loads(answer.stdout or "[]"))
    return [ipaddress.IPv4Network(one, strict=False) for one in found if one[:1].isdigit()]
